"""A header of an rpm package: numbers and strings by tag."""

import struct
from functools import cached_property

from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.schemas.package import rpm
from kinspect.schemas.package.rpm import RpmEntry, RpmHeader
from kinspect.schemas.record import parse_table, size_of
from kinspect.source import Source

_MOST_TAGS = 1 << 16
_LARGEST_VALUES = 64 << 20
_MOST_VALUES = 300_000
"""Of a tag: a package of a kernel's source has 90,000 files."""
_NUMBERS = {rpm.INT16: ("H", 2), rpm.INT32: ("I", 4), rpm.INT64: ("Q", 8)}
_STRINGS = (rpm.STRING, rpm.STRING_ARRAY, rpm.I18N_STRING)


class RpmTags:
    """The header at an offset of a package; `end` is the offset after it. Values are read when they are asked for."""

    def __init__(self, source: Source, offset: int, part: str) -> None:
        self._source, self._part, self.offset = source, part, offset
        header = parse_table(RpmHeader, source.read(offset, size_of(RpmHeader), part))[0]
        if header.magic != rpm.HEADER_MAGIC:
            at = Location(source.path, part, offset)
            raise MalformedError("not an rpm header", at, expected=rpm.HEADER_MAGIC, actual=header.magic)
        if header.nindex > _MOST_TAGS or header.hsize > _LARGEST_VALUES:
            expected = f"at most {_MOST_TAGS:,} tags and {_LARGEST_VALUES:,} bytes"
            raise UnsupportedError("the header is too large", Location(source.path, part, offset), expected=expected)
        self._count, self._size = header.nindex, header.hsize
        self._start = offset + size_of(RpmHeader) + header.nindex * size_of(RpmEntry)
        self.end = self._start + header.hsize
        self._known_numbers: dict[int, tuple[int, ...]] = {}
        self._known_names: dict[int, list[bytes]] = {}
        # It must be whole, even if only a part of it is used.
        if self.end > source.size:
            source.read(self.end - 1, 1, part)

    @cached_property
    def _entries(self) -> dict[int, RpmEntry]:
        table = self._source.read(self._start - self._count * size_of(RpmEntry), self._count * size_of(RpmEntry))
        return {entry.tag: entry for entry in parse_table(RpmEntry, table)}

    @cached_property
    def _offsets(self) -> list[int]:
        return sorted(entry.offset for entry in self._entries.values())

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The numbers of a tag; none when it is not there. Raises MalformedError."""
        if tag not in self._known_numbers:
            entry = self._entries.get(tag)
            self._known_numbers[tag] = self._numbers(entry) if entry else ()
        return self._known_numbers[tag]

    def names(self, tag: int) -> list[bytes]:
        """The strings of a tag; none when it is not there. Raises MalformedError."""
        if tag not in self._known_names:
            entry = self._entries.get(tag)
            self._known_names[tag] = self._names(entry) if entry else []
        return self._known_names[tag]

    def strings(self, tag: int) -> list[str]:
        """The strings of a tag, decoded."""
        return [name.decode("utf-8", "replace") for name in self.names(tag)]

    def string(self, tag: int) -> str:
        """The first string of a tag; empty when it is not there."""
        return next(iter(self.strings(tag)), "")

    def _numbers(self, entry: RpmEntry) -> tuple[int, ...]:
        code, width = _NUMBERS.get(entry.type, ("", 0))
        size = entry.values * width
        if not width or entry.offset + size > self._size or entry.values > _MOST_VALUES:
            raise self._broken(entry)
        return struct.unpack(f">{entry.values}{code}", self._source.read(self._start + entry.offset, size))

    def _names(self, entry: RpmEntry) -> list[bytes]:
        """Strings end with a NUL each, the last one before the values of another tag."""
        if entry.type not in _STRINGS or entry.offset > self._size or entry.values > _MOST_VALUES:
            raise self._broken(entry)
        end = next((offset for offset in self._offsets if offset > entry.offset), self._size)
        data = self._source.read(self._start + entry.offset, min(end, self._size) - entry.offset)
        count = 1 if entry.type == rpm.STRING else entry.values
        found = data.split(b"\0", count)
        if len(found) <= count:
            raise self._broken(entry)
        return found[:count]

    def _broken(self, entry: RpmEntry) -> MalformedError:
        at = Location(self._source.path, self._part, self._start + entry.offset)
        return MalformedError(f"the values of tag {entry.tag} are malformed", at)
