"""Redundant bytes of a kernel: fill between symbols, repeated strings, tables with equal contents, zeros in .data."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.mapping_symbols import mapping_names
from kinspect.schemas.elf import SHN_LORESERVE, STT_FILE, STT_OBJECT, STT_SECTION
from kinspect.views.savings.entry import Example, Saving, SavingKind
from kinspect.views.size.attribution import Attribution
from kinspect.views.size.symbol_runs import FILL, STRINGS
from kinspect.views.tables.relocations import DynamicRelocations, loaded_contents

SHORTEST_STRING = 4
"""The shortest string that counts, in characters; the default of strings(1)."""
SMALLEST_TABLE = 16
"""The smallest symbol that counts as a copied table or as zeros, in bytes."""
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


class LoadedKernel:
    """A kernel's loaded sections, symbols and relocations, for the search for savings."""

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
        """The part of [start, end) that lies in the kernel; empty at its end if none does."""
        first = min(max(start, self._start), self._end)
        return first, max(first, min(end, self._end))

    def contents(self, section: Section) -> bytes:
        """The bytes of a section; empty when it cannot be read."""
        if section.number not in self._contents:
            self._contents[section.number] = loaded_contents(self.vmlinux, section)
        return self._contents[section.number]

    def bytes(self, start: int, end: int) -> bytes:
        """The bytes of [start, end) that the section at `start` has in the file."""
        section = self.vmlinux.section_at(start)
        return self.contents(section)[start - section.address : end - section.address] if section else b""

    def source(self, address: int) -> str:
        """The source file that an address comes from; empty when not known."""
        layer = self.attribution.source
        name = layer.names[layer.labels[max(0, bisect_right(layer.starts, address) - 1)]]
        return "" if name.startswith("[") else name

    @cached_property
    def call_sites(self) -> list[int]:
        """The addresses at which the function tracer patches, ascending: at a function's start or just before it."""
        first, last = (self.vmlinux.symbols.value(f"__{edge}_mcount_loc") or 0 for edge in ("start", "stop"))
        data = self.bytes(first, last) if first < last else b""
        values = memoryview(data[: min(len(data) & -8, 8 * MOST_SITES)]).cast("Q")
        addends = self.relocations.addends
        sites = (addends.get(slot, value) for slot, value in zip(range(first, last, 8), values, strict=False))
        # The build zeroes the entries of weak functions that were overridden.
        return sorted(site for site in sites if site)

    @cached_property
    def symbols(self) -> dict[int, list[tuple[int, int, int]]]:
        """Address, size and index of the named symbols of each section, by address."""
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
        """Address, size and index of the data objects of a section, without those that overlap the one before."""
        infos, at = self.vmlinux.symbols.infos, section.address
        for value, size, index in self.symbols.get(section.number, ()):
            if infos[index] & 15 == STT_OBJECT and size >= SMALLEST_TABLE and at <= value <= section.end - size:
                yield value, size, index
                at = value + size


def fill(loaded: LoadedKernel) -> Iterator[Run]:
    """Gaps of less than FILL bytes between a sized symbol and the next symbol that hold only zeros or nops."""
    sites = loaded.call_sites
    for section in loaded.vmlinux.loaded_sections:
        data, end = loaded.contents(section), 0
        for value, size, _ in loaded.symbols.get(section.number, ()):
            if end and end < value < end + FILL and value <= section.end:
                # Nops before a function that the tracer patches are in use.
                site = bisect_left(sites, end)
                stop = min(value, sites[site]) if site < len(sites) else value
                gap = data[end - section.address : stop - section.address]
                if section.executable:
                    gap = gap.replace(NOP, b"")
                if end < stop and not gap.strip(b"\0"):
                    yield Run(section.name, end, stop)
            # How far a label without a size reaches is not known.
            end = max(end, value + size) if size or value < end else 0


def repeated_strings(loaded: LoadedKernel) -> Saving:
    """Strings that occur more than once in the kernel's merged strings."""
    layer, found, more = loaded.attribution.symbol, Counter[bytes](), Counter[bytes]()
    pools = {number for number, name in enumerate(layer.names) if name in _POOLS}
    file = memory = 0
    for start, label, end in zip(layer.starts, layer.labels, [*layer.starts[1:], layer.end], strict=True):
        section = loaded.vmlinux.section_at(start) if label in pools else None
        # Text in .data is part of records that the compiler emits.
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
    return Saving(
        "repeated-strings",
        SavingKind.UNNEEDED,
        file,
        memory,
        len(more),
        "Strings that occur more than once. The linker merges equal strings only within a section and only if they "
        "have the same alignment.",
        "None in the configuration.",
        tuple(Example(f'{found[text]} times "{text.decode("ascii")}"', size) for text, size in top),
    )


def copied_tables(loaded: LoadedKernel) -> Saving:
    """Read-only data with equal contents and relocations under different symbols."""
    groups: dict[tuple[str, bytes], list[tuple[int, int]]] = {}
    # __ro_after_init variables are written during boot: they may be equal only in the file.
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
            # A relocated pointer may be zero in the file; its target is in the relocation.
            copies.setdefault(loaded.relocations.within(value, value + size), []).append((value, index))
        for group in copies.values():
            more = group[1:]
            file += sum(loaded.file(value, value + size) for value, _ in more)
            memory += sum(loaded.memory(value, value + size) for value, _ in more)
            count += len(more)
            if more:
                top.append((size * len(more), len(group), group[0][1]))
    top.sort(reverse=True)
    return Saving(
        "copied-tables",
        SavingKind.UNNEEDED,
        file,
        memory,
        count,
        "Read-only data with equal contents under different symbols: static tables in headers, __func__ of functions "
        "with the same name, tables generated more than once.",
        "Share one table in the source.",
        tuple(_copied(loaded, *group) for group in top[:MOST_EXAMPLES]),
    )


def _copied(loaded: LoadedKernel, size: int, count: int, index: int) -> Example:
    symbols = loaded.vmlinux.symbols
    return Example(f"{count} times {symbols.name(index)}", size, loaded.source(symbols.values[index]))


def zeros(loaded: LoadedKernel) -> Saving:
    """Objects in .data that are all zeros."""
    section = loaded.vmlinux.section(".data")
    found, symbols = list[tuple[int, int, int]](), loaded.vmlinux.symbols
    if section is not None:
        data = loaded.contents(section)
        for value, size, index in loaded.objects(section):
            content = data[value - section.address : value - section.address + size]
            if len(content) == size and not content.strip(b"\0") and not loaded.relocations.within(value, value + size):
                found.append((size, index, value))
    top = sorted(found, reverse=True)[:MOST_EXAMPLES]
    return Saving(
        "zeros-in-data",
        SavingKind.UNNEEDED,
        sum(size for size, _, _ in found),
        0,
        len(found),
        "Variables in .data that are all zeros. In .bss they would take the same memory, but no room in the Image.",
        "In the source: __read_mostly, __cacheline_aligned, __page_aligned_data and the like place variables in .data.",
        tuple(Example(symbols.name(index), size, loaded.source(value)) for size, index, value in top),
    )
