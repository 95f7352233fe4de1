"""The bytes of a part of an initramfs, in blocks: those of the file, or those that a compressed stream holds."""

from collections.abc import Iterator

from kinspect.artifacts.compression.streams import pieces, too_large
from kinspect.artifacts.raw.limits import unpacked_limit
from kinspect.source import Source

_BLOCK = 1 << 18
LARGEST = 2 << 30
"""Bytes that one stream may unpack to; those of a distribution hold some hundred million."""


class Blocks:
    """Bytes that are read once, from start to end. `position` is the offset of the next byte in what is unpacked."""

    def __init__(self, source: Source, start: int, compression: str) -> None:
        self._source, self._start, self._compression = source, start, compression
        self._blocks = self._unpacked() if compression else self._plain()
        self._held, self._at = b"", 0
        self.position = 0
        self.end = start
        """The offset in the file up to which it was read, once everything is unpacked."""

    def _plain(self) -> Iterator[bytes]:
        for at in range(self._start, self._source.size, _BLOCK):
            yield self._source.read(at, min(_BLOCK, self._source.size - at))

    def _unpacked(self) -> Iterator[bytes]:
        total, most = 0, unpacked_limit(self._source.size - self._start, LARGEST)
        for piece, end in pieces(self._source, self._start, self._source.size, self._compression):
            self.end = end
            total += len(piece)
            if total > most:
                raise too_large(self._source, most)
            yield piece

    def some(self, most: int) -> bytes:
        """The next bytes, at least one and at most `most`; none at the end. Raises as `streams.pieces` does."""
        while self._at == len(self._held):
            found = next(self._blocks, None)
            if found is None:
                return b""
            self._held, self._at = found, 0
        data = self._held[self._at : self._at + most]
        self._at += len(data)
        self.position += len(data)
        return data

    def read(self, size: int) -> bytes:
        """The next `size` bytes, or fewer at the end."""
        data = self.some(size)
        while len(data) < size and (more := self.some(size - len(data))):
            data += more
        return data

    def skip_zeros(self) -> bytes:
        """Skip zeros: the byte after them, which stays to be read; nothing at the end."""
        while data := self.some(_BLOCK):
            rest = data.lstrip(b"\0")
            if rest:
                self._at -= len(rest)
                self.position -= len(rest)
                return rest[:1]
        return b""
