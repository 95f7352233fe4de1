"""Compressed kernel images: Image.gz and the like."""

from functools import cached_property

from kinspect.artifacts.boot.container import Stream, Wrapping
from kinspect.artifacts.compression.magics import compression_of
from kinspect.artifacts.raw.limits import HEAD


class Compressed(Wrapping):
    """An Image.gz, .bz2, .lzma, .lzo, .lz4, .zst or .xz.

    Source: arch/arm64/boot/Makefile; scripts/Makefile.lib.
    """

    kind = "a compressed kernel"
    hint = "unpack it first"

    @cached_property
    def stream(self) -> Stream:
        """The whole file, with the compression that its first bytes show."""
        return Stream(0, self.size, compression_of(self.source.head(HEAD)))
