"""The header of an EFI zboot image: a small EFI program around a compressed kernel image."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import U32, Raw

MAGIC = b"zimg"
ARM64_MAGIC = 0x818223CD
COMPRESSIONS = {
    "gzip": "gzip",
    "lz4": "lz4",
    "lzma": "lzma",
    "lzo": "lzo",
    "xzkern": "xz",
    "zstd22": "zstd",
    "zstd": "zstd",
}
"""The header's name of each compression, and ours; the newest kernels write `zstd` instead of `zstd22`.

Source: drivers/firmware/efi/libstub/Makefile.zboot, comp-type.
"""


class ZbootHeader(NamedTuple):
    """The header of the EFI program. Source: drivers/firmware/efi/libstub/zboot-header.S."""

    mz: Annotated[bytes, Raw(4)]
    magic: Annotated[bytes, Raw(4)]
    payload_offset: U32
    payload_size: U32
    reserved: Annotated[bytes, Raw(8)]
    compression: Annotated[bytes, Raw(32)]  # NUL-terminated: gzip lz4 lzma lzo xzkern zstd22 zstd
    linux_magic: U32
    pe_offset: U32

    @property
    def compression_name(self) -> str:
        """The compression's name as the header spells it."""
        return self.compression.split(b"\0", 1)[0].decode("ascii", "backslashreplace")
