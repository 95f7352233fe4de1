"""Reports as CSV, for spreadsheets: the table of the facts, after a header. Findings show in the exit status alone."""

import csv
import io
from collections.abc import Iterable, Sequence

from kinspect.errors import Location, MalformedError
from kinspect.inspection.report import Report
from kinspect.reports.formats import Lines
from kinspect.reports.json import facts_document
from kinspect.reports.presentation import presentation
from kinspect.reports.terminal import escaped

_FORMULAS = ("=", "+", "-", "@")
_OPTION = Location("--format csv")


def csv_lines(reports: Iterable[Report]) -> Lines:
    """One table. Raises MalformedError for facts without a table, and when there would be two different tables."""
    header: list[str | int] = []
    for report in reports:
        for facts in report.facts:
            rows = getattr(presentation(facts), "rows", None)
            if rows is None:
                raise MalformedError(f"{facts_document(facts)['kind']} has no table", _OPTION)
            own, *table = rows(facts)
            if header and header != [*own]:
                raise MalformedError("more than one kind of table", _OPTION)
            if not header:
                header = [*own]
                yield _line(header)
            yield from map(_line, table)


def _line(cells: Sequence[str | int]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([_text(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue()


def _text(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{escaped(cell)}" if cell[:1] in _FORMULAS and len(cell) > 1 else escaped(cell)
