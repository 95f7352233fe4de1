"""Compressed kernel images: Image.gz and the like."""

from collections.abc import Iterator
from functools import cached_property

from kinspect.artifacts.artifact import Artifact
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

    def trees(self) -> Iterator[Artifact]:
        """The device trees behind the stream: those of an Image.gz-dtb. Raises as `unpacked` does."""
        if self.unpacked.end < self.size:
            from kinspect.artifacts.boot.parts import joined_trees

            yield from joined_trees(self.source, self.unpacked.end, f"{self.path}:dtb")
