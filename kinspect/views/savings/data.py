"""Bytes that a kernel has more often than it needs: fill between symbols, strings, tables of equal contents, zeros."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.mapping_symbols import mapping_names
from kinspect.schemas.elf import SHN_LORESERVE, STT_FILE, STT_OBJECT, STT_SECTION
from kinspect.views.savings.entry import Example, SavingKind, Waste
from kinspect.views.size.attribution import Attribution
from kinspect.views.size.symbol_layer import FILL, STRINGS
from kinspect.views.tables.relocations import DynamicRelocations, loaded_contents

SHORTEST_STRING = 4
"""Of the strings that are counted, in characters, as strings(1) has it."""
SMALLEST_TABLE = 16
"""Of the tables and zeros that are looked at, in bytes."""
READ_ONLY = (".rodata", ".hyp.rodata", ".init.rodata")
MOST_EXAMPLES, MOST_SITES = 5, 1 << 20
NOP = b"\x1f\x20\x03\xd5"
_POOLS = ("[__ksymtab_strings]", STRINGS)
_TEXT = frozenset([*range(0x20, 0x7F), *b"\t\n\r\x1b\1"])


class Run(NamedTuple):
    """Addresses [start, end) of a section."""

    section: str
    start: int
    end: int


class LoadedBytes:
    """The loaded bytes of a kernel, as the search for waste asks for them."""

    def __init__(self, attribution: Attribution) -> None:
        self.attribution, self.vmlinux = attribution, attribution.vmlinux
        self.spans = attribution.account.spans
        self.relocations = DynamicRelocations(self.vmlinux)
        self._contents: dict[int, bytes] = {}
        freed = [span for span in self.spans if span.freed]
        self._freed = (freed[0].address, freed[-1].address + freed[-1].size) if freed else (0, 0)
        self._start = self.spans[0].address
        self._end = self.spans[-1].address + self.spans[-1].size
        self._file_end = self._start + attribution.account.file_size

    def file(self, start: int, end: int) -> int:
        """The bytes of [start, end) that lie in the Image."""
        return max(0, min(end, self._file_end) - max(start, self._start))

    def memory(self, start: int, end: int) -> int:
        """The bytes of [start, end) that the kernel keeps after boot."""
        freed = max(0, min(end, self._freed[1]) - max(start, self._freed[0]))
        return max(0, min(end, self._end) - max(start, self._start)) - freed

    def clipped(self, start: int, end: int) -> tuple[int, int]:
        """What of [start, end) is the kernel's."""
        first = min(max(start, self._start), self._end)
        return first, max(first, min(end, self._end))

    def contents(self, section: Section) -> bytes:
        """The bytes of a section; none when it cannot be read."""
        if section.number not in self._contents:
            self._contents[section.number] = loaded_contents(self.vmlinux, section)
        return self._contents[section.number]

    def bytes(self, start: int, end: int) -> bytes:
        """The bytes of [start, end), as far as a section has them in the file."""
        section = self.vmlinux.section_at(start)
        return self.contents(section)[start - section.address : end - section.address] if section else b""

    def source(self, address: int) -> str:
        """The source file that has an address; empty when none is known."""
        layer = self.attribution.source
        name = layer.names[layer.labels[max(0, bisect_right(layer.starts, address) - 1)]]
        return "" if name.startswith("[") else name

    @cached_property
    def call_sites(self) -> list[int]:
        """Where the tracer patches functions, ascending: where they start, or before, where it keeps a pointer."""
        first, last = (self.vmlinux.symbols.value(f"__{edge}_mcount_loc") or 0 for edge in ("start", "stop"))
        data = self.bytes(first, last) if first < last else b""
        held = memoryview(data[: min(len(data) & -8, 8 * MOST_SITES)]).cast("Q")
        addends = self.relocations.addends
        sites = (addends.get(slot, value) for slot, value in zip(range(first, last, 8), held, strict=False))
        # The build blanks the rows of weak functions that lost.
        return sorted(site for site in sites if site)

    @cached_property
    def symbols(self) -> dict[int, list[tuple[int, int, int]]]:
        """Address, size and index of what has a place and a name in each section, in order."""
        table = self.vmlinux.symbols
        marks, found = mapping_names(table), dict[int, list[tuple[int, int, int]]]()
        rows = zip(table.sections, table.values, table.sizes, table.infos, table.name_offsets, strict=True)
        for index, (section, value, size, info, name) in enumerate(rows):
            if 0 < section < SHN_LORESERVE and info & 15 not in (STT_SECTION, STT_FILE) and name not in marks:
                found.setdefault(section, []).append((value, size, index))
        for placed in found.values():
            placed.sort()
        return found

    def objects(self, section: Section) -> Iterator[tuple[int, int, int]]:
        """Address, size and index of the data in a section, none that begins within the one before."""
        infos, at = self.vmlinux.symbols.infos, section.address
        for value, size, index in self.symbols.get(section.number, ()):
            if infos[index] & 15 == STT_OBJECT and size >= SMALLEST_TABLE and at <= value <= section.end - size:
                yield value, size, index
                at = value + size


def fill(loaded: LoadedBytes) -> Iterator[Run]:
    """Short gaps between what a sized symbol has and the next symbol, when there are but zeros or nops in them."""
    sites = loaded.call_sites
    for section in loaded.vmlinux.loaded_sections:
        data, end = loaded.contents(section), 0
        for value, size, _ in loaded.symbols.get(section.number, ()):
            if end and end < value < end + FILL and value <= section.end:
                # What is patched before a function is used.
                site = bisect_left(sites, end)
                stop = min(value, sites[site]) if site < len(sites) else value
                gap = data[end - section.address : stop - section.address]
                if section.executable:
                    gap = gap.replace(NOP, b"")
                if end < stop and not gap.strip(b"\0"):
                    yield Run(section.name, end, stop)
            # Behind a label nobody knows how far it reaches.
            end = max(end, value + size) if size or value < end else 0


def repeated_strings(loaded: LoadedBytes) -> Waste:
    """Strings that stand more than once where the linker merged strings."""
    layer, found, more = loaded.attribution.symbol, Counter[bytes](), Counter[bytes]()
    pools = {number for number, name in enumerate(layer.names) if name in _POOLS}
    file = memory = 0
    for start, label, end in zip(layer.starts, layer.labels, [*layer.starts[1:], layer.end], strict=True):
        section = loaded.vmlinux.section_at(start) if label in pools else None
        # Text in .data belongs to records of the compiler.
        if section is None or section.name == ".data":
            continue
        kept = loaded.memory(start, end) > 0
        for text, count in Counter(loaded.bytes(start, end).split(b"\0")).items():
            again = count - (text not in found)
            found[text] += count
            if again and len(text) >= SHORTEST_STRING and _TEXT.issuperset(text):
                size = again * (len(text) + 1)
                more[text] += size
                file += size
                memory += size * kept
    top = sorted(more.items(), key=lambda item: (-item[1], item[0]))[:MOST_EXAMPLES]
    return Waste(
        "repeated-strings",
        SavingKind.WASTE,
        file,
        memory,
        len(more),
        "Strings that stand in more than one pool. The linker merges equal strings only within a section, and among "
        "those of one alignment.",
        "Nothing in the configuration.",
        tuple(Example(f'{found[text]} times "{text.decode("ascii")}"', size) for text, size in top),
    )


def copied_tables(loaded: LoadedBytes) -> Waste:
    """Read-only data of equal contents and relocations, under different symbols."""
    groups: dict[tuple[str, bytes], list[tuple[int, int]]] = {}
    # Variables that start-up sets, and that nothing changes then.
    first, last = (loaded.vmlinux.symbols.value(f"__{edge}_ro_after_init") or 0 for edge in ("start", "end"))
    for name in READ_ONLY:
        section = loaded.vmlinux.section(name)
        if section is not None:
            data = loaded.contents(section)
            for value, size, index in loaded.objects(section):
                content = data[value - section.address : value - section.address + size]
                if len(content) == size and not first <= value < last:
                    groups.setdefault((name, content), []).append((value, index))
    file = memory = count = 0
    top: list[tuple[int, int, int]] = []
    for (_, content), same in groups.items():
        size, copies = len(content), dict[object, list[tuple[int, int]]]()
        for value, index in same if len(same) > 1 else ():
            # A pointer that is relocated may be zero in the file, whatever it points at.
            copies.setdefault(loaded.relocations.within(value, value + size), []).append((value, index))
        for group in copies.values():
            more = group[1:]
            file += sum(loaded.file(value, value + size) for value, _ in more)
            memory += sum(loaded.memory(value, value + size) for value, _ in more)
            count += len(more)
            if more:
                top.append((size * len(more), len(group), group[0][1]))
    top.sort(reverse=True)
    return Waste(
        "copied-tables",
        SavingKind.WASTE,
        file,
        memory,
        count,
        "Read-only data of equal contents under different symbols: static tables of a header, __func__ of functions of "
        "one name, tables that a generator wrote once a command.",
        "In the source: one table that is shared.",
        tuple(_copied(loaded, *one) for one in top[:MOST_EXAMPLES]),
    )


def _copied(loaded: LoadedBytes, size: int, count: int, index: int) -> Example:
    symbols = loaded.vmlinux.symbols
    return Example(f"{count} times {symbols.name(index)}", size, loaded.source(symbols.values[index]))


def zeros(loaded: LoadedBytes) -> Waste:
    """Data in .data that is all zeros."""
    section = loaded.vmlinux.section(".data")
    found, symbols = list[tuple[int, int, int]](), loaded.vmlinux.symbols
    if section is not None:
        data = loaded.contents(section)
        for value, size, index in loaded.objects(section):
            content = data[value - section.address : value - section.address + size]
            if len(content) == size and not content.strip(b"\0") and not loaded.relocations.within(value, value + size):
                found.append((size, index, value))
    top = sorted(found, reverse=True)[:MOST_EXAMPLES]
    return Waste(
        "zeros-in-data",
        SavingKind.WASTE,
        sum(size for size, _, _ in found),
        0,
        len(found),
        "Data of zeros in .data. In .bss it would take memory all the same, and nothing of the Image.",
        "In the source: __read_mostly, __cacheline_aligned, __page_aligned_data and the like put it there.",
        tuple(Example(symbols.name(index), size, loaded.source(value)) for size, index, value in top),
    )
