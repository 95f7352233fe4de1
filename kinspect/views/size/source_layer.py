"""The layer of source files, inferred from symbols and DWARF.

Code belongs to the compile unit that `.debug_aranges` gives it to, data to the object whose mapping symbols mark it.
Bytes without a source file are named in brackets. Tables sorted after the link are handled in table_owners.py.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain

from kinspect.artifacts.dwarf.compile_units import CompileUnit
from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.mapping_symbols import ObjectMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.views.size.account import SizeSpan
from kinspect.views.size.layers import LayerBuilder, MemoryLayer, replaced
from kinspect.views.size.object_sources import object_sources
from kinspect.views.size.string_owners import string_owners
from kinspect.views.size.symbol_runs import string_pools
from kinspect.views.size.table_owners import relocation_owners, table_owners

KALLSYMS, NO_SOURCE = "[kallsyms]", "[no source]"
_OF_KALLSYMS = (
    *("addresses", "offsets", "relative_base", "num_syms", "names", "markers"),
    *("seqs_of_names", "token_table", "token_index"),
)
_FILL = 64
"""A shorter gap in code is fill after a function, and belongs to the function's source."""

Runs = Iterator[tuple[int, str]]
"""Ascending addresses, each with the owner from there to the next."""


def source_layer(
    vmlinux: Vmlinux, spans: Sequence[SizeSpan], found: ObjectMap, units: Sequence[CompileUnit]
) -> MemoryLayer:
    """The layer of sources, with the bounds of the spans.

    Tables belong to the objects that contain them; `with_table_owners` assigns their entries to what they describe.
    """
    sources = object_sources(found, [section.number for section in vmlinux.sections if section.executable], units)
    named = [KALLSYMS if "kallsyms" in path and "?/.tmp" in path else path for path in sources]
    code = sorted((start, end, unit.path) for unit in units for start, end in unit.ranges)
    starts = [start for start, _, _ in code]
    builder = LayerBuilder()
    for span in spans:
        section = vmlinux.section(span.name) if span.kind == "section" else None
        if section is None:
            builder.add(span.address, f"[{span.kind}]")
            continue
        first, last = span.address, span.address + span.size
        data = _data_runs(section, found, named)
        if section.executable:
            upto = bisect_right(starts, last)
            data = _code_runs(code[max(0, bisect_right(starts, first) - 1) : upto], list(data), first, last)
        for start, name in data:
            if start < last:
                builder.add(max(start, first), name)
    layer = builder.layer(spans[-1].address + spans[-1].size)
    strings = string_owners(vmlinux, string_pools(vmlinux, spans), found, named)
    return replaced(layer, chain(strings, _kallsyms(vmlinux, found)))


def with_table_owners(vmlinux: Vmlinux, layer: MemoryLayer) -> MemoryLayer:
    """A layer in which each table entry belongs to the owner of the code or data that it describes."""
    layer = replaced(layer, table_owners(vmlinux, layer))
    return replaced(layer, relocation_owners(vmlinux, layer))


def _kallsyms(vmlinux: Vmlinux, found: ObjectMap) -> Iterator[tuple[int, int, list[tuple[int, str]]]]:
    """The kallsyms tables: LLD puts their symbols after the FILE symbol of another object."""
    values = vmlinux.symbols.values_of(f"kallsyms_{name}" for name in _OF_KALLSYMS).values()
    places = [place for place in values if place is not None]
    section = vmlinux.section_at(min(places)) if places else None
    if section and max(places) < section.end:
        starts = found.blocks.get(section.number, ([], []))[0]
        after = bisect_right(starts, max(places))
        yield min(places), starts[after] if after < len(starts) else section.end, [(min(places), KALLSYMS)]


def _data_runs(section: Section, found: ObjectMap, sources: Sequence[str]) -> Runs:
    starts, owners = found.blocks.get(section.number, ([], []))
    if not starts or starts[0] > section.address:
        yield section.address, NO_SOURCE if starts or section.executable else f"[{section.name}]"
    for start, owner in zip(starts, owners, strict=True):
        yield start, sources[owner] if owner >= 0 else NO_SOURCE


def _code_runs(code: Sequence[tuple[int, int, str]], data: list[tuple[int, str]], first: int, last: int) -> Runs:
    """The ranges of compile units, and the runs of mapping symbols between them."""
    starts, at, name = [start for start, _ in data], first, ""
    for begin, stop, path in (*code, (last, last, "")):
        start, end = max(begin, at), min(stop, last)
        if at < start and (start - at >= _FILL or not name):
            number = bisect_right(starts, at) - 1
            yield at, data[number][1]
            yield from data[number + 1 : bisect_left(starts, start)]
        if start < end:
            yield start, path
            at, name = end, path
        at = max(at, start)
