"""Compressed kernel images: Image.gz and its like. What is inside is read like any other file."""

from functools import cached_property

from kinspect.artifacts.artifact import HEAD
from kinspect.artifacts.boot.container import Stream, Wrapping

MAGICS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x89LZO\0\r\n\x1a\n": "lzo",
    b"\x5d\0\0": "lzma",
}
"""How each compression's streams begin."""


def compression_of(head: bytes) -> str:
    """The compression of a stream that begins so; empty when it is none that is known."""
    return next((name for magic, name in MAGICS.items() if head.startswith(magic)), "")


class Compressed(Wrapping):
    """An Image.gz, .bz2, .lzma, .lzo, .lz4, .zst or .xz.

    Source: arch/arm64/boot/Makefile; scripts/Makefile.lib.
    """

    kind = "a compressed kernel"

    @cached_property
    def stream(self) -> Stream:
        """The whole file."""
        return Stream(0, self.size, compression_of(self.source.head(HEAD)))
