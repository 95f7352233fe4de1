"""The owners of table entries: an entry belongs to the owner of the code or data that it describes.

These tables are sorted after the link or made by the linker, so their order says nothing about objects.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.schemas.elf import R_AARCH64_NONE, Rela
from kinspect.schemas.exports import Crc, SymbolFlags
from kinspect.schemas.record import column, size_of
from kinspect.schemas.tables import AltInstruction
from kinspect.views.size.layers import MemoryLayer
from kinspect.views.tables.exports import export_column, export_record
from kinspect.views.tables.kernel import exception_record
from kinspect.views.tables.parts import ADDRESS_MASK, relative
from kinspect.views.tables.relocations import loaded_contents

DEAD = "[dead relocations]"
MCOUNT = ("__start_mcount_loc", "__stop_mcount_loc")
"""The ends of the function tracer's table."""
_BESIDE = {"__ksymtab": ("__kcrctab", "__kflagstab"), "__ksymtab_gpl": ("__kcrctab_gpl",)}
_RELATIVE: tuple[tuple[str, Callable[[Vmlinux, Section], type[NamedTuple]], str], ...] = (
    ("__ex_table", exception_record, "insn"),
    (".altinstructions", lambda *_: AltInstruction, "orig_offset"),
)

Part = tuple[int, int, Iterable[tuple[int, str]]]
"""A range as (start, end, runs): ascending addresses, each with the owner from there to the next."""


class _Owners:
    """Looks up the owner of addresses."""

    def __init__(self, layer: MemoryLayer) -> None:
        self._starts, self._end = layer.starts, layer.end
        self._names = [layer.names[label] for label in layer.labels]

    def __call__(self, addresses: Iterable[int], otherwise: str) -> list[str]:
        starts, names, end = self._starts, self._names, self._end
        lowest = starts[0]
        return [
            names[bisect_right(starts, address) - 1] if lowest <= address < end else otherwise for address in addresses
        ]


def table_owners(vmlinux: Vmlinux, layer: MemoryLayer) -> Iterator[Part]:
    """The owners in the tables of exports, exceptions and alternatives."""
    owners = _Owners(layer)
    for name, record_of, field in _RELATIVE:
        table = vmlinux.section(name)
        if table is None:
            continue
        record = record_of(vmlinux, table)
        section, data = _contents(vmlinux, name, size_of(record))
        if section:
            yield _rows(section, size_of(record), owners(relative(record, field, section, data), f"[{name}]"))
    yield from _export_owners(vmlinux, owners)


def _export_owners(vmlinux: Vmlinux, owners: _Owners) -> Iterator[Part]:
    strings: dict[int, str] = {}
    for name, beside in _BESIDE.items():
        table = vmlinux.section(name)
        if table is None:
            continue
        record = export_record(vmlinux, table)
        section, data = _contents(vmlinux, name, size_of(record))
        if section is None:
            continue
        found = owners(export_column(vmlinux, record, "value", section, data), f"[{name}]")
        yield _rows(section, size_of(record), found)
        for other in beside:
            size = size_of(SymbolFlags if other == "__kflagstab" else Crc)
            table, data_beside = _contents(vmlinux, other, size)
            if table and len(data_beside) // size == len(found):
                yield _rows(table, size, found)
        for field in reversed(record._fields[1:]):
            strings.update(zip(export_column(vmlinux, record, field, section, data), found, strict=True))
    section = vmlinux.section("__ksymtab_strings")
    if section:
        inside = sorted(item for item in strings.items() if section.address <= item[0] < section.end)
        yield section.address, section.end, [(section.address, "[__ksymtab_strings]"), *inside]


def relocation_owners(vmlinux: Vmlinux, layer: MemoryLayer) -> Iterator[Part]:
    """The owners of relocations: of the corrected place, or, in the tracer's table, of the function listed there."""
    owners = _Owners(layer)
    section, data = _contents(vmlinux, ".rela.dyn", size_of(Rela))
    if section:
        offsets, infos = list(column(Rela, "r_offset", data)), column(Rela, "r_info", data)
        places = list(offsets)
        first, last = (value or 0 for value in vmlinux.symbols.values_of(MCOUNT).values())
        if first < last:
            addends = column(Rela, "r_addend", data)
            sites = [number for number, offset in enumerate(offsets) if first <= offset < last]
            for number in sites:
                places[number] = addends[number] & ADDRESS_MASK
            if sites:
                found = dict(
                    zip((offsets[number] for number in sites), (places[number] for number in sites), strict=True)
                )
                slots = range(first, last, 8)
                yield first, last, zip(slots, owners((found.get(slot, slot) for slot in slots), ""), strict=True)
        named = owners(places, "[.rela.dyn]")
        for number, info in enumerate(infos):
            if info & 0xFFFFFFFF == R_AARCH64_NONE:
                named[number] = DEAD
        yield _rows(section, size_of(Rela), named)
    section, data = _contents(vmlinux, ".relr.dyn", 8)
    if section:
        yield _rows(section, 8, owners(_relr_places(data), "[.relr.dyn]"))


def _relr_places(data: bytes) -> Iterator[int]:
    """The first address that each word describes.

    Source: the generic ELF specification, section "Relative relocations".
    """
    at = 0
    for word in memoryview(data).cast("Q"):
        if word & 1:
            yield at + 8 * ((word & -2 & -(word & -2)).bit_length() - 2) if word > 1 else at
            at += 63 * 8
        else:
            yield word
            at = word + 8


def _contents(vmlinux: Vmlinux, name: str, size: int) -> tuple[Section | None, bytes]:
    """A table and its bytes; none unless they can be read and are a whole number of entries."""
    section = vmlinux.section(name)
    data = loaded_contents(vmlinux, section)
    return (section, data) if data and len(data) % size == 0 else (None, b"")


def _rows(section: Section, size: int, names: Sequence[str]) -> Part:
    return section.address, section.end, zip(range(section.address, section.end, size), names, strict=True)
