"""The exports of a raw Image of before 5.4: rows without namespaces, or of pointers.

The pointers are in their places, or in `.rela.dyn` if the kernel is relocatable. They are found as those of later
kernels: a row points to a name that every kernel exports, and the rows around it are the tables.
Source: include/linux/export.h and include/asm-generic/vmlinux.lds.h of 4.18 and 4.19.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, compress
from operator import add
from typing import NamedTuple

from kinspect.artifacts.boot.ending import relocations
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.strings import LONGEST_NAME
from kinspect.schemas.elf import Rela
from kinspect.schemas.exports import Crc, KernelSymbolAbsolute, KernelSymbolUnnamespaced
from kinspect.schemas.record import column, size_of

FEWEST = 8
"""This many rows in a run are not there by chance."""
_MOST_ROWS = 1 << 17
_MOST_RELOCATIONS = 1 << 19
_MOST_CANDIDATES = 16
_MOST_WALKED = 1 << 18
"""Rows that are looked at, in all: a kernel has about ten thousand."""
_TEXT = bytes(range(0x21, 0x7F))
_RELATIVE, _POINTERS = size_of(KernelSymbolUnnamespaced), size_of(KernelSymbolAbsolute)
_PAIR = struct.Struct("<QQ")
_OFFSETS = struct.Struct("<ii")
_KERNEL, _ALL = 0xFFFF << 48, (1 << 64) - 1

Row = tuple[int, int]
"""What a row exports and its name, as offsets in the file."""


class OlderTable(NamedTuple):
    """The rows of all tables, one after the other, from `offset` on. `row` is the size of one in bytes."""

    offset: int
    row: int
    names: list[str]
    targets: list[int]
    crcs: list[int] | None


def older_table(image: Image, names: Iterable[int], reach: int) -> OlderTable | None:
    """The exports of an Image; `names` are the offsets of names of exports, at most `reach` bytes after the rows."""
    relocated: _Relocated | None = None
    budget = [_MOST_WALKED]
    for name in names:
        start, end = max(0, name - reach) & ~7, min(image.searched, name + reach)
        part = _Surroundings(start, image.source.read(start, end - start), budget)
        found = part.relative(name) or part.pointers(name)
        if found is None:
            relocated = relocated or _Relocated(image)
            found = relocated.table(part, name)
        if found:
            return found
    return None


class _Surroundings:
    """The part of an Image around a name. `budget` has the number of rows that may still be looked at."""

    def __init__(self, start: int, data: bytes, budget: list[int]) -> None:
        self.start, self.data, self._budget = start, data, budget
        self._texts: dict[int, str | None] = {}

    def text(self, offset: int) -> str | None:
        """The name at an offset in the file; None if there is none."""
        if offset not in self._texts:
            at = offset - self.start
            end = self.data.find(b"\0", at, at + LONGEST_NAME) if at >= 0 else -1
            raw = self.data[at:end] if end > at else b""
            self._texts[offset] = raw.decode("ascii") if raw and not raw.translate(None, _TEXT) else None
        return self._texts[offset]

    def relative(self, name: int) -> OlderTable | None:
        """A table of offsets (4.19 to 5.3)."""

        def row(offset: int) -> Row | None:
            at = offset - self.start
            if not 0 <= at <= len(self.data) - _RELATIVE:
                return None
            value, text = _OFFSETS.unpack_from(self.data, at)
            return (offset + value, offset + 4 + text) if text > 0 else None

        usable = min(name - self.start, len(self.data)) & ~3
        words, places = memoryview(self.data)[:usable].cast("I"), range(self.start, self.start + usable, 4)
        fields = compress(places, map(name.__eq__, map(add, words, places)))
        return self.first(row, (field - 4 for field in fields), _RELATIVE)

    def pointers(self, name: int) -> OlderTable | None:
        """A table of pointers (up to 4.18) in a kernel that is not relocatable."""
        # The kernel is page-aligned: the last 12 bits of the pointer are those of the offset.
        nibbles = bytes(high << 4 | name >> 8 & 15 for high in range(16))
        pattern = b"(?=" + re.escape(bytes([name & 255])) + b"[" + re.escape(nibbles) + b"](?s:.{4})\xff\xff)"
        fields = (found.start() for found in re.finditer(pattern, self.data[: name - self.start]))
        for field in _first_of(field for field in fields if field % 8 == 0 and field >= 8):
            base = _PAIR.unpack_from(self.data, field - 8)[1] - name

            def row(offset: int, base: int = base) -> Row | None:
                at = offset - self.start
                if not 0 <= at <= len(self.data) - _POINTERS:
                    return None
                value, text = _PAIR.unpack_from(self.data, at)
                return (value - base, text - base) if value & text & _KERNEL == _KERNEL else None

            if table := self.first(row, [self.start + field - 8], _POINTERS):
                return table
        return None

    def first(self, row: Callable[[int], Row | None], places: Iterable[int], size: int) -> OlderTable | None:
        """The table around the first of some places where there is one."""
        found = (self.table(row, place, size) for place in _first_of(places))
        return next(filter(None, found), None)

    def table(self, row: Callable[[int], Row | None], place: int, size: int) -> OlderTable | None:
        """The table around a row; None if what is there is none."""

        def valid(offset: int) -> Row | None:
            self._budget[0] -= 1
            found = row(offset) if self._budget[0] > 0 else None
            return found if found and found[1] > offset and self.text(found[1]) else None

        start = place
        while place - start < _MOST_ROWS * size and valid(start - size):
            start -= size
        rows: list[Row] = []
        while len(rows) < _MOST_ROWS and (found := valid(start + len(rows) * size)):
            rows.append(found)
        # No name is exported by many rows.
        if len({text for _, text in rows}) * 2 < len(rows):
            return None
        firsts = list(accumulate((text for _, text in rows), min))
        for count in range(len(rows), FEWEST - 1, -1):
            # Between the rows and their names are only CRCs, which hardly ever look like rows.
            gap = firsts[count - 1] - start - count * size
            crc = gap // count
            if gap == crc * count and (crc in (0, 4) or (crc == size // 2 and size == _POINTERS)):
                return self._complete(start, size, rows[:count], crc)
            if len(rows) - count > FEWEST:
                break
        return None

    def _complete(self, start: int, size: int, rows: list[Row], crc: int) -> OlderTable:
        after = start - self.start + len(rows) * size
        data = self.data[after : after + crc * len(rows)]
        crcs = list(column(Crc, "crc", data))[:: crc // 4] if crc else None
        names = [self.text(text) or "" for _, text in rows]
        return OlderTable(start, size, names, [target for target, _ in rows], crcs)


class _Relocated:
    """The pointers of a relocatable kernel, by their place in the file."""

    def __init__(self, image: Image) -> None:
        self._places: Sequence[int] = ()
        self._addends: Sequence[int] = ()
        self._base = 0
        found, size = relocations(image), size_of(Rela)
        if found is None or found.end - found.start > _MOST_RELOCATIONS * size:
            return
        data = image.source.read(found.start, found.end - found.start)
        self._places, self._addends = column(Rela, "r_offset", data), column(Rela, "r_addend", data)
        self._base = max(self._places) + 8 - found.last

    def table(self, part: _Surroundings, name: int) -> OlderTable | None:
        """The table with a row of a name."""
        base = self._base
        low, high = part.start + base, name + base
        near = (
            (place, addend) for place, addend in zip(self._places, self._addends, strict=True) if low <= place < high
        )
        # Addends are signed, and addresses of the kernel are at the end of the address space.
        pointers = {place - base: (addend & _ALL) - base for place, addend in near}

        def row(offset: int) -> Row | None:
            value, text = pointers.get(offset), pointers.get(offset + 8)
            return (value, text) if value is not None and text is not None else None

        return part.first(row, (place - 8 for place, pointer in pointers.items() if pointer == name), _POINTERS)


def _first_of(places: Iterable[int]) -> Iterator[int]:
    """Enough of them to find the right one."""
    for _, place in zip(range(_MOST_CANDIDATES), places, strict=False):
        yield place
