"""Wrappings: files with a compressed kernel inside, which becomes an artifact in memory."""

from functools import cached_property
from typing import ClassVar, NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.compression.magics import MODULE_COMPRESSIONS
from kinspect.artifacts.kinds import MODULE, Kind, advice, description, kind_of
from kinspect.artifacts.layer import Layer
from kinspect.artifacts.raw.limits import HEAD, LARGEST_KERNEL, unpacked_limit
from kinspect.errors import UnsupportedError, WrongKindError
from kinspect.source import Source


class Stream(NamedTuple):
    """The range of the file that has a compressed stream, in bytes, and its compression. The stream may end earlier."""

    start: int
    end: int
    compression: str


class Unpacked(NamedTuple):
    """The contents of a stream without padding, the offset after the stream, and the size of the padding."""

    data: bytearray
    end: int
    padding: int = 0


class Wrapping(Artifact):
    """A file with a compressed file inside. It is unpacked on first access."""

    kind = "a wrapped kernel (compressed, an EFI zboot image)"
    program: ClassVar[str] = ""
    """The program around the stream; empty when the file is only the stream."""

    @property
    def stream(self) -> Stream:
        """The compressed stream. KinspectError when its range cannot be determined."""
        raise NotImplementedError

    @cached_property
    def unpacked(self) -> Unpacked:
        """The unpacked contents.

        Raises MalformedError when the stream is broken or truncated, UnsupportedError when kinspect does not support
        the compression or the contents are larger than a kernel, WrongKindError when kinspect does not read them.
        """
        from kinspect.artifacts.compression.streams import COMPRESSIONS, pieces, too_large

        start, last, compression = self.stream
        if compression not in COMPRESSIONS:
            raise self.unsupported(compression)
        # The limit is for all nested wrappings together.
        most = unpacked_limit(last - start, LARGEST_KERNEL) - sum(layer.unpacked_size for layer in self.layers)
        found, end, known = bytearray(), start, False
        for piece, end in pieces(self.source, start, last, compression):  # noqa: B007  the last value is used
            found += piece
            # The first bytes show the kind, before the rest is unpacked.
            if not known and len(found) >= HEAD:
                self._kind_of(found)
                known = True
            if len(found) > most:
                # The error keeps this frame alive, and with it what was unpacked.
                found.clear()
                raise too_large(self.source, most)
        self._kind_of(found)
        self.source.close()
        padding = self.padding_in(found)
        if padding:
            del found[-padding:]
        return Unpacked(found, end, padding)

    def padding_in(self, data: bytearray) -> int:
        """How many of the last unpacked bytes are padding that belongs to the wrapping."""
        return 0

    def _kind_of(self, data: bytearray) -> Kind:
        """The kind of the unpacked file, by its first bytes. WrongKindError when kinspect does not read it."""
        kind = kind_of(bytes(data[:HEAD]))
        if kind and kind.reader:
            return kind
        problem = f"wrong kind of file inside {self.title}{advice(bytes(data[:HEAD]))}"
        actual = description(bytes(data[:HEAD])) if data else "nothing"
        raise WrongKindError(problem, self.at(), expected="a kernel", actual=actual)

    @property
    def title(self) -> str:
        """Its name in messages: `gzip`, `EFI zboot (gzip)`."""
        compression = self.stream.compression
        return f"{self.program} ({compression})" if self.program else compression

    def unsupported(self, compression: str) -> UnsupportedError:
        """The error for a compression that kinspect does not unpack."""
        return UnsupportedError("unknown compression", self.at(), actual=compression or "none")

    @cached_property
    def inside(self) -> Artifact:  # type: ignore[override]
        """The artifact inside, which may be another wrapping. Raises as `unpacked` does."""
        data = self.unpacked.data
        kind = self._kind_of(data)
        # Module does its own decompression: the compression is one of its facts.
        if kind == MODULE and self.wrapped_in is None and self.stream.compression in MODULE_COMPRESSIONS:
            return kind.read(self.source)
        found = kind.read(Source(self.path, data))
        found.wrapped_in = self
        return found

    @property
    def layer(self) -> Layer:
        """The sizes and offsets of this wrapping. Raises as `unpacked` does."""
        found, start = self.unpacked, self.stream.start
        total = len(found.data) + found.padding
        compression = self.stream.compression
        return Layer(
            self.program or compression, compression, self.size, start, found.end - start, total, found.padding
        )
