"""The layer of symbols; bytes that belong to none are named in brackets.

A symbol has as many bytes as its size says. Where two overlap, the first has them; of several at one address, the one
with the best rank. A label without a size has the bytes up to the next symbol, but not beyond its own object's part of
the section or the label that marks its end. A section without sized symbols is one group.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.mapping_symbols import ObjectMap, mapping_names
from kinspect.artifacts.elf.symbols import RANKS
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.schemas.elf import SHN_LORESERVE, STT_FILE, STT_SECTION
from kinspect.views.size.account import SizeSpan
from kinspect.views.size.layers import LayerBuilder, MemoryLayer

ALIGNMENT, STRINGS, NO_SYMBOL = "[alignment]", "[strings]", "[no symbol]"
FILL = 64
"""A shorter gap before a symbol is alignment: objects align to a cache line at most."""
POOL = 4096
_GIVERS = 16
"""Read-only data without symbols, of at least POOL bytes from at least so many objects, is the linker's string pool."""
_READ_ONLY = ".rodata"
_TEXT = bytes([*range(0x20, 0x7F), *b"\0\t\n\r\x1b\1"])
_ENDS = re.compile(r"_e\w+|_?_?(end|stop)_\w+|\w+_(end|stop)|\w+__end")
"""Labels that mark where something ends."""
_PARTNERS = (("__start_", "__stop_"), ("_start", "_end"), ("_begin", "_end"), ("$", "_end"))

_Placed = dict[int, list[tuple[int, int, int, int]]]
"""Symbols by section, as (address, minus size, minus rank, index): the best of an address comes first."""


def symbol_layer(vmlinux: Vmlinux, spans: Sequence[SizeSpan], found: ObjectMap) -> MemoryLayer:
    """The layer of symbols, with the bounds of the spans."""
    placed = _placed(vmlinux)
    builder = LayerBuilder()
    for span in spans:
        section = vmlinux.section(span.name) if span.kind == "section" else None
        if section is None:
            builder.add(span.address, span.name if span.kind == "page table" else ALIGNMENT)
            continue
        own = placed.get(section.number, [])
        if not any(size for _, size, _, _ in own):
            builder.add(span.address, f"[{section.name}]")
            continue
        division = _Division(vmlinux, section, own, found)
        for start, end, name in division.runs(span.address, span.address + span.size):
            builder.add(start, name or division.kind_of(start, end))
    return builder.layer(spans[-1].address + spans[-1].size)


def string_pools(vmlinux: Vmlinux, spans: Sequence[SizeSpan], found: ObjectMap) -> Iterator[tuple[int, int]]:
    """The ranges in which the linker merged the strings of many objects."""
    for span in spans:
        section = vmlinux.section(span.name) if span.name == _READ_ONLY else None
        if section is not None:
            own = _placed(vmlinux, section.number).get(section.number, [])
            division = _Division(vmlinux, section, own, found)
            for start, end, name in division.runs(span.address, span.address + span.size):
                if name is None and division.is_pool(start, end):
                    yield start, end


def _placed(vmlinux: Vmlinux, only: int = 0) -> _Placed:
    """The symbols that name memory, in all sections or in one."""
    symbols = vmlinux.symbols
    marks, nameless = mapping_names(symbols), (STT_SECTION, STT_FILE)
    found: _Placed = {}
    columns = (symbols.sections, symbols.values, symbols.sizes, symbols.infos, symbols.name_offsets)
    for index, (section, value, size, info, name) in enumerate(zip(*columns, strict=True)):
        included = section == only if only else 0 < section < SHN_LORESERVE
        if included and name and info & 15 not in nameless and name not in marks:
            found.setdefault(section, []).append((value, -size, -RANKS[info], index))
    for places in found.values():
        places.sort()
    return found


class _Division:
    """A section divided among its symbols."""

    def __init__(
        self, vmlinux: Vmlinux, section: Section, places: Sequence[tuple[int, int, int, int]], found: ObjectMap
    ) -> None:
        self._vmlinux, self._section, self._places = vmlinux, section, places
        self._objects = found.blocks.get(section.number, ([], []))[0]

    def runs(self, first: int, last: int) -> Iterator[tuple[int, int, str | None]]:
        """The runs of [first, last) as (start, end, symbol); None where no symbol has the bytes."""
        symbols, at, label = self._vmlinux.symbols, first, -1
        for value, minus, _, index in self._places:
            if value >= last:
                break
            if minus:
                end = min(value - minus, last)
                if end <= at:
                    continue
                if at < value:
                    yield from self._gap(at, value, label)
                yield max(value, at), end, symbols.name(index)
                at, label = end, -1
            elif at <= value:
                if at < value:
                    yield from self._gap(at, value, label)
                    at, label = value, -1
                if label < 0 and not _ENDS.fullmatch(symbols.name(index)):
                    label = index
        if at < last:
            yield from self._gap(at, last, label)

    def _gap(self, start: int, end: int, label: int) -> Iterator[tuple[int, int, str | None]]:
        """A gap between symbols: the part of the label before it, then the part that no symbol has."""
        if label >= 0:
            limit = min(end, self._limit(start, end, label))
            yield start, limit, self._vmlinux.symbols.name(label)
            start = limit
        if start < end:
            yield start, end, ALIGNMENT if end - start < FILL else None

    def _limit(self, start: int, end: int, label: int) -> int:
        """The highest address at which the data after a label can end."""
        at = bisect_right(self._objects, start)
        if at == len(self._objects) or self._objects[at] >= end:
            return end
        name = self._vmlinux.symbols.name(label)
        for begins, ends in _PARTNERS:
            partner = re.sub(begins, ends, name, count=1)
            stop = self._vmlinux.symbols.value(partner) if partner != name else None
            if stop is not None and stop > start:
                return stop
        return self._objects[at]

    def is_pool(self, start: int, end: int) -> bool:
        """Whether a range without symbols holds merged strings."""
        givers = bisect_left(self._objects, end) - bisect_left(self._objects, start)
        return self._section.name == _READ_ONLY and end - start >= POOL and givers >= _GIVERS

    def kind_of(self, start: int, end: int) -> str:
        """The name of a range without a symbol: strings, or unknown."""
        section = self._section
        if self.is_pool(start, end):
            return STRINGS
        if section.in_file and not section.executable and end - start >= 4:
            data = self._vmlinux.source.read(section.offset + start - section.address, end - start, section.name)
            if len(data.translate(None, _TEXT)) * 10 <= len(data) and data.strip(b"\0"):
                return STRINGS
        return NO_SYMBOL
