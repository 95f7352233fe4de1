"""The exports of a module: labels in its symbol table, and the sections that they point into.

Source: include/linux/export-internal.h; include/asm-generic/export.h before 6.4.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from kinspect.schemas.elf import Symbol
from kinspect.schemas.record import column

_LABEL = re.compile("__(ksymtab|crc|kstrtabns|flags)_([^\0]*)")

Labels = dict[str, dict[str, int]]


class Export(NamedTuple):
    """A symbol that a module exports. `crc` is None without CONFIG_MODVERSIONS, `namespace` empty without one."""

    name: str
    crc: int | None
    gpl: bool
    namespace: str


def export_labels(symbols: bytes, strings: str) -> Labels:
    """The labels of exports by kind (`ksymtab`, `crc`, `kstrtabns`, `flags`): names with the number of their symbol.

    `strings` has one character per byte. Most modules export nothing, which a search of the strings shows quickly.
    """
    found: Labels = {"ksymtab": {}, "crc": {}, "kstrtabns": {}, "flags": {}}
    if "__ksymtab_" in strings or "__crc_" in strings:
        starts = column(Symbol, "st_name", symbols)
        numbers = dict(zip(starts, range(len(starts)), strict=True))
        hits = [(numbers.get(hit.start(), 0), hit[1], hit[2]) for hit in _LABEL.finditer(strings)]
        for number, kind, name in sorted(hits):
            if number:
                found[kind][name] = number
    return found


def exports_of(
    labels: Labels, symbols: bytes, name_of: Callable[[int], bytes], contents_of: Callable[[int], bytes | None]
) -> tuple[Export, ...]:
    """The exports in the order of the symbol table.

    `name_of` and `contents_of` return the name and the bytes of a section by its number; None instead of bytes for an
    absolute symbol, whose value is the CRC itself (kernels up to 5.18).
    """
    if not labels["ksymtab"]:
        return ()
    sections, values = (column(Symbol, field, symbols) for field in ("st_shndx", "st_value"))
    tables = {number: name_of(number) for number in set(map(sections.__getitem__, labels["ksymtab"].values()))}
    # By number, not by name: several sections may have the same name.
    numbers = {sections[number] for kind in ("crc", "kstrtabns", "flags") for number in labels[kind].values()}
    contents = {number: contents_of(number) for number in numbers if number}
    namespaces: dict[tuple[int, int], str] = {}
    found = []
    for name, number in labels["ksymtab"].items():
        table = tables[sections[number]]
        if not table.startswith(b"__ksymtab"):
            continue
        label = labels["flags"].get(name, 0)
        flags = (contents.get(sections[label]) if label else None) or b""
        gpl = bool(flags[values[label]] & 1) if values[label] < len(flags) else table == b"__ksymtab_gpl"
        label = labels["kstrtabns"].get(name, 0)
        place = (sections[label], values[label]) if label else (0, 0)
        if place not in namespaces:
            namespaces[place] = _string(contents.get(place[0]) or b"", place[1])
        label = labels["crc"].get(name, 0)
        crc = _crc(contents[sections[label]], values[label]) if label and sections[label] else None
        found.append(Export(name, crc, gpl, namespaces[place]))
    return tuple(found)


def _crc(section: bytes | None, value: int) -> int | None:
    """A CRC: the value of an absolute symbol, else the number at that offset in `__kcrctab`."""
    if section is None:
        return value & 0xFFFFFFFF
    return int.from_bytes(section[value : value + 4], "little") if value + 4 <= len(section) else None


def _string(section: bytes, start: int) -> str:
    return section[start : max(start, section.find(b"\0", start))].decode("ascii", "surrogateescape")
