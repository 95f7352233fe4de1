"""The section table of an ELF file in memory: rows, columns and names, decoded only where needed.

A tree of modules has 35,000 sections: only those that are used become objects.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from kinspect.schemas.elf import SectionHeader
from kinspect.schemas.record import column, table_row


class SectionColumns(NamedTuple):
    """The section headers, one column per field. `names` are offsets in the name table."""

    names: Sequence[int]
    types: Sequence[int]
    flags: Sequence[int]
    addresses: Sequence[int]
    offsets: Sequence[int]
    sizes: Sequence[int]
    links: Sequence[int]
    infos: Sequence[int]
    alignments: Sequence[int]
    entry_sizes: Sequence[int]


def section_columns(table: bytes | memoryview) -> SectionColumns:
    """The columns of a section table, which must be a whole number of rows."""
    if not table:
        return SectionColumns(*[()] * len(SectionColumns._fields))
    return SectionColumns(*zip(*table_row(SectionHeader).iter_unpack(table), strict=True))


class SectionRow(NamedTuple):
    """One section: its number, name and header."""

    number: int
    name: bytes
    header: SectionHeader


class SectionTable:
    """The headers of all sections and the table of their names. Neither is trusted."""

    def __init__(self, rows: bytes, names: bytes) -> None:
        self._rows, self._names = rows, names + b"\0"
        self._starts = list(column(SectionHeader, "sh_name", rows))

    def __len__(self) -> int:
        return len(self._starts)

    def header(self, number: int) -> SectionHeader:
        """The header of a section by its number. struct.error when the number is out of range."""
        return header_at(self._rows, number)

    def name(self, number: int) -> bytes:
        """The name of a section; empty when the number is out of range."""
        start = self._starts[number] if 0 < number < len(self) else len(self._names)
        return self._names[start : self._names.find(b"\0", start)]

    def row(self, number: int) -> SectionRow | None:
        """A section by its number; None when the number is out of range."""
        return SectionRow(number, self.name(number), self.header(number)) if number < len(self) else None

    @cached_property
    def _numbers(self) -> dict[bytes, int]:
        """The number of the first section of each name."""
        names, find = self._names, self._names.find
        titles = [names[start : find(b"\0", start)] for start in self._starts]
        return dict(zip(reversed(titles), range(len(titles) - 1, -1, -1), strict=True))

    def named(self, name: bytes) -> SectionRow | None:
        """The first section of that name, which is the one that the kernel and kmod use; None without one."""
        number = self._numbers.get(name)
        return None if number is None else SectionRow(number, name, self.header(number))

    def by_name(self) -> dict[bytes, SectionRow]:
        """The sections by name; the first where a name repeats."""
        found: dict[bytes, SectionRow] = {}
        for number in range(len(self)):
            header = self.header(number)
            if header.sh_type:
                name = self.name(number)
                found.setdefault(name, SectionRow(number, name, header))
        return found


def header_at(rows: bytes, number: int) -> SectionHeader:
    """One header of a section table."""
    row = table_row(SectionHeader)
    return SectionHeader._make(row.unpack_from(rows, number * row.size))
