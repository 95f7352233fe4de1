"""The entries of one table of a vmlinux, decoded."""

from typing import NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.errors import WrongKindError, did_you_mean
from kinspect.views.tables.listing import table_summary, tables_by_name
from kinspect.views.tables.parts import Cell, Column, check_rows, contents


class Table(NamedTuple):
    """A decoded table. A cell is a number; it is text in a text column, and where the value in the file is wrong."""

    name: str
    section: Section
    record: str
    entries: int
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]


class TableFacts(NamedTuple):
    """The entries of one table of a vmlinux."""

    path: str
    table: Table


def table(vmlinux: Elf, name: str) -> Table:
    """One table, decoded.

    Raises WrongKindError, listing the tables of the file, when it has none of this name; MalformedError when the
    section cannot be read or is not a whole number of rows; UnsupportedError when it is larger than any kernel's.
    """
    present = tables_by_name(vmlinux)
    if name not in present:
        problem = f"no such table{did_you_mean(name, present)}"
        expected = f"one of {', '.join(present)}" if present else "nothing: the file has no tables"
        raise WrongKindError(problem, vmlinux.at(), expected=expected, actual=name)
    section, layout = present[name]
    data = contents(vmlinux, section, *layout.records(vmlinux, section))
    found = table_summary(vmlinux, name, section, layout)
    check_rows(vmlinux, section, found.entries)
    columns = layout.columns(vmlinux, section, data)
    rows = list(zip(*columns.values(), strict=True))
    return Table(name, section, found.record, len(rows), tuple(columns), rows)


def table_facts(vmlinux: Elf, name: str) -> TableFacts:
    """The facts of one table. Raises as `table` does."""
    return TableFacts(vmlinux.path, table(vmlinux, name))
