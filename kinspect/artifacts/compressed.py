"""Compressed kernel images: recognised and named."""

from typing import NamedTuple

from kinspect.artifacts.artifact import HEAD, Artifact, described


class CompressedFacts(NamedTuple):
    """What a compressed file says of itself."""

    path: str
    size: int
    format: str


class Compressed(Artifact):
    """An Image.gz, .bz2, .lzma, .lzo, .lz4, .zst or .xz. kinspect does not look inside yet."""

    kind = "compressed data"
    wrapping = True
    hint = "decompress it first"

    @property
    def facts(self) -> CompressedFacts:
        """Which compression it is."""
        return CompressedFacts(self.path, self.size, described(self.source.head(HEAD)))
