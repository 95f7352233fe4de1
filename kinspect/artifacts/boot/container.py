"""Wrappings: files with a kernel inside, compressed. What is inside is an artifact whose bytes are in memory."""

from functools import cached_property
from typing import ClassVar, NamedTuple

from kinspect.artifacts.artifact import Artifact, Layer
from kinspect.artifacts.compression.magics import MODULE_COMPRESSIONS
from kinspect.artifacts.kinds import MODULE, Kind, description, kind_of
from kinspect.artifacts.raw.limits import HEAD, LARGEST_KERNEL
from kinspect.errors import UnsupportedError, WrongKindError
from kinspect.source import Source


class Stream(NamedTuple):
    """Where a compressed stream lies at most, in bytes from the start of the file, and how it is compressed."""

    start: int
    end: int
    compression: str


class Unpacked(NamedTuple):
    """What came out of a stream, without padding, and the offset behind the stream."""

    data: bytearray
    end: int
    padding: int = 0


class Wrapping(Artifact):
    """A file with another one inside, compressed. Nothing is unpacked until it is asked for."""

    kind = "a wrapped kernel (compressed, an EFI zboot image)"
    program: ClassVar[str] = ""
    """The program that the stream lies in, if it is not alone."""

    @property
    def stream(self) -> Stream:
        """Where the compressed stream lies. KinspectError when that cannot be told."""
        raise NotImplementedError

    @cached_property
    def unpacked(self) -> Unpacked:
        """What is inside.

        Raises MalformedError when the stream is broken or truncated, UnsupportedError when kinspect does not read such
        streams or more comes out than a kernel may have, WrongKindError when what comes out is no kernel.
        """
        from kinspect.artifacts.compression.streams import COMPRESSIONS, pieces, too_large

        start, last, compression = self.stream
        if compression not in COMPRESSIONS:
            raise self.unread(compression)
        # What wrappings in wrappings take together.
        most = LARGEST_KERNEL - sum(layer.unpacked_size for layer in self.layers)
        found, end, known = bytearray(), start, False
        for piece, end in pieces(self.source, start, last, compression):  # noqa: B007  the last one counts
            found += piece
            # The first bytes tell, before all the others are unpacked.
            if not known and len(found) >= HEAD:
                self._kind_of(found)
                known = True
            if len(found) > most:
                raise too_large(self.source, most)
        self._kind_of(found)
        self.source.close()
        padding = self.padding_in(found)
        if padding:
            del found[-padding:]
        return Unpacked(found, end, padding)

    def padding_in(self, data: bytearray) -> int:
        """How many of the last bytes that came out belong to the wrapping."""
        return 0

    def _kind_of(self, data: bytearray) -> Kind:
        """The kind of the unpacked file, by its first bytes. WrongKindError when kinspect does not read it."""
        kind = kind_of(bytes(data[:HEAD]))
        if kind and kind.reader:
            return kind
        problem = f"nothing that kinspect reads is inside this {self.title}"
        actual = description(bytes(data[:HEAD])) if data else "nothing"
        raise WrongKindError(problem, self.at(), expected="a kernel", actual=actual)

    @property
    def title(self) -> str:
        """What it is called where it wraps something: `gzip`, `EFI zboot (gzip)`."""
        compression = self.stream.compression
        return f"{self.program} ({compression})" if self.program else compression

    def unread(self, compression: str) -> UnsupportedError:
        """Why kinspect does not unpack a compression, and what helps."""
        if compression == "lzo":
            helps = "unpack it with `lzop -d`, or build with another"
            return UnsupportedError(f"lzo is not read: {helps}", self.at())
        return UnsupportedError("an unknown compression", self.at(), actual=compression or "none")

    @cached_property
    def inside(self) -> Artifact:  # type: ignore[override]
        """The artifact inside; it may be a wrapping again. Raises as `unpacked` does."""
        data = self.unpacked.data
        kind = self._kind_of(data)
        # A module unpacks itself: its compression is one of its facts.
        if kind == MODULE and self.wrapped_in is None and self.stream.compression in MODULE_COMPRESSIONS:
            return kind.read(self.source)
        found = kind.read(Source(self.path, data))
        found.wrapped_in = self
        return found

    @property
    def layer(self) -> Layer:
        """This wrapping in numbers."""
        found, start = self.unpacked, self.stream.start
        total = len(found.data) + found.padding
        compression = self.stream.compression
        return Layer(
            self.program or compression, compression, self.size, start, found.end - start, total, found.padding
        )
