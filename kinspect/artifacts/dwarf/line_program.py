"""The source line of an address, from the DWARF of that address only: no section is read whole.

`.debug_aranges` or the units' own ranges map the address to its unit, whose line program is run up to the address.
"""

import posixpath
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import NamedTuple

from kinspect.artifacts.dwarf.attributes import AttributeValues
from kinspect.artifacts.dwarf.compile_units import CompileUnits
from kinspect.artifacts.dwarf.line_table import LineRow, LineTable, file_path, line_row, line_table
from kinspect.artifacts.dwarf.units import UnitHead, aranges, unit_head
from kinspect.artifacts.elf.debug_file import with_debug_info
from kinspect.artifacts.elf.file import Elf
from kinspect.errors import MalformedError

_COMP_DIR, _STMT_LIST = 0x1B, 0x10
BROKEN = (IndexError, KeyError, ValueError, OverflowError)
"""What reading broken DWARF raises, apart from kinspect's own errors."""


class SourceLine(NamedTuple):
    """A line of a source file, counted from 1. The path is the compiler's, normalised, relative to where it ran.

    `discriminator` tells blocks of one line apart; 0 is none.
    """

    path: str
    line: int
    discriminator: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class LineInUnit(NamedTuple):
    """The row of an address, with the unit and the line program that it is in."""

    unit: UnitHead
    table: LineTable
    row: LineRow


class SourceLines:
    """The source lines of an ELF file, from its DWARF or that of its separate debug file.

    Paths are relative to the folder in which the compiler ran if they are below it, unless `relative` is off.
    """

    def __init__(self, artifact: Elf, relative: bool = True) -> None:
        self.artifact, self._relative = with_debug_info(artifact), relative
        self.values = AttributeValues(self.artifact)
        self._program = lru_cache(maxsize=64)(self._program_of_unit)

    def __bool__(self) -> bool:
        return bool(self._units or self._own_units)

    def line(self, address: int) -> SourceLine | None:
        """The source line of an address; None when no unit covers it. MalformedError when the DWARF is broken."""
        try:
            found = next(self.rows(address), None)
            return self.source_line(found) if found else None
        except BROKEN as reason:
            raise self.broken(reason) from reason

    def rows(self, address: int) -> Iterator[LineInUnit]:
        """The row of an address, and the one that the units' own ranges lead to. May raise one of BROKEN.

        `.debug_aranges` has the ranges of most units; clang writes it only for assembly.
        """
        for units in (self._units, self._own_units):
            # The last unit that begins before it: code of a subsection follows the range in .debug_aranges.
            found = bisect_right(units, (address, 1 << 64, 0)) - 1
            if found >= 0:
                program = self._program(units[found][2])
                row = line_row(program[1], address) if program else None
                if program and row:
                    yield LineInUnit(*program, row)

    def source_line(self, found: LineInUnit) -> SourceLine:
        """The line that a row names. May raise one of BROKEN."""
        path, folder = file_path(self.values, found.table, found.row.file), f"{found.table.folder}/"
        if self._relative and path.startswith(folder):
            path = posixpath.relpath(path, folder)
        return SourceLine(path, found.row.line, found.row.discriminator)

    def broken(self, reason: Exception) -> MalformedError:
        """The error for DWARF that ended in one of BROKEN."""
        return MalformedError(f"broken DWARF ({type(reason).__name__}: {reason})", self.artifact.at(".debug_line"))

    @cached_property
    def _units(self) -> list[tuple[int, int, int]]:
        return aranges(self.artifact)

    @cached_property
    def _own_units(self) -> list[tuple[int, int, int]]:
        return CompileUnits(self.artifact).own_ranges

    def _program_of_unit(self, offset: int) -> tuple[UnitHead, LineTable] | None:
        unit = unit_head(self.artifact, offset)
        _, start = unit.attributes.get(_STMT_LIST, (0, b""))
        if isinstance(start, bytes):
            return None
        table = line_table(self.artifact, start, self.values.text(unit, _COMP_DIR) or "")
        return (unit, table) if table else None
