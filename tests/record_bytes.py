"""Bytes of every record that our builder did not make, and what the fields must be.

Most were written by the assembler, the linker, dtc or depmod and copied with xxd from samples/hello; the numbers beside
them are what readelf, nm, fdtdump and llvm-readobj print. The others are assembled by hand from the specification,
field by field; where real files have the same number in several fields, each byte is its own offset.
"""

from typing import NamedTuple

from kinspect.schemas import (
    android,
    btf,
    cpio,
    elf,
    exports,
    fdt,
    image,
    kmod_index,
    module,
    pe,
    tables,
    uimage,
    zboot,
)
from kinspect.schemas.package import ar, rpm, tar


class Literal(NamedTuple):
    """Bytes in hex, where they are from, and the record that they are."""

    source: str
    bytes: str
    record: NamedTuple


def at(offset: int, size: int) -> int:
    """What a field is, by its offset and size in the specification, in bytes that count 0, 1, 2, ..."""
    return int.from_bytes(range(offset, offset + size), "little")


def big(offset: int, size: int) -> int:
    """The same of a big-endian field."""
    return int.from_bytes(range(offset, offset + size), "big")


def counting(offset: int, size: int) -> bytes:
    """The same of a field that is no number."""
    return bytes(range(offset, offset + size))


LITERALS = [
    Literal(
        "vmlinux at 0; readelf -h",
        "7f454c46020101000000000000000000 0300 b700 01000000 000000080080ffff"
        "4000000000000000 40b7010000000000 00000000 4000 3800 0600 4000 2300 2200",
        elf.ElfHeader(
            e_ident=bytes.fromhex("7f454c46020101000000000000000000"),
            e_type=3,
            e_machine=183,
            e_version=1,
            e_entry=0xFFFF800008000000,
            e_phoff=64,
            e_shoff=112448,
            e_flags=0,
            e_ehsize=64,
            e_phentsize=56,
            e_phnum=6,
            e_shentsize=64,
            e_shnum=35,
            e_shstrndx=34,
        ),
    ),
    Literal(
        "vmlinux at 0x40; readelf -l",
        "01000000 05000000 0010000000000000 000000080080ffff 000000080080ffff 580c010000000000 580c010000000000"
        "0010000000000000",
        elf.ProgramHeader(
            p_type=1,
            p_flags=5,
            p_offset=0x1000,
            p_vaddr=0xFFFF800008000000,
            p_paddr=0xFFFF800008000000,
            p_filesz=0x10C58,
            p_memsz=0x10C58,
            p_align=0x1000,
        ),
    ),
    Literal(
        "vmlinux, section header 2, .text; readelf -S",
        "20000000 01000000 0600000000000000 000001080080ffff 0010010000000000 580c000000000000 00000000 00000000"
        "0008000000000000 0000000000000000",
        elf.SectionHeader(
            sh_name=0x20,
            sh_type=1,
            sh_flags=6,
            sh_addr=0xFFFF800008010000,
            sh_offset=0x11000,
            sh_size=0xC58,
            sh_link=0,
            sh_info=0,
            sh_addralign=2048,
            sh_entsize=0,
        ),
    ),
    Literal(
        "vmlinux, symbol 161, print; readelf -s",
        "21020000 12 00 0200 300a01080080ffff 6000000000000000",
        elf.Symbol(st_name=0x221, st_info=0x12, st_other=0, st_shndx=2, st_value=0xFFFF800008010A30, st_size=96),
    ),
    Literal(
        "hello-door.ko, .rela.text, the first; readelf -r",
        "2400000000000000 1301000004000000 0000000000000000",
        elf.Rela(r_offset=0x24, r_info=0x400000113, r_addend=0),
    ),
    Literal(
        "ELF-64 Object File Format, Elf64_Rela: offset 8, symbol 5, R_AARCH64_PREL32, addend -4",
        "0800000000000000 0501000005000000 fcffffffffffffff",
        elf.Rela(r_offset=8, r_info=5 << 32 | 261, r_addend=-4),
    ),
    Literal(
        "vmlinux, .notes, the first; readelf -n",
        "04000000 14000000 03000000 474e5500 7e0b8037c7a54560209d051bc58181e1c48894e8",
        elf.NoteEntry(
            n_namesz=4,
            n_descsz=20,
            n_type=3,
            name=b"GNU\0",
            desc=bytes.fromhex("7e0b8037c7a54560209d051bc58181e1c48894e8"),
        ),
    ),
    Literal(
        "vmlinux, .notes, the third, whose name is padded; readelf -n",
        "06000000 0c000000 00010000 4c696e757800 0000 362e312e302d68656c6c6f00",
        elf.NoteEntry(n_namesz=6, n_descsz=12, n_type=0x100, name=b"Linux\0", desc=b"6.1.0-hello\0"),
    ),
    Literal(
        "vmlinux, .notes, the third; readelf -n",
        "06000000 0c000000 00010000",
        elf.NoteHeader(n_namesz=6, n_descsz=12, n_type=0x100),
    ),
    Literal(
        ".debug_aranges of vmlinux after objcopy --compress-debug-sections=zlib; readelf -t",
        "01000000 00000000 b002000000000000 1000000000000000",
        elf.CompressionHeader(ch_type=1, ch_reserved=0, ch_size=688, ch_addralign=16),
    ),
    Literal(
        "vmlinux, .debug_aranges; readelf --debug-dump=aranges",
        "3c000000 0200 00000000 08 00",
        elf.ArangesHeader(unit_length=60, version=2, debug_info_offset=0, address_size=8, segment_selector_size=0),
    ),
    Literal(
        # nm: greeting is at ...010c4c, its row at ...0112d8, its name at ...0113f5.
        "vmlinux, __ksymtab, greeting; nm",
        "74f9ffff 19010000 da000000",
        exports.KernelSymbol(value=0x10C4C - 0x112D8, name=0x113F5 - 0x112DC, namespace=0x113BA - 0x112E0),
    ),
    Literal(
        "include/linux/export.h of 4.19, struct kernel_symbol: displacements -0x1000 and 0x119",
        "00f0ffff 19010000",
        exports.KernelSymbolUnnamespaced(value=-0x1000, name=0x119),
    ),
    Literal(
        "include/linux/export.h of 4.14, struct kernel_symbol: two pointers",
        "4c0c0110 0080ffff f5130110 0080ffff",
        exports.KernelSymbolAbsolute(value=0xFFFF800010010C4C, name=0xFFFF8000100113F5),
    ),
    Literal("vmlinux, __kcrctab, greeting; Module.symvers", "aba4e346", exports.Crc(crc=0x46E3A4AB)),
    Literal("include/linux/export-internal.h: bit 0 is GPL", "01", exports.SymbolFlags(flags=1)),
    Literal(
        "dtb/hello.dtb at 0; fdtdump",
        "d00dfeed 000007c6 00000048 0000068c 00000028 00000011 00000010 00000000 0000013a 00000644",
        fdt.FdtHeader(
            magic=0xD00DFEED,
            totalsize=1990,
            off_dt_struct=0x48,
            off_dt_strings=0x68C,
            off_mem_rsvmap=0x28,
            version=17,
            last_comp_version=16,
            boot_cpuid_phys=0,
            size_dt_strings=0x13A,
            size_dt_struct=0x644,
        ),
    ),
    Literal(
        "dtb/hello.dtb at 0x28; fdtdump: /memreserve/ 0x40000000 0x1000",
        "0000000040000000 0000000000001000",
        fdt.ReserveEntry(address=0x40000000, size=0x1000),
    ),
    Literal(
        # Its value is "hello on QEMU's virt" with a NUL; the name is the first of the strings.
        "dtb/hello.dtb at 0x54, behind the token of the property model; fdtdump",
        "00000015 00000000",
        fdt.PropertyHeader(len=21, nameoff=0),
    ),
    Literal(
        # booting.rst, "Call the kernel image". code0 is `ccmp x18, #0, #0xd, pl`, whose bytes begin with MZ.
        "Image at 0; objdump",
        "4d5a40fa 01540014 0000000000000000 0000030000000000 0a00000000000000 0000000000000000 0000000000000000"
        "0000000000000000 41524d64 40000000",
        image.ImageHeader(
            code0=0xFA405A4D,
            code1=0x14005401,
            text_offset=0,
            image_size=0x30000,
            flags=0xA,
            res2=0,
            res3=0,
            res4=0,
            magic=b"ARMd",
            res5=0x40,
        ),
    ),
    Literal(
        "modules.dep.bin at 0, written by depmod; libkmod-index.c: BOOTFAST, 2.1, children at 0x175",
        "b007f457 00020001 20000175",
        kmod_index.KmodIndexHeader(
            magic_bytes=b"\xb0\x07\xf4\x57", version_bytes=b"\0\2\0\1", root_bytes=b"\x20\0\x01\x75"
        ),
    ),
    Literal(
        "hello-door.ko, __versions, the second; Module.symvers",
        "667cd61500000000" + b"print".hex().ljust(112, "0"),
        module.ModversionInfo(crc=0x15D67C66, name=b"print".ljust(56, b"\0")),
    ),
    Literal(
        # include/linux/module_signature.h. The size alone is big-endian.
        "algo 0, hash 0, id_type PKEY_ID_PKCS7, signer_len 0, key_id_len 0, 3 bytes of padding, sig_len 0x2a9",
        "00 00 02 00 00 000000 000002a9",
        module.ModuleSignature(
            algo=0, hash=0, id_type=2, signer_len=0, key_id_len=0, padding=bytes(3), sig_len_bytes=b"\0\0\2\xa9"
        ),
    ),
    Literal(
        "hello-door.ko, .gnu.linkonce.this_module; readelf -x",
        "00000000 00000000 0000000000000000 0000000000000000" + b"hello_door".hex().ljust(112, "0"),
        module.ThisModule(state=0, padding=0, list_next=0, list_prev=0, name=b"hello_door".ljust(56, b"\0")),
    ),
    Literal(
        "Image at 0x44; llvm-readobj --file-headers",
        "64aa 0200 00000000 00000000 00000000 a000 0602",
        pe.CoffHeader(
            machine=0xAA64, sections=2, timestamp=0, symbol_table=0, symbols=0, opt_hdr_size=160, flags=0x206
        ),
    ),
    Literal(
        "Image at 0x58; llvm-readobj --file-headers",
        "0b02 02 14 00000100 00000100 00000000 00500100 00000100 0000000000000000 00000100 00020000 0000 0000 0100 0000"
        "0000 0000 00000000 00000300 00000100 00000000 0a00 0001" + "0000000000000000" * 4 + "00000000 06000000",
        pe.OptionalHeader(
            magic=0x20B,
            ld_major=2,
            ld_minor=20,
            text_size=65536,
            data_size=65536,
            bss_size=0,
            entry_point=0x15000,
            code_base=0x10000,
            image_base=0,
            section_align=65536,
            file_align=512,
            os_major=0,
            os_minor=0,
            image_major=1,
            image_minor=0,
            subsys_major=0,
            subsys_minor=0,
            win32_version=0,
            image_size=196608,
            header_size=65536,
            csum=0,
            subsys=10,
            dll_flags=0x100,
            stack_size_req=0,
            stack_size=0,
            heap_size_req=0,
            heap_size=0,
            loader_flags=0,
            data_dirs=6,
        ),
    ),
    Literal(
        "PE format, optional header data directories: place 0x21200, size 0x5d8",
        "00120200 d8050000",
        pe.DataDirectory(virtual_address=0x21200, size=0x5D8),
    ),
    Literal(
        "Image, the second row of the section table; llvm-readobj --sections",
        "2e64617461000000 00000100 00000200 00120000 00000200 00000000 00000000 0000 0000 400000c0",
        pe.PeSectionHeader(
            name=b".data\0\0\0",
            virtual_size=0x10000,
            virtual_address=0x20000,
            raw_data_size=4608,
            data_addr=0x20000,
            relocs=0,
            line_numbers=0,
            num_relocs=0,
            num_lin_numbers=0,
            flags=0xC0000040,
        ),
    ),
    Literal(
        # Authenticode, WIN_CERTIFICATE. The length counts its own eight bytes, and not the padding.
        "length 13, revision 2.0, type PKCS#7, five bytes, padded to 16",
        "0d000000 0002 0200 3003020101 000000",
        pe.WinCertificate(length=13, revision=0x200, cert_type=2, certificate=b"\x30\x03\x02\x01\x01"),
    ),
    Literal(
        "the same: length 13, revision 2.0, type PKCS#7",
        "0d000000 0002 0200",
        pe.CertificateHeader(length=13, revision=0x200, cert_type=2),
    ),
    Literal(
        # The row is at ...011450; the load that may fault is probe_read+8, the fixup is the next instruction.
        # EX_TYPE_KACCESS_ERR_ZERO; the error goes to x0, the zero to x3.
        "vmlinux, __ex_table; nm",
        "a8f5ffff a8f5ffff 0300 6000",
        tables.ExceptionTableEntry(insn=0x109F8 - 0x11450, fixup=0x109FC - 0x11454, type=3, data=3 << 5),
    ),
    Literal(
        # The row is at ...015478, what it replaces in power_off; one instruction each.
        "vmlinux, .altinstructions; objdump -d",
        "e4b6ffff 04b7ffff 0100 04 04",
        tables.AltInstruction(
            orig_offset=0x10B5C - 0x15478, alt_offset=0x10B80 - 0x1547C, cpucap=1, orig_len=4, alt_len=4
        ),
    ),
    Literal(
        # The row is at ...021008; WARN() in hello.c, line 54: BUGFLAG_WARNING, TAINT_WARN << 8.
        "vmlinux, __bug_table; hello.c",
        "9443ffff b502ffff 3600 0109",
        tables.BugEntry(bug_addr_disp=0x1539C - 0x21008, file_disp=0x112C1 - 0x2100C, line=54, flags=0x901),
    ),
    Literal(
        # arch/arm64/include/asm/asm-bug.h without CONFIG_DEBUG_BUGVERBOSE: .long 14470b - .; .short flags; .align 2.
        "displacement -0x1000, BUGFLAG_WARNING | BUGFLAG_ONCE, 2 bytes of padding",
        "00f0ffff 0300 0000",
        tables.BugEntryTerse(bug_addr_disp=-0x1000, flags=3, padding=0),
    ),
    Literal(
        # The pointers are relocations.
        "hello-door.ko, __param; module_param's type uint, 0644, level -1",
        "0000000000000000 0000000000000000 0000000000000000 a401 ff 00 00000000 0000000000000000",
        tables.KernelParam(name=0, mod=0, ops=0, perm=0o644, level=-1, flags=0, padding=bytes(4), arg=0),
    ),
    Literal(
        # Documentation/bpf/btf.rst, "BTF Type and String Encoding".
        "magic 0xeb9f, version 1, flags 0, 24 bytes, types at 0 of 0x2d8, strings at 0x2d8 of 0x1f3",
        "9feb 01 00 18000000 00000000 d8020000 d8020000 f3010000",
        tables.BtfHeader(
            magic=0xEB9F,
            version=1,
            flags=0,
            hdr_len=24,
            type_off=0,
            type_len=0x2D8,
            str_off=0x2D8,
            str_len=0x1F3,
        ),
    ),
    Literal(
        "mkimage -A arm64 -O linux -T kernel -C gzip -a 0x80000 -e 0x80010 -n Linux; dumpimage -l",
        "27051956 075604ad 692915e5 00000be6 00080000 00080010 0d53ffb1 05 16 02 01" + b"Linux".hex().ljust(64, "0"),
        uimage.UimageHeader(
            ih_magic=0x27051956,
            ih_hcrc=0x075604AD,
            ih_time=0x692915E5,
            ih_size=3046,
            ih_load=0x80000,
            ih_ep=0x80010,
            ih_dcrc=0x0D53FFB1,
            ih_os=5,
            ih_arch=22,
            ih_type=2,
            ih_comp=1,
            ih_name=b"Linux".ljust(32, b"\0"),
        ),
    ),
    Literal(
        "mkbootimg --header_version 2; xxd",
        "414e44524f494421 e60b0000 00800010 1e000000 00000011 08000000 0000f010 00010010 00080000 02000000 0a000000"
        + b"board".hex().ljust(32, "0")
        + b"console=ttyS0".hex().ljust(1024, "0")
        + "9132a417c309e8f7f95f8229167cb64b87e98956".ljust(64, "0")
        + b"quiet".hex().ljust(2048, "0")
        + "07000000 0018000000000000 7c060000 c6070000 0000f01100000000",
        android.BootHeader(
            magic=b"ANDROID!",
            kernel_size=3046,
            kernel_addr=0x10008000,
            ramdisk_size=30,
            ramdisk_addr=0x11000000,
            second_size=8,
            second_addr=0x10F00000,
            tags_addr=0x10000100,
            page_size=2048,
            header_version=2,
            os_version=10,
            name=b"board".ljust(16, b"\0"),
            cmdline=b"console=ttyS0".ljust(512, b"\0"),
            id=bytes.fromhex("9132a417c309e8f7f95f8229167cb64b87e98956").ljust(32, b"\0"),
            extra_cmdline=b"quiet".ljust(1024, b"\0"),
            recovery_dtbo_size=7,
            recovery_dtbo_offset=0x1800,
            header_size=1660,
            dtb_size=1990,
            dtb_addr=0x11F00000,
        ),
    ),
    Literal(
        # bootimg.h: magic, kernel_size, ramdisk_size, os_version, header_size, reserved[4], header_version, cmdline.
        "ANDROID!, 1 to 4, 16 bytes, 5, 1,536 bytes, 6",
        "414e44524f494421 01000000 02000000 03000000 04000000 000102030405060708090a0b0c0d0e0f 05000000"
        + b"quiet".hex().ljust(3072, "0")
        + "06000000",
        android.BootHeaderV4(b"ANDROID!", 1, 2, 3, 4, bytes(range(16)), 5, b"quiet".ljust(1536, b"\0"), 6),
    ),
    Literal(
        # bootimg.h, vendor_boot_img_hdr_v4, in the order of its fields.
        "VNDRBOOT, 1 to 5, 2,048 bytes, 6, 16 bytes, 7, 8, 9 (64 bits), 10 to 13",
        "564e4452424f4f54 01000000 02000000 03000000 04000000 05000000"
        + b"quiet".hex().ljust(4096, "0")
        + "06000000 000102030405060708090a0b0c0d0e0f 07000000 08000000 0900000000000000"
        + "0a000000 0b000000 0c000000 0d000000",
        android.VendorBootHeader(
            *(b"VNDRBOOT", 1, 2, 3, 4, 5, b"quiet".ljust(2048, b"\0"), 6, bytes(range(16)), 7, 8, 9, 10, 11, 12, 13)
        ),
    ),
    Literal(
        # bootimg.h, vendor_ramdisk_table_entry_v4.
        "1 to 3, 32 bytes, 64 bytes",
        "01000000 02000000 03000000" + b"dlkm".hex().ljust(64, "0") + bytes(range(64)).hex(),
        android.VendorRamdisk(1, 2, 3, b"dlkm".ljust(32, b"\0"), bytes(range(64))),
    ),
    Literal(
        # avb_footer.h, AvbFooter, big-endian.
        "AVBf, 1, 2, 3 to 5 (64 bits), 28 bytes",
        "41564266 00000001 00000002 0000000000000003 0000000000000004 0000000000000005" + bytes(range(28)).hex(),
        android.AvbFooter(b"AVBf", 1, 2, 3, 4, 5, bytes(range(28))),
    ),
    Literal(
        # avb_vbmeta_image.h, AvbVBMetaImageHeader, big-endian: each byte is its own offset.
        "0 to 255, counted",
        bytes(range(256)).hex(),
        android.VbmetaHeader._make(
            [counting(0, 4), *(big(4, 4), big(8, 4), big(12, 8), big(20, 8), big(28, 4))]
            + [big(offset, 8) for offset in range(32, 120, 8)]
            + [big(120, 4), big(124, 4), counting(128, 48), counting(176, 80)]
        ),
    ),
    Literal(
        # avb_descriptor.h, AvbDescriptor.
        "tag 2, 160 bytes",
        "0000000000000002 00000000000000a0",
        android.DescriptorHeader(2, 160),
    ),
    Literal(
        # avb_property_descriptor.h, AvbPropertyDescriptor without its first fields.
        "3, 4 (64 bits)",
        "0000000000000003 0000000000000004",
        android.PropertyDescriptor(3, 4),
    ),
    Literal(
        # avb_hash_descriptor.h, AvbHashDescriptor without its first fields.
        "0 to 115, counted",
        bytes(range(116)).hex(),
        android.HashDescriptor(
            *(big(0, 8), counting(8, 32), big(40, 4), big(44, 4), big(48, 4), big(52, 4), counting(56, 60))
        ),
    ),
    Literal(
        # avb_hashtree_descriptor.h, AvbHashtreeDescriptor without its first fields.
        "0 to 163, counted",
        bytes(range(164)).hex(),
        android.HashtreeDescriptor(
            *(big(0, 4), big(4, 8), big(12, 8), big(20, 8), big(28, 4), big(32, 4), big(36, 4), big(40, 8), big(48, 8)),
            *(counting(56, 32), big(88, 4), big(92, 4), big(96, 4), big(100, 4), counting(104, 60)),
        ),
    ),
    Literal(
        # avb_kernel_cmdline_descriptor.h, AvbKernelCmdlineDescriptor without its first fields.
        "1, 22",
        "00000001 00000016",
        android.CmdlineDescriptor(1, 22),
    ),
    Literal(
        # avb_chain_partition_descriptor.h, AvbChainPartitionDescriptor without its first fields.
        "0 to 75, counted",
        bytes(range(76)).hex(),
        android.ChainDescriptor(big(0, 4), big(4, 4), big(8, 4), big(12, 4), counting(16, 60)),
    ),
    Literal(
        # avb_crypto.h, AvbRSAPublicKeyHeader.
        "2048, n0inv",
        "00000800 12345678",
        android.PublicKeyHeader(2048, 0x12345678),
    ),
    Literal(
        # dt_table.h, struct dt_table_header, big-endian.
        "the magic number, 409, 1 to 6",
        "d7b7ab1e 00000199 00000001 00000002 00000003 00000004 00000005 00000006",
        android.DtTableHeader(0xD7B7AB1E, 409, 1, 2, 3, 4, 5, 6),
    ),
    Literal(
        # dt_table.h, struct dt_table_entry_v1, big-endian.
        "345, 64, 1 to 6",
        "00000159 00000040 00000001 00000002 00000003 00000004 00000005 00000006",
        android.DtTableEntry(345, 64, 1, 2, 3, 4, 5, 6),
    ),
    Literal(
        # zboot-header.S: .long MZ_MAGIC; .ascii "zimg"; .long payload offset and size; .long 0, 0; .asciz compression;
        # .org .Ldoshdr + 0x38; .long LINUX_PE_MAGIC; .long the PE header's offset.
        "MZ, zimg, 0x32c8, 0x235077, 8 zeros, zstd22, LINUX_PE_MAGIC, 0x40",
        "4d5a0000 7a696d67 c8320000 77502300 0000000000000000" + b"zstd22".hex().ljust(64, "0") + "cd238281 40000000",
        zboot.ZbootHeader(
            mz=b"MZ\0\0",
            magic=b"zimg",
            payload_offset=0x32C8,
            payload_size=0x235077,
            reserved=bytes(8),
            compression=b"zstd22".ljust(32, b"\0"),
            linux_magic=0x818223CD,
            pe_offset=0x40,
        ),
    ),
    Literal(
        "vmlinux, section header 32, .symtab; readelf -S",
        "01000000 02000000 0000000000000000 0000000000000000 3898010000000000 6015000000000000 21000000 a1000000"
        "0800000000000000 1800000000000000",
        elf.SectionHeader(
            sh_name=1,
            sh_type=2,
            sh_flags=0,
            sh_addr=0,
            sh_offset=0x19838,
            sh_size=0x1560,
            sh_link=33,
            sh_info=161,
            sh_addralign=8,
            sh_entsize=24,
        ),
    ),
    Literal(
        "ELF-64 Object File Format, figure 2: every byte its offset",
        counting(0, 64).hex(),
        elf.ElfHeader(
            e_ident=counting(0, 16),
            e_type=at(16, 2),
            e_machine=at(18, 2),
            e_version=at(20, 4),
            e_entry=at(24, 8),
            e_phoff=at(32, 8),
            e_shoff=at(40, 8),
            e_flags=at(48, 4),
            e_ehsize=at(52, 2),
            e_phentsize=at(54, 2),
            e_phnum=at(56, 2),
            e_shentsize=at(58, 2),
            e_shnum=at(60, 2),
            e_shstrndx=at(62, 2),
        ),
    ),
    Literal(
        "ELF-64 Object File Format, figure 6: every byte its offset",
        counting(0, 56).hex(),
        elf.ProgramHeader(
            p_type=at(0, 4),
            p_flags=at(4, 4),
            p_offset=at(8, 8),
            p_vaddr=at(16, 8),
            p_paddr=at(24, 8),
            p_filesz=at(32, 8),
            p_memsz=at(40, 8),
            p_align=at(48, 8),
        ),
    ),
    Literal(
        "booting.rst, the decompressed kernel image's header: every byte its offset",
        counting(0, 64).hex(),
        image.ImageHeader(
            code0=at(0, 4),
            code1=at(4, 4),
            text_offset=at(8, 8),
            image_size=at(16, 8),
            flags=at(24, 8),
            res2=at(32, 8),
            res3=at(40, 8),
            res4=at(48, 8),
            magic=counting(56, 4),
            res5=at(60, 4),
        ),
    ),
    Literal(
        "include/linux/module_signature.h: every byte its offset",
        counting(0, 12).hex(),
        module.ModuleSignature(
            algo=0, hash=1, id_type=2, signer_len=3, key_id_len=4, padding=counting(5, 3), sig_len_bytes=counting(8, 4)
        ),
    ),
    Literal(
        "include/linux/module.h, struct module: enum, padding, list_head, name; every byte its offset",
        counting(0, 80).hex(),
        module.ThisModule(
            state=at(0, 4), padding=at(4, 4), list_next=at(8, 8), list_prev=at(16, 8), name=counting(24, 56)
        ),
    ),
    Literal(
        "PE format, COFF file header: every byte its offset",
        counting(0, 20).hex(),
        pe.CoffHeader(
            machine=at(0, 2),
            sections=at(2, 2),
            timestamp=at(4, 4),
            symbol_table=at(8, 4),
            symbols=at(12, 4),
            opt_hdr_size=at(16, 2),
            flags=at(18, 2),
        ),
    ),
    Literal(
        "PE format, optional header of PE32+: every byte its offset",
        counting(0, 112).hex(),
        pe.OptionalHeader(
            magic=at(0, 2),
            ld_major=at(2, 1),
            ld_minor=at(3, 1),
            text_size=at(4, 4),
            data_size=at(8, 4),
            bss_size=at(12, 4),
            entry_point=at(16, 4),
            code_base=at(20, 4),
            image_base=at(24, 8),
            section_align=at(32, 4),
            file_align=at(36, 4),
            os_major=at(40, 2),
            os_minor=at(42, 2),
            image_major=at(44, 2),
            image_minor=at(46, 2),
            subsys_major=at(48, 2),
            subsys_minor=at(50, 2),
            win32_version=at(52, 4),
            image_size=at(56, 4),
            header_size=at(60, 4),
            csum=at(64, 4),
            subsys=at(68, 2),
            dll_flags=at(70, 2),
            stack_size_req=at(72, 8),
            stack_size=at(80, 8),
            heap_size_req=at(88, 8),
            heap_size=at(96, 8),
            loader_flags=at(104, 4),
            data_dirs=at(108, 4),
        ),
    ),
    Literal(
        "PE format, section table: every byte its offset",
        counting(0, 40).hex(),
        pe.PeSectionHeader(
            name=counting(0, 8),
            virtual_size=at(8, 4),
            virtual_address=at(12, 4),
            raw_data_size=at(16, 4),
            data_addr=at(20, 4),
            relocs=at(24, 4),
            line_numbers=at(28, 4),
            num_relocs=at(32, 2),
            num_lin_numbers=at(34, 2),
            flags=at(36, 4),
        ),
    ),
    Literal(
        "arch/arm64/include/asm/extable.h: every byte its offset",
        counting(0, 12).hex(),
        tables.ExceptionTableEntry(insn=at(0, 4), fixup=at(4, 4), type=at(8, 2), data=at(10, 2)),
    ),
    Literal(
        "arch/arm64/include/asm/extable.h of 5.10: every byte its offset",
        counting(0, 8).hex(),
        tables.ExceptionTableEntryUntyped(insn=at(0, 4), fixup=at(4, 4)),
    ),
    Literal(
        "arch/arm64/include/asm/alternative.h: every byte its offset",
        counting(0, 12).hex(),
        tables.AltInstruction(orig_offset=at(0, 4), alt_offset=at(4, 4), cpucap=at(8, 2), orig_len=10, alt_len=11),
    ),
    Literal(
        "include/linux/moduleparam.h, struct kernel_param: every byte its offset",
        counting(0, 40).hex(),
        tables.KernelParam(
            name=at(0, 8),
            mod=at(8, 8),
            ops=at(16, 8),
            perm=at(24, 2),
            level=26,
            flags=27,
            padding=counting(28, 4),
            arg=at(32, 8),
        ),
    ),
    Literal(
        "include/uapi/linux/btf.h, struct btf_header: every byte its offset",
        counting(0, 24).hex(),
        tables.BtfHeader(
            magic=at(0, 2),
            version=2,
            flags=3,
            hdr_len=at(4, 4),
            type_off=at(8, 4),
            type_len=at(12, 4),
            str_off=at(16, 4),
            str_len=at(20, 4),
        ),
    ),
    Literal(
        "include/uapi/linux/btf.h, struct btf_type: every byte its offset",
        counting(0, 12).hex(),
        btf.BtfType(name_off=at(0, 4), info=at(4, 4), size_or_type=at(8, 4)),
    ),
    Literal(
        "include/uapi/linux/btf.h, the word of BTF_KIND_INT: every byte its offset",
        counting(0, 4).hex(),
        btf.BtfInt(encoding=at(0, 4)),
    ),
    Literal(
        "include/uapi/linux/btf.h, struct btf_array: every byte its offset",
        counting(0, 12).hex(),
        btf.BtfArray(type=at(0, 4), index_type=at(4, 4), nelems=at(8, 4)),
    ),
    Literal(
        "include/uapi/linux/btf.h, struct btf_member: every byte its offset",
        counting(0, 12).hex(),
        btf.BtfMember(name_off=at(0, 4), type=at(4, 4), offset=at(8, 4)),
    ),
    Literal(
        "include/uapi/linux/btf.h, struct btf_enum: every byte its offset",
        counting(0, 8).hex(),
        btf.BtfEnum(name_off=at(0, 4), val=at(4, 4)),
    ),
    Literal(
        "include/uapi/linux/btf.h, struct btf_enum64: every byte its offset",
        counting(0, 12).hex(),
        btf.BtfEnum64(name_off=at(0, 4), val_lo32=at(4, 4), val_hi32=at(8, 4)),
    ),
    Literal(
        "include/uapi/linux/btf.h, struct btf_param: every byte its offset",
        counting(0, 8).hex(),
        btf.BtfParam(name_off=at(0, 4), type=at(4, 4)),
    ),
    Literal(
        "include/uapi/linux/btf.h, struct btf_var: every byte its offset",
        counting(0, 4).hex(),
        btf.BtfVar(linkage=at(0, 4)),
    ),
    Literal(
        "include/uapi/linux/btf.h, struct btf_var_secinfo: every byte its offset",
        counting(0, 12).hex(),
        btf.BtfVarSecinfo(type=at(0, 4), offset=at(4, 4), size=at(8, 4)),
    ),
    Literal(
        "include/uapi/linux/btf.h, struct btf_decl_tag: every byte its offset",
        counting(0, 4).hex(),
        btf.BtfDeclTag(component_idx=at(0, 4)),
    ),
    Literal(
        "a device 259:7, mode 0640, 1000:1001, of 2023-11-14 22:13:20; cpio -o -H newc",
        b"070701003BC0D2000061A0000003E8000003E9000000016553F10000000000"
        b"000000FE0000000000000103000000070000000500000000".hex(),
        cpio.CpioHeader(
            c_magic=b"070701",
            c_ino=b"003BC0D2",
            c_mode=b"000061A0",
            c_uid=b"000003E8",
            c_gid=b"000003E9",
            c_nlink=b"00000001",
            c_mtime=b"6553F100",
            c_filesize=b"00000000",
            c_maj=b"000000FE",
            c_min=b"00000000",
            c_rmaj=b"00000103",
            c_rmin=b"00000007",
            c_namesize=b"00000005",
            c_chksum=b"00000000",
        ),
    ),
    Literal(
        "buffer-format.rst, struct cpio_header: every field its own number",
        b"07070200001000000020010000300200004003000050040000600500007006"
        b"00008007000090080000A0090000B00A0000C00B0000D00C".hex(),
        cpio.CpioHeader(
            c_magic=b"070702",
            c_ino=b"00001000",
            c_mode=b"00002001",
            c_uid=b"00003002",
            c_gid=b"00004003",
            c_nlink=b"00005004",
            c_mtime=b"00006005",
            c_filesize=b"00007006",
            c_maj=b"00008007",
            c_min=b"00009008",
            c_rmaj=b"0000A009",
            c_rmin=b"0000B00A",
            c_namesize=b"0000C00B",
            c_chksum=b"0000D00C",
        ),
    ),
    Literal(
        "ar(5): ar of a file of 7 bytes, with every number its own",
        b"debian-binary   1600000000  1000  1001  100644  7         `\n".hex(),
        ar.ArHeader(
            ar_name=b"debian-binary   ",
            ar_date=b"1600000000  ",
            ar_uid=b"1000  ",
            ar_gid=b"1001  ",
            ar_mode=b"100644  ",
            ar_size=b"7         ",
            ar_fmag=b"`\n",
        ),
    ),
    Literal(
        "POSIX.1-2017, pax, ustar Header Block: every byte is its own offset",
        (bytes(range(256)) * 2).hex(),
        tar.TarHeader(
            name=counting(0, 100),
            mode=counting(100, 8),
            uid=counting(108, 8),
            gid=counting(116, 8),
            size=counting(124, 12),
            mtime=counting(136, 12),
            chksum=counting(148, 8),
            typeflag=counting(156, 1),
            linkname=(bytes(range(256)) * 2)[157:257],
            magic=counting(1, 6),
            version=counting(7, 2),
            uname=counting(9, 32),
            gname=counting(41, 32),
            devmajor=counting(73, 8),
            devminor=counting(81, 8),
            prefix=counting(89, 155),
            rest=counting(244, 12),
        ),
    ),
    Literal(
        "GNU tar, src/tar.h, struct oldgnu_header: every byte is its own offset",
        (bytes(range(256)) * 2).hex(),
        tar.GnuSparseHeader(
            before=(bytes(range(256)) * 2)[:386],
            map=counting(130, 96),
            isextended=counting(226, 1),
            realsize=counting(227, 12),
            rest=counting(239, 17),
        ),
    ),
    Literal(
        "GNU tar, src/tar.h, struct sparse_header: every byte is its own offset",
        (bytes(range(256)) * 2).hex(),
        tar.GnuSparseExtension(map=(bytes(range(256)) * 2)[:504], isextended=counting(248, 1), rest=counting(249, 7)),
    ),
    Literal(
        "rpm, lib/rpmlead.c, struct rpmlead_s: every byte is its own offset",
        bytes(range(96)).hex(),
        rpm.RpmLead(
            magic=counting(0, 4),
            major=4,
            minor=5,
            type=0x0607,
            archnum=0x0809,
            name=counting(10, 66),
            osnum=0x4C4D,
            signature_type=0x4E4F,
            reserved=counting(80, 16),
        ),
    ),
    Literal(
        "rpm, lib/header.c: a header of 7 tags in 84 bytes",
        "8eade801 00000000 00000007 00000054",
        rpm.RpmHeader(magic=b"\x8e\xad\xe8\x01", reserved=bytes(4), nindex=7, hsize=84),
    ),
    Literal(
        "rpm, lib/header.c, struct entryInfo_s: RPMTAG_BASENAMES, a string array of 5 names at 12",
        "0000045d 00000008 0000000c 00000005",
        rpm.RpmEntry(tag=1117, type=8, offset=12, values=5),
    ),
]
