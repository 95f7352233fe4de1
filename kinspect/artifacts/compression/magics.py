"""How compressed streams begin."""

from typing import NamedTuple


class Magic(NamedTuple):
    """The first bytes of a stream, the compression that they identify, and a title for such files."""

    magic: bytes
    compression: str
    title: str


MAGICS = (
    Magic(b"\x1f\x8b", "gzip", "gzip-compressed data"),
    Magic(b"BZh", "bzip2", "bzip2-compressed data"),
    Magic(b"\xfd7zXZ\0", "xz", "xz-compressed data"),
    Magic(b"\x28\xb5\x2f\xfd", "zstd", "zstd-compressed data"),
    Magic(b"\x02\x21\x4c\x18", "lz4", "lz4-compressed data (legacy frame)"),
    Magic(b"\x04\x22\x4d\x18", "lz4", "lz4-compressed data (frame)"),
    Magic(b"\x89LZO\0\r\n\x1a\n", "lzo", "lzop-compressed data"),
    Magic(b"\x5d\0\0", "lzma", "lzma-compressed data"),
)
MODULE_COMPRESSIONS = ("gzip", "xz", "zstd")
"""The compressions that kmod and the kernel read. Source: kmod, libkmod/libkmod-file.c; kernel/module/decompress.c."""


def compression_of(head: bytes) -> str:
    """The compression of a stream that begins with `head`; empty when none is recognised."""
    return next((magic.compression for magic in MAGICS if head.startswith(magic.magic)), "")


def module_compression_of(head: bytes) -> str:
    """The compression of a module that begins with `head`; empty when it is not one that kmod reads."""
    found = compression_of(head)
    return found if found in MODULE_COMPRESSIONS else ""
