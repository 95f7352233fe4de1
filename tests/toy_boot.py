"""Containers of boot loaders made of our own records, as mkimage and mkbootimg lay them out."""

import hashlib
import struct
import zlib
from collections.abc import Sequence

from kinspect.schemas.android import AvbFooter, BootHeader, BootHeaderV4, VendorBootHeader, VendorRamdisk
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
    """A multi-file uImage; its header says whether the first file is in gzip."""
    return uimage(multi(*files), MULTI, int(files[0].startswith(b"\x1f\x8b")))


def paged(page: int, *parts: bytes) -> bytes:
    """Parts of which each begins a page; the last page is filled too."""
    return b"".join(part + bytes(-len(part) % page) for part in parts)


def boot_id(*parts: bytes) -> bytes:
    """The id that mkbootimg writes."""
    digest = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        digest.update(part + struct.pack("<I", len(part)))
    return digest.digest().ljust(32, b"\0")


def boot_image(version: int, kernel: bytes, ramdisk: bytes = b"", dtb: bytes = b"", dtbo: bytes = b"") -> bytes:
    """An Android boot image of version 0 to 2."""
    page, sizes = 2048, (1632, 1648, 1660)
    hashed = [kernel, ramdisk, b"", *([dtbo] if version else []), *([dtb] if version > 1 else [])]
    offset = page * (1 + -(-len(kernel) // page) + -(-len(ramdisk) // page)) if dtbo else 0
    header = BootHeader(
        *(b"ANDROID!", len(kernel), 0x8000, len(ramdisk), 0x1000000, 0, 0, 0x100, page, version, 0),
        *(b"toy".ljust(16, b"\0"), b"console=ttyS0".ljust(512, b"\0"), boot_id(*hashed), b"quiet".ljust(1024, b"\0")),
        *(len(dtbo), offset, sizes[version], len(dtb), 0),
    )
    return paged(page, build(header)[: sizes[version]], kernel, ramdisk, dtbo, dtb)


def boot_image_v4(version: int, kernel: bytes, ramdisk: bytes = b"", signature: bytes = b"") -> bytes:
    """An Android boot image of version 3 or 4, or an init_boot image."""
    cmdline = b"console=ttyS0".ljust(1536, b"\0")
    sizes = (len(kernel), len(ramdisk), 0, 1580 + 4 * (version > 3))
    header = BootHeaderV4(b"ANDROID!", *sizes, bytes(16), version, cmdline, len(signature))
    return paged(4096, build(header)[: sizes[3]], kernel, ramdisk, signature)


def vendor_boot(ramdisks: Sequence[bytes], dtb: bytes, bootconfig: bytes = b"", version: int = 4) -> bytes:
    """An Android vendor boot image."""
    at, rows = 0, []
    for number, ramdisk in enumerate(ramdisks):
        rows.append(VendorRamdisk(len(ramdisk), at, number, f"dlkm{number}".encode().ljust(32, b"\0"), bytes(64)))
        at += len(ramdisk)
    table = b"".join(map(build, rows)) if version > 3 else b""
    size = 2112 + 16 * (version > 3)
    header = VendorBootHeader(
        *(b"VNDRBOOT", version, 4096, 0x8000, 0x1000000, at, b"androidboot.x=1".ljust(2048, b"\0"), 0x100),
        *(b"toy".ljust(16, b"\0"), size, len(dtb), 0, len(table), len(rows), 108, len(bootconfig)),
    )
    return paged(4096, build(header)[:size], b"".join(ramdisks), dtb, table, bootconfig)


def avb_footer(image: bytes, vbmeta: bytes, size: int) -> bytes:
    """A boot image as `avbtool add_hash_footer` leaves it: metadata behind it, and a footer at the end."""
    offset = -(-len(image) // 4096) * 4096
    footer = AvbFooter(b"AVBf", 1, 0, len(image), offset, len(vbmeta), bytes(28))
    return (image.ljust(offset, b"\0") + vbmeta).ljust(size - 64, b"\0") + build(footer)
