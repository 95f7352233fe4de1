"""The contents of sections that are read in parts: as they are in the file, or decompressed on the way.

A kernel has 250 MB of DWARF. Of a compressed section, a bounded part is kept in memory, even if its header claims more.
"""

import struct
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.errors import KinspectError, Location, MalformedError, TruncatedError, UnsupportedError
from kinspect.schemas import elf
from kinspect.schemas.elf import CompressionHeader
from kinspect.schemas.record import parse_table, size_of

# Not needed to list sections.
if TYPE_CHECKING:
    from kinspect.artifacts.compression.streams import Pieces

LARGEST_SECTION = 4 << 30
"""Limit in bytes of one section when decompressed: offsets in it have 32 bits."""
ALWAYS_UNPACKED, HIGHEST_RATIO = 16 << 20, 64
"""The compressed sections of a file may have ALWAYS_UNPACKED bytes, and HIGHEST_RATIO times the size of the file."""
LARGEST_KEPT, MOST_KEPT = 96 << 20, 256 << 20
"""A section up to LARGEST_KEPT stays in memory once it is read, if all of them have at most MOST_KEPT bytes."""
LAST_KEPT = 8 << 20
"""Bytes of a larger section that stay in memory."""
MOST_PASSES = 64
"""How often a larger section is decompressed from its start, because what is needed lies before what was read last."""
OLD_PREFIX, OLD_MAGIC = ".zdebug_", b"ZLIB"
_WINDOW = 1 << 16
_TYPES = {elf.ELFCOMPRESS_ZLIB: "zlib", elf.ELFCOMPRESS_ZSTD: "zstd"}


class SectionCompression(NamedTuple):
    """How a section is compressed: `zlib`, `zstd` or `type N`; its size when decompressed; its stream in the file."""

    name: str
    size: int
    start: int
    end: int


def section_compression(artifact: Elf, section: Section) -> SectionCompression | None:
    """How a section is compressed; None when it is not. MalformedError when its compression header is broken.

    Source: the ELF specification, "Section Compression"; binutils, bfd/compress.c, for `.zdebug_`.
    """
    old = section.name.startswith(OLD_PREFIX)
    if not section.in_file or not (old or section.flags & elf.SHF_COMPRESSED):
        return None
    head = 12 if old else size_of(CompressionHeader)
    if section.size < head:
        problem, at = "too short for a compression header", artifact.at(section.name, section.offset)
        raise MalformedError(problem, at, expected=f"at least {head} bytes", actual=section.size)
    data = artifact.source.read(section.offset, head, section.name)
    start, end = section.offset + head, section.offset + section.size
    if old:
        if not data.startswith(OLD_MAGIC):
            at = artifact.at(section.name, section.offset)
            raise MalformedError("wrong compression header", at, expected=OLD_MAGIC, actual=data[:4])
        return SectionCompression("zlib", struct.unpack(">Q", data[4:])[0], start, end)
    header = parse_table(CompressionHeader, data)[0]
    return SectionCompression(_TYPES.get(header.ch_type, f"type {header.ch_type}"), header.ch_size, start, end)


def compressed_sections(artifact: Elf) -> dict[int, SectionCompression]:
    """How the compressed sections of a file are compressed, by number; without those whose header is broken."""
    found = {}
    for section in artifact.sections:
        try:
            compression = section_compression(artifact, section)
        except MalformedError:
            continue
        if compression:
            found[section.number] = compression
    return found


class Contents:
    """The bytes of a section that is stored as it is. `size` is what the section header says."""

    def __init__(self, artifact: Elf, section: Section) -> None:
        self._artifact, self._section = artifact, section
        self.size = section.file_size

    @property
    def readable(self) -> int:
        """The size of the part that the file has."""
        return max(0, min(self.size, self._artifact.size - self._section.offset))

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` in the section. TruncatedError when they are not there."""
        return self._artifact.source.read(self._section.offset + offset, size, self._section.name)

    def at(self, offset: int) -> Location:
        """The location of a byte."""
        return self._artifact.at(self._section.name, self._section.offset + offset)


class CompressedContents(Contents):
    """The bytes of a compressed section, which is decompressed up to what is read. `size` is when decompressed.

    `read` also raises MalformedError when the stream is broken or has another size than the compression header says,
    and UnsupportedError when it needs too much memory.
    """

    def __init__(self, artifact: Elf, section: Section, compression: SectionCompression, kept: int) -> None:
        super().__init__(artifact, section)
        self.size, self._compression, self._most = compression.size, compression, max(1, kept // _WINDOW)
        self._windows: dict[int, bytes] = {}
        self._passes = 0
        self._restart()

    @property
    def readable(self) -> int:
        """The size of all of it: whether the stream has as many bytes is only known at its end."""
        return self.size

    def at(self, offset: int) -> Location:
        """The location of a byte: an offset in the decompressed section."""
        return self._artifact.at(f"decompressed {self._section.name}", offset)

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` in the decompressed section."""
        if offset < 0 or size < 0 or offset + size > self.size:
            have = max(0, self.size - max(offset, 0))
            problem, expected = "the section is too short", f"{size:,} bytes"
            raise TruncatedError(problem, self.at(offset), expected=expected, actual=f"{have:,}")
        first, last = offset // _WINDOW, (offset + size - 1) // _WINDOW
        start = offset - first * _WINDOW
        return b"".join([self._window(number) for number in range(first, last + 1)])[start : start + size]

    def _window(self, number: int) -> bytes:
        if number not in self._windows:
            if number < self._next:
                self._restart()
            while self._next <= number:
                self._add_window()
        return self._windows[number]

    def _restart(self) -> None:
        self._passes += 1
        if self._passes > MOST_PASSES:
            expected, actual = f"at most {MOST_PASSES} passes", "more"
            problem = "a compressed section is read too often: decompress it with `objcopy --decompress-debug-sections`"
            raise UnsupportedError(problem, self._artifact.at(self._section.name), expected=expected, actual=actual)
        from kinspect.artifacts.compression.streams import pieces

        found = self._compression
        self._stream: Pieces = pieces(self._artifact.source, found.start, found.end, found.name)
        self._next, self._ahead = 0, bytearray()

    def _add_window(self) -> None:
        start = self._next * _WINDOW
        size = min(_WINDOW, self.size - start)
        while len(self._ahead) < size:
            piece = self._piece()
            if piece is None:
                raise self._wrong_size(f"{start + len(self._ahead):,}")
            self._ahead += piece
        self._windows[self._next] = bytes(self._ahead[:size])
        del self._ahead[:size]
        self._next += 1
        if len(self._windows) > self._most:
            del self._windows[next(iter(self._windows))]
        if start + size == self.size:
            # The end of the stream, where its checksum is.
            while not self._ahead and (piece := self._piece()) is not None:
                self._ahead += piece
            if self._ahead:
                raise self._wrong_size("more")

    def _piece(self) -> bytes | None:
        try:
            piece = next(self._stream, None)
            return None if piece is None else piece[0]
        except KinspectError as error:
            at = error.at._replace(part=f"{self._section.name}, {error.at.part}")
            raise type(error)(error.problem, at, expected=error.expected, actual=error.actual) from error

    def _wrong_size(self, actual: str) -> MalformedError:
        problem, expected = "the compressed section has another size than its header says", f"{self.size:,} bytes"
        return MalformedError(problem, self._artifact.at(self._section.name), expected=expected, actual=actual)


class SectionReader:
    """The contents of an ELF file's sections, with one limit for all that are compressed."""

    def __init__(self, artifact: Elf) -> None:
        self._artifact = artifact
        self._left = ALWAYS_UNPACKED + HIGHEST_RATIO * artifact.size
        self._kept = MOST_KEPT
        self._known: dict[int, Contents] = {}

    def contents(self, section: Section) -> Contents:
        """The contents of a section. UnsupportedError when it is too large or its compression is unknown."""
        if section.number not in self._known:
            self._known[section.number] = self._opened(section)
        return self._known[section.number]

    def _opened(self, section: Section) -> Contents:
        found = section_compression(self._artifact, section)
        if found is None:
            return Contents(self._artifact, section)
        at = self._artifact.at(section.name, section.offset)
        if found.name not in _TYPES.values():
            problem, expected = "unknown compression of a section", "zlib (1) or zstd (2)"
            raise UnsupportedError(problem, at, expected=expected, actual=found.name)
        most = min(LARGEST_SECTION, self._left)
        if found.size > most:
            problem, actual = "too large when decompressed", f"{found.size:,}"
            raise UnsupportedError(problem, at, expected=f"at most {most:,} bytes", actual=actual)
        if found.end > self._artifact.size:
            problem, expected = "the compressed section reaches past the file", f"at most {self._artifact.size:,}"
            raise TruncatedError(problem, at, expected=expected, actual=found.end)
        self._left -= found.size
        kept = found.size if found.size <= min(LARGEST_KEPT, self._kept) else min(LAST_KEPT, self._kept)
        self._kept -= kept
        # Rounded up to whole windows.
        return CompressedContents(self._artifact, section, found, kept + _WINDOW)


def contents_of(artifact: Elf, section: Section) -> Contents:
    """The contents of a section, which stay with the file. Raises as `SectionReader.contents` does."""
    return artifact.cached(SectionReader).contents(section)
