"""The exports in a vmlinux: tables of symbols, sorted by name, with parallel tables of CRCs and flags."""

from itertools import chain
from typing import NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.schemas.exports import (
    FLAG_GPL,
    Crc,
    KernelSymbol,
    KernelSymbolAbsolute,
    KernelSymbolUnnamespaced,
    SymbolFlags,
)
from kinspect.schemas.record import column, size_of
from kinspect.views.tables.parts import (
    MISSING,
    Cell,
    Column,
    Columns,
    ColumnType,
    contents,
    named,
    pointers,
    relative,
    sample,
    strings_at,
)

GPL_TABLE = "__ksymtab_gpl"
CRC_TABLES = {"__ksymtab": "__kcrctab", GPL_TABLE: "__kcrctab_gpl"}
FLAG_TABLE = "__kflagstab"
"""In kernels that have it, one `__ksymtab` holds the exports of all licences."""
STRINGS = "__ksymtab_strings"
HYPERVISOR = "__kvm_nvhe_"
"""The prefix of the hypervisor's symbols. Up to 5.10 it has copies of some functions with their exports."""
_RECORDS: tuple[type[NamedTuple], ...] = (KernelSymbol, KernelSymbolUnnamespaced, KernelSymbolAbsolute)


class Exports(NamedTuple):
    """The columns of a `__ksymtab`, and the record of its rows. The namespace is empty for an export without one."""

    section: Section
    record: type[NamedTuple]
    addresses: list[int]
    names: list[str]
    namespaces: list[str]


def exports(vmlinux: Elf, name: str) -> Exports | None:
    """The exports in `__ksymtab` or `__ksymtab_gpl`; None without such a table. Raises as `contents` does."""
    section = vmlinux.section(name)
    if section is None or not section.in_file:
        return None
    record = export_record(vmlinux, section)
    data = contents(vmlinux, section, record)
    addresses, names, *spaces = (export_column(vmlinux, record, field, section, data) for field in record._fields)
    texts = strings_at(vmlinux, chain(names, *spaces))
    return Exports(
        section,
        record,
        addresses,
        [texts[address] for address in names],
        # An export from assembly has 0 there: it points to itself, and so to an empty string.
        [texts[address] for address in spaces[0]] if spaces else [""] * len(names),
    )


def export_record(vmlinux: Elf, section: Section) -> type[NamedTuple]:
    """The record of a table of exports: the one whose names lie in `__ksymtab_strings`."""
    strings = vmlinux.section(STRINGS)
    for record in _RECORDS if strings else ():
        data = sample(vmlinux, section, size_of(record))
        names = export_column(vmlinux, record, "name", section, data)
        if strings and 2 * sum(strings.address <= address < strings.end for address in names) > len(names):
            return record
    return KernelSymbol


def export_column(vmlinux: Elf, record: type[NamedTuple], field: str, section: Section, data: bytes) -> list[int]:
    """The addresses in a field of a table of exports, one a row."""
    if record is KernelSymbolAbsolute:
        return pointers(vmlinux, record, field, section, data)
    return relative(record, field, section, data)


def ksymtab(vmlinux: Elf, section: Section, _: bytes) -> Columns:
    """`__ksymtab` and `__ksymtab_gpl`: exported symbols with their CRCs and licences."""
    found = exports(vmlinux, section.name) or Exports(section, KernelSymbol, [], [], [])
    count = len(found.names)
    crcs = _beside(vmlinux, CRC_TABLES[section.name], Crc, count)
    flags = None if section.name == GPL_TABLE else _beside(vmlinux, FLAG_TABLE, SymbolFlags, count)
    if flags is None:
        flags = [FLAG_GPL if section.name == GPL_TABLE else 0] * count
    return {
        Column("address", ColumnType.ADDRESS): found.addresses,
        Column("symbol", ColumnType.TEXT): named(vmlinux, found.addresses),
        Column("name", ColumnType.TEXT): found.names,
        Column("namespace", ColumnType.TEXT): found.namespaces,
        **({} if crcs is None else {Column("crc", ColumnType.BITS): crcs}),
        Column("licence", ColumnType.TEXT): [_licence(value) for value in flags],
    }


def kcrctab(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`__kcrctab` and `__kcrctab_gpl`: the CRCs, each with the name of its export."""
    crcs = column(Crc, "crc", data)
    exporting = next(name for name, beside in CRC_TABLES.items() if beside == section.name)
    return {
        Column("name", ColumnType.TEXT): _names(vmlinux, exporting, len(crcs)),
        Column("crc", ColumnType.BITS): crcs,
    }


def kflagstab(vmlinux: Elf, _: Section, data: bytes) -> Columns:
    """`__kflagstab`: the flags, each with the name of its export."""
    flags = column(SymbolFlags, "flags", data)
    return {
        Column("name", ColumnType.TEXT): _names(vmlinux, "__ksymtab", len(flags)),
        Column("flags", ColumnType.BITS): flags,
        Column("licence", ColumnType.TEXT): [_licence(value) for value in flags],
    }


def _beside(vmlinux: Elf, name: str, record: type[NamedTuple], count: int) -> list[Cell] | None:
    """The only field of a table that is parallel to `count` exports; None when there is no such table."""
    section = vmlinux.section(name)
    if section is None or not section.in_file:
        return None
    found = column(record, record._fields[0], contents(vmlinux, section, record))
    return [*found[:count], *[MISSING] * (count - len(found))]


def _names(vmlinux: Elf, name: str, count: int) -> list[str]:
    """The first `count` names of a table of exports."""
    found = exports(vmlinux, name)
    names = found.names[:count] if found else []
    return names + [MISSING] * (count - len(names))


def _licence(flags: Cell) -> str:
    if isinstance(flags, str):
        return flags
    return "GPL" if flags & FLAG_GPL else "any"
