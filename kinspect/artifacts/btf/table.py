"""BTF: the table of a kernel's types, decoded in bulk.

A kernel has 100,000 to 130,000 types. No object is made for any of them: a type is its id, and its words are read from
one array.
"""

import os
from collections import Counter
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.errors import Location, MalformedError, TruncatedError, UnsupportedError
from kinspect.schemas import btf
from kinspect.schemas.btf import FOLLOWING, KINDS, MOST_TYPES, BtfType
from kinspect.schemas.record import size_of
from kinspect.schemas.tables import BTF_MAGIC, BtfHeader
from kinspect.source import Source

LARGEST = 64 << 20
"""The BTF of a kernel has about 5 MiB."""
_VERSION = 1
_HEAD = size_of(BtfType) // 4
_FIXED, _REPEATED = [0] * 32, [0] * 32
for _kind, (_record, _repeats) in enumerate(FOLLOWING):
    if _record is not None:
        (_REPEATED if _repeats else _FIXED)[_kind] = size_of(_record) // 4
REFERS = frozenset(
    {
        btf.PTR,
        btf.TYPEDEF,
        btf.VOLATILE,
        btf.CONST,
        btf.RESTRICT,
        btf.FUNC,
        btf.FUNC_PROTO,
        btf.VAR,
        btf.DECL_TAG,
        btf.TYPE_TAG,
    }
)
"""The kinds whose third word is the id of another type."""


class BtfFacts(NamedTuple):
    """What BTF contains: sizes in bytes, and the number of types of each kind that occurs."""

    path: str
    size: int
    types: int
    base_types: int
    kinds: tuple[tuple[str, int], ...]


class Btf(Artifact):
    """The types of a kernel, or of a module: these continue the ids and strings of the kernel's, its `base`.

    Ids count from 1; 0 is void. A part of a file has the file's path and a `part`.
    Source: include/uapi/linux/btf.h.
    """

    kind = "the types of a kernel (BTF)"
    hint = "`kinspect types` shows it"

    def __init__(self, source: Source | str | os.PathLike[str], base: "Btf | None" = None, part: str = "") -> None:
        super().__init__(source)
        self.base, self.part = base, part

    @cached_property
    def data(self) -> bytes:
        """All bytes. UnsupportedError over 64 MiB."""
        if self.size > LARGEST:
            raise UnsupportedError("too large for BTF", self.at(), expected=f"at most {LARGEST:,}", actual=self.size)
        return self.source.read(0, self.size, self.part)

    @cached_property
    def header(self) -> BtfHeader:
        """The header. MalformedError when it is not BTF, or types or strings lie outside the data."""
        header, size = self.record(BtfHeader, 0, self.part), len(self.data)
        if header.magic != BTF_MAGIC:
            at = self.at(f"{self.part} magic".strip(), 0)
            raise MalformedError("not BTF", at, expected=f"{BTF_MAGIC:#x}", actual=f"{header.magic:#x}")
        if header.version != _VERSION:
            at = self.at(f"{self.part} version".strip(), 2)
            raise UnsupportedError("unknown version of BTF", at, expected=_VERSION, actual=header.version)
        for name, offset, length in (
            ("hdr_len", 0, header.hdr_len - size_of(BtfHeader)),
            ("type_len", header.type_off, header.type_len),
            ("str_len", header.str_off, header.str_len),
        ):
            if length < 0 or header.hdr_len + offset + length > size:
                at = self.at(f"{self.part} {name}".strip(), BtfHeader._fields.index(name))
                raise TruncatedError("BTF ends past its data", at, expected=f"at most {size:,}", actual=length)
        if header.type_len % 4 or (header.hdr_len + header.type_off) % 4:
            at = self.at(f"{self.part} type_len".strip(), 12)
            raise MalformedError("the types are not aligned to 4 bytes", at, actual=header.type_len)
        return header

    @cached_property
    def words(self) -> memoryview:
        """The types as 32-bit words."""
        start = self.header.hdr_len + self.header.type_off
        return memoryview(self.data)[start : start + self.header.type_len].cast("I")

    @cached_property
    def _index(self) -> tuple[list[int], bytearray]:
        """Where each type starts, in words, and its kind; index 0 is void, or the last id of the base."""
        words = self.words.tolist()
        at, end = 0, len(words)
        starts, kinds = [0], bytearray(1)
        fixed, repeated = _FIXED, _REPEATED
        try:
            while at < end:
                info = words[at + 1]
                kind = info >> 24 & 0x1F
                starts.append(at)
                kinds.append(kind)
                at += 3 + fixed[kind] + (info & 0xFFFF) * repeated[kind]
        except IndexError:
            at = end + 1
        unknown = next((number for number, kind in enumerate(kinds) if number and not 0 < kind < len(KINDS)), 0)
        if unknown:
            where = self.at_type(self.first + unknown - 1, starts[unknown])
            raise UnsupportedError(
                "unknown kind of type", where, expected=f"1 to {len(KINDS) - 1}", actual=kinds[unknown]
            )
        if at > end:
            last = len(starts) - 1
            where = self.at_type(self.first + last - 1, starts[last])
            raise TruncatedError("the last type ends past the types", where, expected=f"at most {end * 4:,} bytes")
        if len(starts) > MOST_TYPES:
            raise UnsupportedError("too many types", self.at(self.part), expected=f"at most {MOST_TYPES:,}")
        return starts, kinds

    @cached_property
    def _starts(self) -> list[int]:
        return self._index[0]

    @cached_property
    def _kinds(self) -> bytearray:
        return self._index[1]

    def at_type(self, number: int, word: int) -> Location:
        """The location of a type that starts at a word."""
        offset = self.header.hdr_len + self.header.type_off + 4 * word
        return self.at(f"{self.part} type {number}".strip(), offset)

    @cached_property
    def first(self) -> int:
        """The id of the first type of its own."""
        return self.base.end if self.base else 1

    @cached_property
    def end(self) -> int:
        """One more than the last id."""
        return self.first + len(self._starts) - 1

    @property
    def ids(self) -> range:
        """The ids of its own types."""
        return range(self.first, self.end)

    @cached_property
    def _text(self) -> bytes:
        start = self.header.hdr_len + self.header.str_off
        return self.data[start : start + self.header.str_len]

    @cached_property
    def text_end(self) -> int:
        """Where the strings of a module that builds on this one start."""
        return self.text_start + self.header.str_len

    @cached_property
    def text_start(self) -> int:
        """The offset of its own first string."""
        return self.base.text_end if self.base else 0

    @cached_property
    def _names(self) -> dict[int, str]:
        """The strings by offset."""
        parts = self._text.decode("ascii", "surrogateescape").split("\0")
        starts = accumulate(map(len, parts), lambda at, size: at + size + 1, initial=self.text_start)
        return dict(zip(starts, parts, strict=False))

    def text(self, offset: int) -> str:
        """The string at an offset. MalformedError when it is outside the strings."""
        if offset < self.text_start and self.base:
            return self.base.text(offset)
        found = self._names.get(offset)
        if found is None:
            if offset >= self.text_end:
                at, expected = self.at(f"{self.part} strings".strip()), f"below {self.text_end:,}"
                raise MalformedError("the name of a type is outside the strings", at, expected=expected, actual=offset)
            # The end of another string.
            start = offset - self.text_start
            found = self._text[start : self._text.find(b"\0", start)].decode("ascii", "surrogateescape")
        return found

    def kind_of(self, number: int) -> int:
        """The kind of a type; 0 for void. MalformedError when there is no type of that id."""
        own = number - self.first
        if own < 0:
            return self.base.kind_of(number) if self.base else 0
        try:
            return self._kinds[own + 1]
        except IndexError:
            raise self._no_type(number) from None

    def start_of(self, number: int) -> int:
        """Where one of its own types starts, in words."""
        try:
            return self._starts[number - self.first + 1]
        except IndexError:
            raise self._no_type(number) from None

    def _no_type(self, number: int) -> MalformedError:
        at, expected = self.at(self.part), f"below {self.end}"
        return MalformedError("there is no type of that id", at, expected=expected, actual=number)

    def target_of(self, number: int) -> int:
        """The third word of a type: the type that it refers to, or a size. 0 for void; raises as `kind_of` does."""
        if number < self.first:
            return self.base.target_of(number) if self.base else 0
        return self.words[self.start_of(number) + 2]

    def name_offset(self, number: int) -> int:
        """The offset of a type's name; 0 when it has none. Raises as `kind_of` does."""
        if number < self.first:
            return self.base.name_offset(number) if self.base else 0
        return self.words[self.start_of(number)]

    def record_of(self, number: int) -> BtfType:
        """The words that a type starts with. Raises as `kind_of` does."""
        if number < self.first:
            return self.base.record_of(number) if self.base else BtfType(0, 0, 0)
        start = self.start_of(number)
        return BtfType(*self.words[start : start + _HEAD])

    def rows_of(self, number: int) -> list[int]:
        """The words that follow, of all rows. Raises as `kind_of` does."""
        if number < self.first:
            return self.base.rows_of(number) if self.base else []
        start, kind = self.start_of(number), self.kind_of(number)
        count = _FIXED[kind] + (self.words[start + 1] & 0xFFFF) * _REPEATED[kind]
        return self.words[start + _HEAD : start + _HEAD + count].tolist()

    def name_of(self, number: int) -> str:
        """The name of a type; empty for an anonymous one and for void."""
        offset = self.name_offset(number)
        return self.text(offset) if offset else ""

    def of_kind(self, *kinds: int) -> list[int]:
        """The ids of its own types of some kinds."""
        first = self.first - 1
        return [first + number for number, kind in enumerate(self._kinds) if kind in kinds]

    @cached_property
    def named(self) -> dict[str, list[int]]:
        """The ids of its own types by name, without anonymous ones."""
        found: dict[str, list[int]] = {}
        words, names = self.words, self._names
        for number, start in enumerate(self._starts[1:], start=self.first):
            offset = words[start]
            if offset:
                name = names.get(offset)
                found.setdefault(self.text(offset) if name is None else name, []).append(number)
        return found

    def with_name(self, name: str) -> list[int]:
        """The ids of all types of a name, of the base first."""
        return (self.base.with_name(name) if self.base else []) + self.named.get(name, [])

    @property
    def facts(self) -> BtfFacts:
        """The number of types. Raises as `header` does, and MalformedError when the types are broken."""
        counts = Counter(self._kinds[1:])
        kinds = tuple((KINDS[kind], count) for kind, count in sorted(counts.items()))
        return BtfFacts(self.path, len(self.data), len(self.ids), self.first - 1, kinds)
