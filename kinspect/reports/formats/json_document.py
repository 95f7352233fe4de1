"""Reports as one JSON document: what --json prints."""

from collections.abc import Iterable

from kinspect.inspection.report import Report
from kinspect.reports.formats import Lines
from kinspect.reports.json import report_text


def json_lines(reports: Iterable[Report]) -> Lines:
    """One document for all reports."""
    yield report_text(sum(reports, Report()))
