/*
 * The first bytes of the Image, and the way from there to C.
 *
 * An arm64 Image is two things at once. A boot loader reads the 64 byte header and jumps to byte 0; EFI firmware
 * reads "MZ", finds the PE header by the offset at 0x3c, and starts the entry point named there.
 */

#define FLAG_PAGES_4K		(1 << 1)
#define FLAG_ANYWHERE		(1 << 3)

#define SEGMENT_ALIGN		0x10000		// vmlinux.lds pads .head.text up to it
#define FILE_ALIGN		0x200

/*
 * What only the linker knows, as distances from the first byte: the assembler makes PC-relative relocations of them,
 * which the linker resolves for good. Distances between two other places are absolute symbols of vmlinux.lds.
 */
#define TEXT_START		SEGMENT_ALIGN
#define TEXT_SIZE		__inittext_end - .Lhead - TEXT_START
#define DATA_START		__initdata_begin - .Lhead
#define IMAGE_SIZE		_end - .Lhead

#define SUBSYSTEM_EFI_APPLICATION 10
#define NX_COMPAT		0x100
#define CODE_READ_EXECUTE	0x60000020
#define DATA_READ_WRITE		0xc0000040

	.section .head.text, "ax"
.Lhead:
	ccmp	x18, #0, #0xd, pl		// does nothing, and its bytes are "MZ@\xfa"
	b	primary_entry
	.quad	0				// text_offset
	.quad	IMAGE_SIZE			// image_size
	.quad	FLAG_PAGES_4K | FLAG_ANYWHERE
	.quad	0, 0, 0				// res2, res3, res4
	.ascii	"ARM\x64"
	.long	.Lpe_header - .Lhead		// res5; also e_lfanew, as it lies at 0x3c

	.balign	8
.Lpe_header:
	.ascii	"PE\0\0"
	.short	0xaa64				// Machine: ARM64
	.short	(.Lsection_table_end - .Lsection_table) / 40
	.long	0				// TimeDateStamp
	.long	0, 0				// COFF symbol table: none
	.short	.Lsection_table - .Loptional_header
	.short	0x0206				// executable, no line numbers, no debug information

.Loptional_header:
	.short	0x20b				// PE32+
	.byte	2, 20				// LinkerVersion
	.long	TEXT_SIZE			// SizeOfCode
	.long	__pecoff_data_size		// SizeOfInitializedData
	.long	0				// SizeOfUninitializedData
	.long	efi_entry - .Lhead		// AddressOfEntryPoint
	.long	TEXT_START			// BaseOfCode
	.quad	0				// ImageBase
	.long	SEGMENT_ALIGN			// SectionAlignment
	.long	FILE_ALIGN
	.short	0, 0				// OperatingSystemVersion
	.short	1, 0				// ImageVersion
	.short	0, 0				// SubsystemVersion
	.long	0				// Win32VersionValue
	.long	IMAGE_SIZE			// SizeOfImage
	.long	TEXT_START			// SizeOfHeaders
	.long	0				// CheckSum
	.short	SUBSYSTEM_EFI_APPLICATION
	.short	NX_COMPAT
	.quad	0, 0, 0, 0			// stack and heap: reserve, commit
	.long	0				// LoaderFlags
	.long	(.Lsection_table - .Ldirectories) / 8
.Ldirectories:
	.quad	0				// export table
	.quad	0				// import table
	.quad	0				// resource table
	.quad	0				// exception table
	.quad	0				// certificate table: where a signature would go
	.quad	0				// base relocation table

	/* The file is laid out as memory is, so every raw pointer equals its virtual address. */
.Lsection_table:
	.ascii	".text\0\0\0"
	.long	TEXT_SIZE			// VirtualSize
	.long	TEXT_START			// VirtualAddress
	.long	TEXT_SIZE			// SizeOfRawData
	.long	TEXT_START			// PointerToRawData
	.long	0, 0, 0				// relocations, line numbers: none
	.long	CODE_READ_EXECUTE

	.ascii	".data\0\0\0"
	.long	__pecoff_data_size		// VirtualSize: with .bss
	.long	DATA_START			// VirtualAddress
	.long	__pecoff_data_rawsize		// SizeOfRawData: to the end of the file
	.long	DATA_START			// PointerToRawData
	.long	0, 0, 0
	.long	DATA_READ_WRITE
.Lsection_table_end:

/* Started by EFI, this kernel declines: it knows no boot services, and returning is allowed there. */
#define EFI_UNSUPPORTED		0x8000000000000003

	.section .init.text, "ax"
	.type	efi_entry, %function
efi_entry:
	ldr	x0, =EFI_UNSUPPORTED
	ret
	.size	efi_entry, . - efi_entry

#define EL2			(2 << 2)	// as CurrentEL reads it
#define EL1H_ALL_MASKED		0x3c5
#define HCR_EL1_IS_AARCH64	(1 << 31)

/* The RES1 bits; then MMU, data cache and instruction cache. */
#define SCTLR_OFF		0x30d00800
#define SCTLR_ON		(SCTLR_OFF | (1 << 0) | (1 << 2) | (1 << 12))

/* Attribute 0 is device memory, attribute 1 normal write-back memory; early.c uses these numbers. */
#define MAIR			0xff04

/* 39 bits through ttbr0, 48 bits through ttbr1, 4K pages, cached table walks, 36 bits of physical address. */
#define TCR			((25 << 0) | (1 << 8) | (1 << 10) | (3 << 12) | \
				 (16 << 16) | (1 << 24) | (1 << 26) | (3 << 28) | (2 << 30) | (1 << 32))

/*
 * The MMU is off and the load address is any multiple of 2 MiB: until primary_switched, nothing here may depend on
 * where the image was linked.
 */
	.globl	primary_entry
	.type	primary_entry, %function
primary_entry:
	msr	daifset, #0xf
	mrs	x19, CurrentEL
	cmp	x19, #EL2
	b.ne	.Lat_el1

	ldr	x0, =HCR_EL1_IS_AARCH64
	msr	hcr_el2, x0
	ldr	x0, =SCTLR_OFF
	msr	sctlr_el1, x0
	mov	x0, #EL1H_ALL_MASKED
	msr	spsr_el2, x0
	adr	x0, .Lat_el1
	msr	elr_el2, x0
	eret

.Lat_el1:
	/* Memory past the end of the file holds anything: clear .bss and the page tables behind it. */
	adrp	x0, __bss_start
	adrp	x1, init_pg_end
1:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	1b

	adrp	x0, boot_stack_top
	mov	sp, x0
	cmp	x19, #EL2
	cset	w0, eq
	bl	early_setup

	adrp	x0, idmap_pg_dir
	msr	ttbr0_el1, x0
	adrp	x0, init_pg_dir
	msr	ttbr1_el1, x0
	ldr	x0, =MAIR
	msr	mair_el1, x0
	ldr	x0, =TCR
	msr	tcr_el1, x0
	tlbi	vmalle1
	ic	iallu
	dsb	nsh
	isb
	ldr	x0, =SCTLR_ON
	msr	sctlr_el1, x0
	isb

	/* The one absolute address here. early_setup has filled it in: in the file it is zero. */
	ldr	x0, =primary_switched
	br	x0

primary_switched:
	adrp	x0, boot_stack_top
	mov	sp, x0
	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el1, x0
	isb
	mov	x29, xzr
	mov	x30, xzr
	b	start_kernel
	.size	primary_entry, . - primary_entry
	.ltorg

	.section .bss..page_aligned, "aw", %nobits
	.balign	4096
boot_stack:
	.skip	4096
boot_stack_top:
