"""Wrappings: files with a kernel inside, compressed. What is inside is an artifact whose bytes are in memory."""

from functools import cached_property
from typing import ClassVar, NamedTuple

from kinspect.artifacts.artifact import HEAD, MODULE, Artifact, FileMagic, described, read_by, signature_of
from kinspect.artifacts.boot.image import LARGEST_KERNEL
from kinspect.errors import UnsupportedError, WrongKindError
from kinspect.source import Source


class Stream(NamedTuple):
    """Where a compressed stream lies at most, in bytes from the start of the file, and how it is compressed."""

    start: int
    end: int
    compression: str


class Layer(NamedTuple):
    """One wrapping around a kernel. Offset and sizes in bytes.

    `size` is that of the wrapping, in which the stream of `packed_size` lies at `offset`; `unpacked_size` bytes come
    out of it, the last `padding` of which are zeros that belong to the wrapping. `name` is "EFI zboot" or, like
    `compression`, that of a compression.
    """

    name: str
    compression: str
    size: int
    offset: int
    packed_size: int
    unpacked_size: int
    padding: int

    @property
    def title(self) -> str:
        """How it is called: `gzip`, `EFI zboot (gzip)`."""
        return self.name if self.name == self.compression else f"{self.name} ({self.compression})"


class Unpacked(NamedTuple):
    """What came out of a stream, without padding, and the offset behind the stream."""

    data: bytearray
    end: int
    padding: int = 0


class Wrapping(Artifact):
    """A file with another one inside, compressed. Nothing is unpacked until it is asked for."""

    kind = "a wrapped kernel (compressed, an EFI zboot image)"
    wrapping = True
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
                self._signature(found)
                known = True
            if len(found) > most:
                raise too_large(self.source, most)
        self._signature(found)
        self.source.close()
        padding = self.padding_in(found)
        if padding:
            del found[-padding:]
        return Unpacked(found, end, padding)

    def padding_in(self, data: bytearray) -> int:
        """How many of the last bytes that came out belong to the wrapping."""
        return 0

    def _signature(self, data: bytearray) -> FileMagic:
        """What the first bytes that came out say it is. WrongKindError when it is nothing that kinspect reads."""
        signature = signature_of(bytes(data[:HEAD]))
        if signature and signature.reader:
            return signature
        problem = f"nothing that kinspect reads is inside this {self.title}"
        actual = described(bytes(data[:HEAD])) if data else "nothing"
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
    def inside(self) -> Artifact:
        """The artifact inside; it may be a wrapping again. Raises as `unpacked` does."""
        from kinspect.artifacts.compression.streams import MODULE_FORMATS

        data = self.unpacked.data
        reader = self._signature(data).reader
        # A module unpacks itself: its compression is one of its facts.
        if reader == MODULE and self.wrapped_in is None and self.stream.compression in MODULE_FORMATS.values():
            return read_by(reader, self.source)
        found = read_by(reader, Source(self.path, data))
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
