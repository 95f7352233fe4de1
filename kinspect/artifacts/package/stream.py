"""The bytes of a part of a package, plain or unpacked, read once from start to end."""

from collections.abc import Generator, Iterator

from kinspect.artifacts.compression.streams import pieces, too_large
from kinspect.artifacts.package.member import LARGEST_PACKAGE
from kinspect.artifacts.raw.limits import unpacked_limit
from kinspect.errors import Location, MalformedError, TruncatedError
from kinspect.source import Source

_BLOCK = 1 << 18


class PackageStream:
    """The bytes between two offsets of a file, decompressed when `compression` names one.

    `part` names them in errors. `position` is the offset of the next byte, in what is unpacked.
    """

    def __init__(self, source: Source, start: int, end: int, compression: str, part: str = "") -> None:
        self.position = 0
        self.part = part
        self._source, self._start, self._end, self._compression = source, start, end, compression
        self._held, self._at = memoryview(b""), 0
        self._next = start
        """Of a plain part, the offset in the file of what follows `_held`; else how far the file was read."""
        self._most = unpacked_limit(end - start, LARGEST_PACKAGE)
        self._total = 0
        self._pieces = pieces(source, start, end, compression) if compression else iter(())

    def place(self, offset: int, name: str = "") -> Location:
        """A place in errors: an offset in what is unpacked; `name` is that of a member."""
        if not self._compression:
            return Location(self._source.path, name or self.part, self._start + offset)
        return Location(self._source.path, f"unpacked {name or self.part}".rstrip(), offset)

    def read_ahead(self) -> None:
        """Let threads unpack what is read next, before anything is read. It must be closed."""
        if self._compression:
            from kinspect.artifacts.compression.ahead import pieces_ahead

            self._pieces = pieces_ahead(self._source, self._start, self._end, self._compression)

    def close(self) -> None:
        """End the threads."""
        if isinstance(self._pieces, Generator):
            self._pieces.close()

    def _unpacked(self) -> bytes:
        """The next piece of what is unpacked; none at the end."""
        for piece, end in self._pieces:
            self._next = end
            self._total += len(piece)
            if self._total > self._most:
                raise too_large(self._source, self._most)
            if piece:
                return piece
        return b""

    def _fill(self) -> bool:
        """Hold the next bytes; False at the end. Raises as `streams.pieces` does, and UnsupportedError over a limit."""
        if not self._compression:
            size = min(_BLOCK, self._end - self._next)
            found = self._source.read(self._next, size) if size else b""
            self._next += size
        else:
            found = self._unpacked()
        self._held, self._at = memoryview(found), 0
        return bool(found)

    def some(self, most: int) -> memoryview:
        """The next bytes, at least one and at most `most`; none at the end. Nothing is copied."""
        if self._at == len(self._held) and not self._fill():
            return self._held
        data = self._held[self._at : self._at + most]
        self._at += len(data)
        self.position += len(data)
        return data

    def read(self, size: int, what: str) -> bytes:
        """Exactly `size` bytes; nothing when the end is here. TruncatedError in between; `what` names them."""
        data = bytes(self.some(size))
        while len(data) < size:
            more = self.some(size - len(data))
            if not more:
                if data:
                    raise self.cut(f"inside {what}")
                return b""
            data += more
        return data

    def exactly(self, size: int, what: str) -> bytes:
        """Exactly `size` bytes. TruncatedError when there are fewer; `what` names them."""
        data = self.read(size, what)
        if len(data) < size:
            raise self.cut(f"inside {what}")
        return data

    def blocks(self, size: int, what: str) -> Iterator[memoryview]:
        """The next `size` bytes. TruncatedError when there are fewer; `what` names them."""
        while size:
            data = self.some(size)
            if not data:
                raise self.cut(f"inside {what}")
            size -= len(data)
            yield data

    def skip(self, size: int, what: str) -> None:
        """Go on after the next `size` bytes, which are not read if they are not compressed."""
        held = min(size, len(self._held) - self._at)
        self._at += held
        self.position += held
        size -= held
        if size and not self._compression:
            if size > self._end - self._next:
                self.position += self._end - self._next
                raise self.cut(f"inside {what}")
            self._next += size
            self.position += size
            return
        while size:
            data = self.some(size)
            if not data:
                raise self.cut(f"inside {what}")
            size -= len(data)

    def cut(self, where: str) -> TruncatedError:
        """The error for an archive that ends here: `where` that is, such as "inside a header"."""
        return TruncatedError(f"the archive ends {where}", self.place(self.position))

    def finish(self) -> None:
        """Read the rest, so that the sums of a compressed stream are compared. MalformedError when more follows it."""
        if not self._compression:
            return
        while self.some(_BLOCK):
            pass
        for at in range(self._next, self._end, _BLOCK):
            data = self._source.read(at, min(_BLOCK, self._end - at)).lstrip(b"\0")
            if data:
                found = f"{self._end - self._next:,} bytes that are not a {self._compression} stream follow one"
                raise MalformedError(found, Location(self._source.path, self.part, self._next))
