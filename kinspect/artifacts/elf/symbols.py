"""A symbol table, kept as bytes and read by column: a kernel has 300,000 symbols."""

import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import compress
from typing import NamedTuple

from kinspect.artifacts.elf.strings import StringTable
from kinspect.schemas.elf import (
    SHN_LORESERVE,
    STB_LOCAL,
    STT_FILE,
    STT_FUNC,
    STT_OBJECT,
    STT_SECTION,
    Symbol,
)
from kinspect.schemas.record import offsets, packed_column, size_of
from kinspect.source import Source

_DOLLAR = ord("$")
_ALIASES, _TAIL = 32, 5
_FEW, _WIDTH = 8, 4
"""So few offsets in the strings, of so many bytes each, are searched for one by one."""
_MOST_SEARCHES = 64
"""Names that are searched for in the column of names; for more it is indexed, which takes as long as six searches."""
_LOCAL = bytes(range(16))
"""The st_info of local symbols."""
RANKS = [2 * (info & 15 in (STT_FUNC, STT_OBJECT)) + (info >> 4 != STB_LOCAL) for info in range(256)]
"""Rank by st_info among symbols at one address: typed ones are better than others, then global ones than local."""


class SymbolOffset(NamedTuple):
    """An address as `symbol+offset/size`, without the size when the symbol has none."""

    symbol: str
    offset: int
    size: int

    def __str__(self) -> str:
        size = f"/{self.size:#x}" if self.size else ""
        return f"{self.symbol}+{self.offset:#x}{size}"


class Symbols:
    """The columns of a symbol table; all sequences have the same length."""

    def __init__(self, table: bytes, names: bytes) -> None:
        self._table = table[: len(table) - len(table) % size_of(Symbol)]
        self.strings = StringTable(names)
        self._found: dict[str, int | None] = {}

    @classmethod
    def none(cls) -> "Symbols":
        """The symbols of a stripped file."""
        return cls(b"", b"")

    @classmethod
    def of(cls, source: Source, table: tuple[int, int], names: tuple[int, int]) -> "Symbols":
        """The symbols in two ranges (offset, size) of a file. TruncatedError when one reaches past it."""
        return cls(source.read(*table, "symbol table"), source.read(*names, "string table"))

    def __len__(self) -> int:
        return len(self._table) // size_of(Symbol)

    @cached_property
    def values(self) -> Sequence[int]:
        """st_value: addresses."""
        return packed_column(Symbol, "st_value", self._table)

    @cached_property
    def sizes(self) -> Sequence[int]:
        """st_size, in bytes."""
        return packed_column(Symbol, "st_size", self._table)

    @cached_property
    def sections(self) -> Sequence[int]:
        """st_shndx."""
        return packed_column(Symbol, "st_shndx", self._table)

    @cached_property
    def infos(self) -> bytes:
        """st_info: the binding in the upper four bits, the type in the lower."""
        return self._table[offsets(Symbol)["st_info"] :: size_of(Symbol)]

    @cached_property
    def name_offsets(self) -> Sequence[int]:
        """st_name: offsets in `strings`."""
        return packed_column(Symbol, "st_name", self._table)

    def name(self, index: int) -> str:
        """The name of one symbol."""
        return self.strings[self.name_offsets[index]]

    def file_name(self, index: int) -> str:
        """The name of the FILE symbol that a local symbol follows; empty for any other symbol."""
        at = self.infos.rfind(STT_FILE, 0, index) if 0 <= index < self.first_global else -1
        return self.name(at) if at >= 0 else ""

    def names(self, indices: Iterable[int]) -> list[str]:
        """The names of some symbols."""
        offsets = self.name_offsets
        return self.strings.all_at([offsets[index] for index in indices])

    @cached_property
    def first_global(self) -> int:
        """The index of the first symbol that is not local; the number of symbols when all are."""
        return len(self) - len(self.infos.lstrip(_LOCAL))

    def find(self, name: str) -> int | None:
        """The index of the first symbol of that name; None without one."""
        return self.find_all((name,))[name]

    def find_all(self, names: Iterable[str]) -> dict[str, int | None]:
        """For each name the index of the first symbol of that name; None without one.

        Several names at once cost little more than one. Those found before are remembered.
        """
        wanted = list(dict.fromkeys(names))
        possible = self._offsets_of([name for name in wanted if name not in self._found])
        first = self._first_at(set().union(*possible.values()))
        for name, places in possible.items():
            self._found[name] = min((first[place] for place in places if place in first), default=None)
        return {name: self._found[name] for name in wanted}

    def _offsets_of(self, names: Iterable[str]) -> dict[str, list[int]]:
        """For each name where it can begin in the strings. A linker may store `end` as the tail of `the_end`."""
        found: dict[str, list[int]] = {}
        ends: dict[bytes, list[tuple[str, bytes]]] = {}
        for name in names:
            found[name], pattern = [], name.encode("utf-8", "surrogateescape") + b"\0"
            ends.setdefault(pattern[-_TAIL:], []).append((name, pattern))
        data = self.strings.data
        # Names that end alike are searched for together: one search goes through megabytes of strings.
        for tail, alike in ends.items():
            common = tail if len(alike) > 1 else alike[0][1]
            at = data.find(common)
            while at >= 0:
                for name, pattern in alike:
                    start = at + len(common) - len(pattern)
                    if start >= 0 and data.startswith(pattern, start):
                        found[name].append(start)
                at = data.find(common, at + 1)
        return found

    def _first_at(self, places: set[int]) -> dict[int, int]:
        """The first symbol whose name is at each of some offsets in the strings, where there is one."""
        if len(self._found) > _MOST_SEARCHES:
            return self._first_with_name_at
        if len(places) > _FEW:
            # Most are tails of longer names, where no symbol's name begins.
            places = places.intersection(self.name_offsets)
        if len(places) <= _FEW:
            found = {place: self._index_of_name_at(place) for place in places}
            return {place: index for place, index in found.items() if index >= 0}
        hits = compress(range(len(self)), map(places.__contains__, self.name_offsets))
        found = {}
        for index in hits:
            found.setdefault(self.name_offsets[index], index)
        return found

    def _index_of_name_at(self, place: int) -> int:
        """The first symbol whose name is at an offset in the strings; -1 without one."""
        column, pattern = self._name_bytes, place.to_bytes(_WIDTH, sys.byteorder)
        at = column.find(pattern)
        while at >= 0 and at % _WIDTH:
            at = column.find(pattern, at + 1)
        return at // _WIDTH

    def find_each(self, name: str) -> list[int]:
        """The indices of all symbols of that name, ascending."""
        places = self._offsets_of([name])[name]
        return sorted(index for place in places for index in _rows_with(self._name_bytes, place, _WIDTH))

    def with_value(self, value: int) -> list[int]:
        """The indices of all symbols of that value, ascending."""
        return list(_rows_with(self._value_bytes, value, 8))

    def names_are_below(self, limit: int) -> bool:
        """Whether the names of all symbols begin below an offset in the strings: byte by byte, for all at once."""
        size, at = size_of(Symbol), offsets(Symbol)["st_name"]
        third, fourth = self._table[at + 2 :: size], self._table[at + 3 :: size]
        top = limit >> 16
        if top > 0xFF or fourth.strip(b"\0") or third.translate(None, bytes(range(top + 1))):
            return max(self.name_offsets, default=0) < limit
        position = third.find(top)
        while position >= 0:
            if self.name_offsets[position] >= limit:
                return False
            position = third.find(top, position + 1)
        return True

    @cached_property
    def _name_bytes(self) -> bytes:
        return bytes(memoryview(self.name_offsets)) if self.name_offsets else b""  # type: ignore[arg-type]

    @cached_property
    def _value_bytes(self) -> bytes:
        return bytes(memoryview(self.values)) if self.values else b""  # type: ignore[arg-type]

    @cached_property
    def _first_with_name_at(self) -> dict[int, int]:
        return dict(zip(reversed(self.name_offsets), range(len(self) - 1, -1, -1), strict=True))

    def value(self, name: str) -> int | None:
        """The value of the first symbol of that name; None without one."""
        index = self.find(name)
        return None if index is None else self.values[index]

    def values_of(self, names: Iterable[str]) -> dict[str, int | None]:
        """For each name the value of the first symbol of that name; None without one."""
        return {name: None if index is None else self.values[index] for name, index in self.find_all(names).items()}

    @cached_property
    def _by_section(self) -> dict[int, list[tuple[int, int, int]]]:
        """Section to (address, rank, -index) of the symbols that name an address, sorted: the best comes last."""
        strings, placed = self.strings.data, defaultdict(list)
        rows = zip(self.sections, self.values, self.infos, self.name_offsets, strict=True)
        for index, (section, value, info, name) in enumerate(rows):
            if not 0 < section < SHN_LORESERVE or info & 15 in (STT_SECTION, STT_FILE):
                continue
            # $x and $d are mapping symbols: they mark code and data and name nothing.
            if 0 < name < len(strings) and strings[name] != _DOLLAR:
                placed[section].append((value, RANKS[info], -index))
        for found in placed.values():
            found.sort()
        return placed

    def place(self, section: int, address: int) -> SymbolOffset | None:
        """The symbol of a section that covers an address, else the last one before it; None without one."""
        placed = self._by_section.get(section, [])
        upto = bisect_right(placed, (address, len(RANKS), 0))
        candidates = placed[max(0, upto - _ALIASES) : upto]
        if not candidates:
            return None
        value, _, index = candidates[-1]
        for start, _, number in reversed(candidates):
            if address < start + self.sizes[-number]:
                value, index = start, number
                break
        return SymbolOffset(self.name(-index), address - value, self.sizes[-index])

    def shares(self, section: int, start: int, end: int) -> Iterator[tuple[str, int]]:
        """A range of addresses divided among the symbols of a section: names and sizes in bytes, in order."""
        placed = self._by_section.get(section, [])
        first = self.place(section, start)
        name, at = first.symbol if first else "", start
        for position in range(bisect_right(placed, (start, len(RANKS), 0)), len(placed)):
            value, _, index = placed[position]
            if value >= end:
                break
            if value > at:
                yield name, value - at
                at = value
            # Of several at one address the last is the best.
            name = self.name(-index)
        yield name, end - at


def _rows_with(column: bytes, value: int, width: int) -> Iterator[int]:
    """The rows of a column of numbers that have a value."""
    pattern = value.to_bytes(width, sys.byteorder)
    at = column.find(pattern)
    while at >= 0:
        if not at % width:
            yield at // width
        at = column.find(pattern, at + 1)
