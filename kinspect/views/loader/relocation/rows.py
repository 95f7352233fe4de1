"""The relocations of a module as the kernel reads them, and the addresses that they are about."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import size_of, table_row
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.relocation.areas import Areas, not_kept
from kinspect.views.loader.relocation.values import Address, Space

PREL32 = 261
_REL, _ROW = 9, size_of(Rela)
_LIVEPATCH = 0x00100000
"""SHF_RELA_LIVEPATCH: only a kernel with live patching reads such a section."""
_WIDTHS = {0: 0, 256: 0, 257: 8, 260: 8, 259: 2, 262: 2}


def width_of(kind: int) -> int:
    """The bytes that a relocation of a type writes."""
    return _WIDTHS.get(kind, 4)


class RelocationTable(NamedTuple):
    """A table of relocations: its section number, the section that it changes, and its bytes.

    `data` is None for SHT_REL, which arm64 refuses.
    """

    number: int
    target: int
    data: bytes | None


def relocation_tables(info: LoadInfo) -> list[RelocationTable]:
    """The tables of relocations that the kernel reads."""
    return info.cached(_tables)


def _tables(info: LoadInfo) -> list[RelocationTable]:
    sections, index, gone = info.sections, info.index, not_kept(info)
    if info.kernel.relocates_per_cpu:
        gone.discard(index["pcpu"])
    found = []
    for number, kind in enumerate(sections.types):
        if kind not in (elf.SHT_RELA, _REL) or not number:
            continue
        target = sections.infos[number]
        if target >= info.count or target in gone:
            continue
        # The kernel marks some sections as loaded itself.
        made = target in (index["sym"], index["str"]) or target in info.stubs
        loaded = made or sections.flags[target] & elf.SHF_ALLOC
        if loaded and not sections.flags[number] & _LIVEPATCH:
            found.append(RelocationTable(number, target, info.bytes_of(number) if kind == elf.SHT_RELA else None))
    return found


def relocations_of(info: LoadInfo, target: int) -> Iterator[tuple[int, int, int, int]]:
    """The relocations of a section: offset, type, symbol number, addend; without those of symbols beyond the table."""
    for _, section, data in relocation_tables(info) if target else ():
        if section == target and data:
            for offset, r_info, addend in table_row(Rela).iter_unpack(data[: len(data) - len(data) % _ROW]):
                if r_info >> 32 < len(info.symbol_sections):
                    yield offset, r_info & 0xFFFFFFFF, r_info >> 32, addend


def symbol_address(info: LoadInfo, areas: Areas, number: int) -> Address:
    """The address of a symbol; one that is undefined is the kernel's or another module's."""
    section, value = info.symbol_sections[number], info.symbol_values[number]
    if number == 0 or section >= info.count:
        return Address(Space.ABSOLUTE, value)
    if section == elf.SHN_UNDEF:
        return Address(Space.KERNEL, 0)
    if section == info.index["pcpu"]:
        return Address(Space.PER_CPU if info.sections.sizes[section] else Space.ABSOLUTE, value)
    return address_at(areas, section, value)


def address_at(areas: Areas, section: int, offset: int) -> Address:
    """The address of an offset in a section."""
    place = areas.place(section)
    return Address(place.area or Space.FILE, place.offset + offset)
