"""The header of U-Boot's legacy image. Its numbers are big-endian."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import B32, U8, Raw

MAGIC = b"\x27\x05\x19\x56"
ARM64 = 22
"""IH_ARCH_ARM64."""
KERNEL, RAMDISK, MULTI, SCRIPT, FLATDT, KERNEL_NOLOAD = 2, 3, 4, 6, 8, 14
"""Values of ih_type: IH_TYPE_KERNEL and so on."""
COMPRESSIONS = {0: "none", 1: "gzip", 2: "bzip2", 3: "lzma", 4: "lzo", 5: "lz4", 6: "zstd"}
"""Values of ih_comp: IH_COMP_NONE and so on."""


class UimageHeader(NamedTuple):
    """The first 64 bytes of a uImage. Source: U-Boot, include/image.h, struct legacy_img_hdr."""

    ih_magic: B32
    ih_hcrc: B32  # of the header, with zero in this field
    ih_time: B32
    ih_size: B32  # of the data, in bytes
    ih_load: B32
    ih_ep: B32
    ih_dcrc: B32  # of the data
    ih_os: U8
    ih_arch: U8
    ih_type: U8
    ih_comp: U8
    ih_name: Annotated[bytes, Raw(32)]
