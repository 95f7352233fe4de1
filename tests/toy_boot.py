"""Containers of boot loaders made of our own records, as mkimage and mkbootimg lay them out."""

import struct
import zlib

from kinspect.schemas.record import build
from kinspect.schemas.uimage import ARM64, KERNEL, MULTI, UimageHeader


def multi(*files: bytes) -> bytes:
    """The data of a multi-file uImage: the sizes of its files and a zero, then each file, padded."""
    sizes = struct.pack(f">{len(files) + 1}I", *map(len, files), 0)
    return sizes + b"".join(file + bytes(-len(file) % 4) for file in files[:-1]) + files[-1]


def uimage(
    data: bytes,
    ih_type: int = KERNEL,
    ih_comp: int = 0,
    ih_arch: int = ARM64,
    ih_hcrc: int | None = None,
    ih_dcrc: int | None = None,
) -> bytes:
    """A uImage with right checksums, unless they are given."""
    header = UimageHeader(
        *(0x27051956, 0, 1_700_000_000, len(data), 0x80000, 0x80000),
        zlib.crc32(data) if ih_dcrc is None else ih_dcrc,
        *(5, ih_arch, ih_type, ih_comp, b"toy".ljust(32, b"\0")),
    )
    return build(header._replace(ih_hcrc=zlib.crc32(build(header)) if ih_hcrc is None else ih_hcrc)) + data


def uimage_of_files(*files: bytes) -> bytes:
    """A multi-file uImage."""
    return uimage(multi(*files), MULTI)
