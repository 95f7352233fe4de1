"""ELF64, little-endian. Source: include/uapi/linux/elf.h; the names are the specification's."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import S64, U8, U16, U32, U64, Raw, Sized

MAGIC = b"\x7fELF"
CLASS_64, DATA_LITTLE, MACHINE_AARCH64 = 2, 1, 183

ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
PF_X, PF_W, PF_R = 1, 2, 4
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_TLS = 1, 2, 3, 4, 7
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOTE, SHT_NOBITS = 1, 2, 3, 4, 7, 8
SHT_RELR = 19
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_COMPRESSED = 1, 2, 4, 0x400, 0x800
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON, SHN_XINDEX = 0, 0xFF00, 0xFFF1, 0xFFF2, 0xFFFF
PN_XNUM = 0xFFFF
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE = 0, 1, 2, 3, 4
R_AARCH64_NONE, R_AARCH64_ABS64, R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT, R_AARCH64_RELATIVE = 0, 257, 1025, 1026, 1027
NT_GNU_BUILD_ID = 3
ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD = 1, 2


class ElfHeader(NamedTuple):
    """Elf64_Ehdr."""

    e_ident: Annotated[bytes, Raw(16)]
    e_type: U16
    e_machine: U16
    e_version: U32
    e_entry: U64
    e_phoff: U64
    e_shoff: U64
    e_flags: U32
    e_ehsize: U16
    e_phentsize: U16
    e_phnum: U16
    e_shentsize: U16
    e_shnum: U16
    e_shstrndx: U16


class ProgramHeader(NamedTuple):
    """Elf64_Phdr: one segment."""

    p_type: U32
    p_flags: U32
    p_offset: U64
    p_vaddr: U64
    p_paddr: U64
    p_filesz: U64
    p_memsz: U64
    p_align: U64


class SectionHeader(NamedTuple):
    """Elf64_Shdr: one section."""

    sh_name: U32
    sh_type: U32
    sh_flags: U64
    sh_addr: U64
    sh_offset: U64
    sh_size: U64
    sh_link: U32
    sh_info: U32
    sh_addralign: U64
    sh_entsize: U64


class CompressionHeader(NamedTuple):
    """Elf64_Chdr: what a section with SHF_COMPRESSED begins with."""

    ch_type: U32
    ch_reserved: U32
    ch_size: U64
    ch_addralign: U64


class Symbol(NamedTuple):
    """Elf64_Sym."""

    st_name: U32
    st_info: U8
    st_other: U8
    st_shndx: U16
    st_value: U64
    st_size: U64


class Rela(NamedTuple):
    """Elf64_Rela."""

    r_offset: U64
    r_info: U64
    r_addend: S64

    @property
    def type(self) -> int:
        """The relocation's type: R_AARCH64_*."""
        return self.r_info & 0xFFFFFFFF

    @property
    def symbol(self) -> int:
        """The index of its symbol."""
        return self.r_info >> 32


class NoteEntry(NamedTuple):
    """Elf64_Nhdr, then name and description, each padded to 4 bytes."""

    n_namesz: U32
    n_descsz: U32
    n_type: U32
    name: Annotated[bytes, Sized("n_namesz", alignment=4)]
    desc: Annotated[bytes, Sized("n_descsz", alignment=4)]

    @property
    def owner(self) -> str:
        """The name without its NUL."""
        return self.name.rstrip(b"\0").decode("ascii", "backslashreplace")


class NoteHeader(NamedTuple):
    """The fixed part of a NoteEntry."""

    n_namesz: U32
    n_descsz: U32
    n_type: U32


class ArangesHeader(NamedTuple):
    """The header of one set of `.debug_aranges` in the 32-bit DWARF format; pairs of address and size follow.

    Source: DWARF 5, section 6.1.2.
    """

    unit_length: U32
    version: U16
    debug_info_offset: U32
    address_size: U8
    segment_selector_size: U8
