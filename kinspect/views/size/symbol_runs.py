"""A kernel's memory divided among its symbols, as columns: 300,000 symbols without an object for each.

A symbol has as many bytes as its size says. Where two overlap, the first has them; of several at one address, the
largest, then the one with the best rank. A label without a size has the bytes up to the next symbol, but not beyond its
own object's part of the section or the label that marks its end. A section without sized symbols is one group.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.mapping_symbols import STATIC, mapping_names
from kinspect.artifacts.elf.symbols import RANKS
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.schemas.elf import STT_FILE, STT_SECTION
from kinspect.views.size.account import SizeSpan
from kinspect.views.size.layers import MemoryLayer

ALIGNMENT, STRINGS, NO_SYMBOL = "[alignment]", "[strings]", "[no symbol]"
FILL = 64
"""A shorter gap before a symbol is alignment: objects align to a cache line at most."""
POOL = 4096
_GIVERS = 16
"""Read-only data without symbols, of at least POOL bytes from at least so many objects, is the linker's string pool."""
READ_ONLY = ".rodata"
_TEXT = bytes([*range(0x20, 0x7F), *b"\0\t\n\r\x1b\1"])
_ENDS = re.compile(r"_e\w+|_?_?(end|stop)_\w+|\w+_(end|stop)|\w+__end")
"""Labels that mark where something ends."""
_PARTNERS = (("__start_", "__stop_"), ("_start", "_end"), ("_begin", "_end"), ("$", "_end"))
_NAMING = bytes(info & 15 not in (STT_SECTION, STT_FILE) for info in range(256))
"""By st_info: whether a symbol names memory."""


class SymbolRuns(NamedTuple):
    """Run i is from `base + starts[i]` to the start of the next, and the last to `base + end`.

    Its label is the index of a symbol, or -1 - n for `others[n]`: the name of a page table, or one in brackets. `pools`
    are the ranges (start, end), relative to `base`, in which the linker merged the strings of many objects.
    """

    base: int
    starts: list[int]
    labels: list[int]
    others: Sequence[str]
    end: int
    pools: list[tuple[int, int]]


def symbol_runs(vmlinux: Vmlinux, spans: Sequence[SizeSpan], only: str | None = None) -> SymbolRuns:
    """The runs of the spans, or only of the section `only`."""
    chosen = [span for span in spans if only is None or (span.name == only and span.kind == "section")]
    sections = [vmlinux.section(span.name) if span.kind == "section" else None for span in chosen]
    runs = _Runs(vmlinux, [section for section in sections if section])
    for span, section in zip(chosen, sections, strict=True):
        first = span.address - runs.base
        if section is None:
            runs.add(first, runs.other(span.name if span.kind == "page table" else ALIGNMENT))
        else:
            runs.divide(section, first, first + span.size)
    end = chosen[-1].address + chosen[-1].size - runs.base if chosen else 0
    return SymbolRuns(runs.base, runs.starts, runs.labels, list(runs.others), end, runs.pools)


def symbol_layer(vmlinux: Vmlinux, spans: Sequence[SizeSpan]) -> MemoryLayer:
    """The layer of symbols, with the bounds of the spans. Neighbours may have the same name."""
    runs = symbol_runs(vmlinux, spans)
    numbers: dict[str, int] = {}
    names = _names(vmlinux, runs)
    labels = [numbers.setdefault(name, len(numbers)) for name in names]
    starts = [runs.base + start for start in runs.starts]
    return MemoryLayer(starts, labels, list(numbers), runs.base + runs.end)


def symbol_sources(symbols: MemoryLayer, sources: MemoryLayer) -> MemoryLayer:
    """The layer of symbols by source: the whole of a symbol belongs to the source that its first byte belongs to."""
    labels = [sources.labels[bisect_right(sources.starts, start) - 1] for start in symbols.starts]
    return symbols._replace(labels=labels, names=sources.names)


def _names(vmlinux: Vmlinux, runs: SymbolRuns) -> list[str]:
    symbols = iter(vmlinux.symbols.names(label for label in runs.labels if label >= 0))
    return [next(symbols) if label >= 0 else runs.others[-1 - label] for label in runs.labels]


def string_pools(vmlinux: Vmlinux, spans: Sequence[SizeSpan]) -> list[tuple[int, int]]:
    """The ranges in which the linker merged the strings of many objects."""
    runs = symbol_runs(vmlinux, spans, READ_ONLY)
    return [(runs.base + start, runs.base + end) for start, end in runs.pools]


class _Runs:
    """Divides sections among their symbols, from the first section to the last.

    All places are relative to the address of the first one: small numbers sort fast.
    """

    def __init__(self, vmlinux: Vmlinux, sections: Sequence[Section]) -> None:
        self.base = base = min((section.address for section in sections), default=0)
        self.starts: list[int] = []
        self.labels: list[int] = []
        self.others: dict[str, int] = {}
        self.pools: list[tuple[int, int]] = []
        self._alignment = self.other(ALIGNMENT)
        self._vmlinux, self._symbols = vmlinux, vmlinux.symbols
        symbols, size = vmlinux.symbols, max((section.end for section in sections), default=0) - base
        places, names, mapping = [at - base for at in symbols.values], symbols.name_offsets, mapping_names(symbols)
        rows = zip(range(len(symbols)), symbols.infos.translate(_NAMING), places, names, strict=True)
        named = [(index, name) for index, naming, at, name in rows if naming and 0 <= at < size and name]
        order = [index for index, name in named if name not in mapping]
        marks = [index for index, name in named if name in mapping]
        for indices in (order, marks):
            indices.sort(key=places.__getitem__)
        self._order, self._places = order, [places[index] for index in order]
        self._marks, self._marked = marks, [places[index] for index in marks]
        self._sizes, self._sections = list(symbols.sizes), list(symbols.sections)

    def other(self, name: str) -> int:
        """The label of a name that is not a symbol's."""
        return -1 - self.others.setdefault(name, len(self.others))

    def add(self, start: int, label: int) -> None:
        """Begin a run."""
        self.starts.append(start)
        self.labels.append(label)

    def divide(self, section: Section, first: int, last: int) -> None:
        """Add the runs of a section, of which the bytes from `first` to `last` count."""
        own, places = self._of_section(section, last)
        sizes = self._sizes
        if not any(sizes[index] for index in own):
            self.add(first, self.other(f"[{section.name}]"))
            return
        at, here, starts, labels = first, -1, self.starts, self.labels
        at_same_place: list[int] = []
        for index, place in zip(own, places, strict=True):
            size = sizes[index]
            if size:
                end = place + size if place + size < last else last
                if place == here:
                    at = max(at, self._best_end(index, end))
                elif end > at:
                    if at < place:
                        self._fill(section, at, place, at_same_place)
                    starts.append(place if place > at else at)
                    labels.append(index)
                    at, here, at_same_place = end, place, []
            elif at <= place:
                if at < place:
                    self._fill(section, at, place, at_same_place)
                    at, at_same_place = place, []
                at_same_place.append(index)
        if at < last:
            self._fill(section, at, last, at_same_place)

    def _of_section(self, section: Section, last: int) -> tuple[list[int], list[int]]:
        """The symbols of a section before `last`, and their places."""
        low = bisect_left(self._places, section.address - self.base)
        high = bisect_left(self._places, last)
        number, sections, rows = section.number, self._sections, slice(low, high)
        own = [index for index in self._order[rows] if sections[index] == number]
        if len(own) == high - low:
            return own, self._places[rows]
        return own, [self._symbols.values[index] - self.base for index in own]

    def _best_end(self, index: int, end: int) -> int:
        """Give the last run to another symbol at the same address if it is better; 0, or the end of that symbol."""
        infos, sizes, before = self._symbols.infos, self._sizes, self.labels[-1]
        if (sizes[index], RANKS[infos[index]]) <= (sizes[before], RANKS[infos[before]]):
            return 0
        self.labels[-1] = index
        return end

    def _fill(self, section: Section, start: int, end: int, indices: Sequence[int]) -> None:
        """A gap between symbols: the part of the label at its start, then the part that no symbol has."""
        if not indices and end - start < FILL:
            self.starts.append(start)
            self.labels.append(self._alignment)
            return
        infos, name = self._symbols.infos, self._symbols.name
        for label in sorted(indices, key=lambda index: -RANKS[infos[index]]):
            if not _ENDS.fullmatch(name(label)):
                limit = min(end, self._limit(section, start, end, name(label)))
                self.add(start, label)
                start = limit
                break
        if start < end:
            self.add(start, self.other(ALIGNMENT if end - start < FILL else self._kind_of(section, start, end)))

    def _limit(self, section: Section, start: int, end: int, name: str) -> int:
        """The highest place at which the data after a label can end."""
        object_start = next(self._objects_in(section, start + 1, end), None)
        if object_start is None:
            return end
        partners = [re.sub(begins, ends, name, count=1) for begins, ends in _PARTNERS]
        values = self._symbols.values_of(partner for partner in partners if partner != name)
        for stop in values.values():
            if stop is not None and stop > start + self.base:
                return stop - self.base
        return object_start

    def _objects_in(self, section: Section, start: int, end: int) -> Iterator[int]:
        """Where, in a range without symbols, another object's part of a section begins: mapping symbols tell."""
        marked, number = self._marked, section.number
        first, last = bisect_left(marked, start), bisect_left(marked, end)
        owner = self._owner_before(number, start, first) if first < last else None
        for at in range(first, last):
            if self._sections[self._marks[at]] == number:
                before, owner = owner, self._owner(self._marks[at])
                if owner != before:
                    yield marked[at]

    def _owner_before(self, number: int, start: int, mark: int) -> int | None:
        """The owner of the last mapping symbol or static variable of a section before a place; None without one."""
        infos, sections = self._symbols.infos, self._sections
        mark -= 1
        while mark >= 0 and sections[self._marks[mark]] != number:
            mark -= 1
        # A mapping symbol counts after a variable at the same address.
        limit = self._marked[mark] if mark >= 0 else -1
        at = bisect_left(self._places, start) - 1
        while at >= 0 and self._places[at] > limit:
            index = self._order[at]
            if infos[index] == STATIC and sections[index] == number and (owner := self._owner(index)) >= 0:
                return owner
            at -= 1
        return self._owner(self._marks[mark]) if mark >= 0 else None

    def _owner(self, index: int) -> int:
        """The index of the FILE symbol that a symbol follows; -1 when it is of no object."""
        at = self._symbols.infos.rfind(STT_FILE, 0, index)
        return at if at >= 0 and self._symbols.name_offsets[at] and self._symbols.name(at) else -1

    def _kind_of(self, section: Section, start: int, end: int) -> str:
        """The name of a range without a symbol: strings, or unknown."""
        large = section.name == READ_ONLY and end - start >= POOL
        if large and next(islice(self._objects_in(section, start, end), _GIVERS - 1, None), None) is not None:
            self.pools.append((start, end))
            return STRINGS
        if section.in_file and not section.executable and end - start >= 4:
            offset = section.offset + start + self.base - section.address
            data = self._vmlinux.source.read(offset, end - start, section.name)
            if len(data.translate(None, _TEXT)) * 10 <= len(data) and data.strip(b"\0"):
                return STRINGS
        return NO_SYMBOL
