"""The tables of a vmlinux, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import titled
from kinspect.reports.terminal import Style, escaped
from kinspect.reports.values import Document
from kinspect.views.tables.listing import TablesFacts


def lines(facts: TablesFacts, style: Style) -> Iterator[str]:
    """Each table with its number of entries."""
    rows = [(escaped(table.name), f"{table.entries:,}", table.record) for table in facts.tables]
    yield from titled(style, ("table", "entries", "of"), rows, "/><")
    yield style.dim("  --table NAME lists the entries of one")


def document(facts: TablesFacts) -> Document:
    """`tables` in docs/report.schema.json."""
    return {
        "kind": "tables",
        "path": facts.path,
        "tables": [
            {"name": table.name, "record": table.record, "entries": table.entries, "size": table.section.size}
            for table in facts.tables
        ],
    }
