/*
 * What must be done while the MMU is off.
 *
 * The code runs at the physical load address, so it can reach things by PC-relative instructions only, which is what
 * the compiler makes of the names of variables and functions. Pointers stored in memory are of no use yet.
 *
 * Nothing here cares for caches: that suffices for an emulator. On hardware, what was written must also be invalidated
 * in the data cache before the MMU is turned on.
 */
#include "kernel.h"

#define R_AARCH64_RELATIVE 1027

#define BLOCK 0x1ul
#define TABLE 0x3ul
#define ACCESSED (1ul << 10)
#define INNER_SHAREABLE (3ul << 8)
#define NEVER_EXECUTE (3ul << 53)
#define DEVICE (BLOCK | ACCESSED | NEVER_EXECUTE | 0ul << 2)
#define NORMAL (BLOCK | ACCESSED | INNER_SHAREABLE | 1ul << 2)

#define GIGABYTE_SHIFT 30
#define INDEX(address, shift) (((address) >> (shift)) & 511)

struct elf64_rela {
	u64 offset, info;
	s64 addend;
};

extern const struct elf64_rela __rela_start[], __rela_end[];
extern u8 _text[];
extern u64 idmap_pg_dir[512], init_pg_dir[3][512];

/* Set once and never again: such data lies in .rodata, which is why that section is writable in the file. */
u64 physical_base __ro_after_init;

/* The image runs where it was linked, so the addends are the pointers. In the file the pointers are zero. */
static void __init relocate(u64 base)
{
	for (const struct elf64_rela *rela = __rela_start; rela < __rela_end; rela++)
		if (rela->info == R_AARCH64_RELATIVE)
			*(s64 *)(rela->offset - KIMAGE_VADDR + base) = rela->addend;
}

static void __init apply_alternatives(u32 capabilities)
{
	for (const struct alt_instr *entry = __alt_instructions; entry < __alt_instructions_end; entry++) {
		u32 *instruction = prel32(&entry->orig);
		const u32 *replacement = prel32(&entry->alt);

		if (!(capabilities & 1u << entry->cpucap))
			continue;
		for (u32 i = 0; i < entry->alt_len / sizeof(u32); i++)
			instruction[i] = replacement[i];
	}
}

/* Low addresses: the first gigabyte, where the UART is, and the one this code runs in, both where they are. */
static void __init map_identity(u64 base)
{
	idmap_pg_dir[0] = DEVICE;
	idmap_pg_dir[base >> GIGABYTE_SHIFT] = base >> GIGABYTE_SHIFT << GIGABYTE_SHIFT | NORMAL;
}

/* High addresses: the image, by one block of 2 MiB at the third level of tables. */
static void __init map_kernel(u64 base)
{
	init_pg_dir[0][INDEX(KIMAGE_VADDR, 39)] = (u64)init_pg_dir[1] | TABLE;
	init_pg_dir[1][INDEX(KIMAGE_VADDR, 30)] = (u64)init_pg_dir[2] | TABLE;
	init_pg_dir[2][INDEX(KIMAGE_VADDR, 21)] = base | NORMAL;
}

/* Under EL2, PSCI is reached by smc in place of hvc. */
void __init early_setup(u32 entered_at_el2)
{
	u64 base = (u64)_text;

	relocate(base);
	apply_alternatives(entered_at_el2 << CAP_PSCI_BY_SMC);
	map_identity(base);
	map_kernel(base);
	physical_base = base;
}
