"""What the entries of a unit look like: its table of abbreviations.

Source: DWARF 5, section 7.5.3.
"""

from typing import NamedTuple

from kinspect.artifacts.dwarf.units import (
    FORM_WIDTHS,
    IMPLICIT_CONST,
    LARGEST_ABBREVIATIONS,
    dwarf_section,
    number,
)
from kinspect.artifacts.elf.file import Elf

_SIBLING, _REFERENCES = 0x01, (0x11, 0x12, 0x13)
"""DW_AT_sibling, and the forms of fixed size that it has."""
_TABLES_KEPT, _USUAL_TABLE = 16, 1 << 14


class Abbreviation(NamedTuple):
    """What the entries of one code look like. `size` is None when it varies; `sibling` is an offset in the entry."""

    tag: int
    children: bool
    fields: tuple[tuple[int, int, int], ...]
    size: int | None
    sibling: tuple[int, int] | None


class AbbreviationTables:
    """The tables of an ELF file; the last few are kept. IndexError, KeyError or ValueError when one is broken."""

    def __init__(self, artifact: Elf) -> None:
        self._artifact = artifact
        self._tables: dict[int, dict[int, Abbreviation]] = {}

    def at(self, at: int) -> dict[int, Abbreviation]:
        """The table at an offset in `.debug_abbrev`."""
        if at not in self._tables:
            section = dwarf_section(self._artifact, ".debug_abbrev")
            size = max(0, min(LARGEST_ABBREVIATIONS, section.size - at)) if section else 0
            data = section.read(at, min(size, _USUAL_TABLE)) if section else b""
            try:
                table = _table(data)
            except IndexError:
                table = _table(section.read(at, size)) if section else {}
            if len(self._tables) == _TABLES_KEPT:
                del self._tables[next(iter(self._tables))]
            self._tables[at] = table
        return self._tables[at]


def _table(data: bytes) -> dict[int, Abbreviation]:
    found: dict[int, Abbreviation] = {}
    at = 0
    while True:
        code, at = number(data, at)
        if not code:
            return found
        tag, at = number(data, at)
        children = data[at]
        at += 1
        fields: list[tuple[int, int, int]] = []
        size: int | None = 0
        sibling = None
        while True:
            name, form = data[at], data[at + 1]
            at += 2
            if name > 127 or form > 127:
                name, at = number(data, at - 2)
                form, at = number(data, at)
            constant = 0
            if form == IMPLICIT_CONST:
                constant, at = number(data, at)
            if not name:
                break
            if name == _SIBLING and size is not None and form in _REFERENCES:
                sibling = size, FORM_WIDTHS[form]
            width = FORM_WIDTHS.get(form)
            size = None if size is None or width is None else size + width
            fields.append((name, form, constant))
        found[code] = Abbreviation(tag, bool(children), tuple(fields), size, sibling)
