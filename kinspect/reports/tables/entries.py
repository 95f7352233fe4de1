"""The entries of one table of a vmlinux, as text and as JSON."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from kinspect.reports.layout import titled
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document, hexadecimal
from kinspect.views.tables.entries import TableFacts
from kinspect.views.tables.parts import Cell, ColumnType

_HEXADECIMAL = (ColumnType.ADDRESS, ColumnType.BITS)


def lines(facts: TableFacts, style: Style) -> Iterator[str]:
    """A line for each entry."""
    table = facts.table
    about = f"{counted(table.entries, 'entry', 'entries')} of {table.record}"
    yield f"{style.bold(escaped(facts.path))}: {escaped(table.name)}, {about}"
    cells = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    shown = [_shown(values, column.type) for values, column in zip(cells, table.columns, strict=True)]
    align = ["/" if column.type == ColumnType.TEXT else ">" for column in table.columns]
    head = [column.name for column in table.columns]
    # Where the symbol at an address follows it, the address can be left out.
    types = [column.type for column in table.columns]
    pairs = list(enumerate(pairwise(types)))
    drop = [at for at, pair in reversed(pairs) if pair == (ColumnType.ADDRESS, ColumnType.TEXT)]
    yield from titled(style, head, zip(*shown, strict=True), "".join(align), drop)


def _shown(values: tuple[Cell, ...], column_type: ColumnType) -> list[str]:
    """The cells of a column as text. A marker for a wrong value is text in any column."""
    if column_type == ColumnType.TEXT:
        return [escaped(str(value)) for value in values]
    form = "{:#x}" if column_type in _HEXADECIMAL else "{:,}"
    return [escaped(value) if isinstance(value, str) else form.format(value) for value in values]


def rows(facts: TableFacts) -> Iterator[Sequence[str | int]]:
    """The table for CSV, with the values as JSON has them."""
    yield [column.name for column in facts.table.columns]
    yield from _values(facts)


def _values(facts: TableFacts) -> Iterator[list[str | int]]:
    in_hex = [column.type in _HEXADECIMAL for column in facts.table.columns]
    for row in facts.table.rows:
        yield [
            hexadecimal(cell) if hexadecimals and isinstance(cell, int) else cell
            for cell, hexadecimals in zip(row, in_hex, strict=True)
        ]


def document(facts: TableFacts) -> Document:
    """`table` in docs/report.schema.json."""
    table = facts.table
    return {
        "kind": "table",
        "path": facts.path,
        "name": table.name,
        "section": table.section.name,
        "record": table.record,
        "entries": table.entries,
        "columns": [column.name for column in table.columns],
        "rows": list(_values(facts)),
    }
