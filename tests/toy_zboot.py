"""EFI zboot images made of our own records, as the kernel's zboot-header.S and Makefile.zboot lay them out."""

import bz2
import gzip
import lzma
import struct
import subprocess
from collections.abc import Callable

from kinspect.schemas.image import ImageHeader
from kinspect.schemas.pe import (
    EFI_APPLICATION,
    MACHINE_ARM64,
    NX_COMPAT,
    PE32_PLUS,
    CoffHeader,
    DataDirectory,
    OptionalHeader,
    PeSectionHeader,
)
from kinspect.schemas.pe import MAGIC as PE_MAGIC
from kinspect.schemas.record import build, parse, size_of
from kinspect.schemas.zboot import ARM64_MAGIC, ZbootHeader

HEADER, CODE, DATA = 4096, 512, 512
PAYLOAD = HEADER + CODE
NAMES = {"gzip": "gzip", "lz4": "lz4", "lzma": "lzma", "xzkern": "xz", "zstd22": "zstd", "zstd": "zstd"}
"""The compressions of a zboot image that kinspect unpacks, as the header and as kinspect call them."""
COMMANDS = {
    "gzip": ["gzip", "-n", "-f", "-1", "-c"],
    "bzip2": ["bzip2", "-1", "-c"],
    "lzma": ["lzma", "-1", "-c"],
    "xz": ["xz", "-1", "--check=crc32", "-c"],
    "zstd": ["zstd", "-q", "-1", "-c"],
    "lz4": ["lz4", "-q", "-l", "-1", "-c"],
    "lz4 frame": ["lz4", "-q", "-1", "-c"],
}
"""How each is made: as the kernel's build does, but for the level, which takes the build's time."""


def compressed(data: bytes, form: str, tool: Callable[[str], str]) -> bytes:
    """Data compressed by the real tool."""
    name, *options = COMMANDS[form]
    return subprocess.run([tool(name), *options], input=data, capture_output=True, check=True).stdout


def squeezed(data: bytes, form: str) -> bytes:
    """The same by Python's own libraries, where a test needs no tool."""
    makers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "bzip2": bz2.compress,
        "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
        "xz": lambda data: lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32),
        "lz4": lz4_stored,
    }
    return makers[form](data)


def lz4_stored(data: bytes) -> bytes:
    """The legacy frame of lz4 with nothing but literals."""
    blocks = b"\x02\x21\x4c\x18"
    for start in range(0, len(data), 8 << 20):
        part = data[start : start + (8 << 20)]
        more, rest = divmod(len(part) - 15, 255)
        block = b"\xf0" + b"\xff" * more + bytes([rest]) + part if len(part) >= 15 else bytes([len(part) << 4]) + part
        blocks += struct.pack("<I", len(block)) + block
    return blocks


def padded(image: bytes) -> bytes:
    """An Image with zeros to its size in memory, as Makefile.zboot pads it."""
    return image.ljust(parse(ImageHeader, image[:64]).image_size, b"\0")


def appended(size: int) -> bytes:
    """The size that the build appends to what is compressed."""
    return struct.pack("<I", size & 0xFFFFFFFF)


def zboot(payload: bytes, name: str, size: int | None = None) -> bytes:
    """A zboot image around a payload; its size when unpacked follows it, unless that is None."""
    behind = b"" if size is None else appended(size)
    text = bytes(CODE) + payload + behind
    text += bytes(-len(text) % 512)
    end = HEADER + len(text)
    header = ZbootHeader(
        b"MZ\0\0", b"zimg", PAYLOAD, len(payload), bytes(8), name.encode().ljust(32, b"\0"), ARM64_MAGIC, 64
    )
    directories, sections = [DataDirectory(0, 0)] * 6, 2
    optional = OptionalHeader(
        *(PE32_PLUS, 0, 0, len(text), DATA, 0, HEADER + 16, HEADER, 0, 4096, 512, 0, 0, 1, 1, 0, 0, 0),
        *(end + DATA, HEADER, 0, EFI_APPLICATION, NX_COMPAT, 0, 0, 0, 0, 0, len(directories)),
    )
    rows = b"".join(map(build, directories))
    coff = CoffHeader(MACHINE_ARM64, sections, 0, 0, 0, size_of(OptionalHeader) + len(rows), 0x206)
    table = (
        PeSectionHeader(b".text".ljust(8, b"\0"), len(text), HEADER, len(text), HEADER, 0, 0, 0, 0, 0x60000020),
        PeSectionHeader(b".data".ljust(8, b"\0"), DATA, end, DATA, end, 0, 0, 0, 0, 0xC0000040),
    )
    head = b"".join([build(header), PE_MAGIC, build(coff), build(optional), rows, *map(build, table)])
    return head.ljust(HEADER, b"\0") + text + bytes(DATA)
