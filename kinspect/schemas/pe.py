"""The PE/COFF headers that make a kernel image an EFI application."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import U8, U16, U32, U64, Raw, Sized

MAGIC = b"PE\0\0"
MACHINE_ARM64 = 0xAA64
PE32_PLUS = 0x20B
EFI_APPLICATION = 10
NX_COMPAT = 0x100
CERTIFICATE_DIRECTORY = 4
"""The index of the certificate table in the data directories."""
MEMORY_EXECUTE, MEMORY_WRITE = 0x20000000, 0x80000000


class CoffHeader(NamedTuple):
    """The COFF header, after `PE\\0\\0`. Source: include/linux/pe.h, struct pe_hdr."""

    machine: U16
    sections: U16
    timestamp: U32
    symbol_table: U32
    symbols: U32
    opt_hdr_size: U16
    flags: U16


class OptionalHeader(NamedTuple):
    """The PE32+ optional header up to its data directories. Source: include/linux/pe.h, struct pe32plus_opt_hdr."""

    magic: U16
    ld_major: U8
    ld_minor: U8
    text_size: U32
    data_size: U32
    bss_size: U32
    entry_point: U32  # from the start of the image in memory
    code_base: U32
    image_base: U64
    section_align: U32
    file_align: U32
    os_major: U16
    os_minor: U16
    image_major: U16
    image_minor: U16
    subsys_major: U16
    subsys_minor: U16
    win32_version: U32
    image_size: U32
    header_size: U32
    csum: U32
    subsys: U16
    dll_flags: U16
    stack_size_req: U64
    stack_size: U64
    heap_size_req: U64
    heap_size: U64
    loader_flags: U32
    data_dirs: U32


class DataDirectory(NamedTuple):
    """Address and size of one table. Source: include/linux/pe.h, struct data_dirent."""

    virtual_address: U32  # an offset in the file for the certificate table
    size: U32


class PeSectionHeader(NamedTuple):
    """One row of the section table. Source: include/linux/pe.h, struct section_header."""

    name: Annotated[bytes, Raw(8)]
    virtual_size: U32
    virtual_address: U32
    raw_data_size: U32
    data_addr: U32
    relocs: U32
    line_numbers: U32
    num_relocs: U16
    num_lin_numbers: U16
    flags: U32

    @property
    def title(self) -> str:
        """The name without its padding."""
        return self.name.split(b"\0", 1)[0].decode("ascii", "backslashreplace")


class WinCertificate(NamedTuple):
    """One signature at the end of a signed image. `length` includes these eight bytes; padding to 8 bytes follows.

    Source: include/linux/pe.h, struct win_certificate; Authenticode's WIN_CERTIFICATE.
    """

    length: U32
    revision: U16  # 0x200
    cert_type: U16  # 2: PKCS#7 signed data
    certificate: Annotated[bytes, Sized("length", alignment=8, without=8)]


class CertificateHeader(NamedTuple):
    """The fixed part of a WinCertificate, for walking a table without reading all of it."""

    length: U32
    revision: U16
    cert_type: U16
