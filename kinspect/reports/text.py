"""A report as text: the facts of each file, then the findings, then the verdict in the last line."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from kinspect.checks.check import Severity
from kinspect.inspection.report import Report
from kinspect.reports.layout import wrapped
from kinspect.reports.presentation import containers, presentation
from kinspect.reports.terminal import Style
from kinspect.reports.verdict import verdict

Lines = Iterator[str]


def facts_lines(facts: NamedTuple, style: Style) -> Lines:
    """The facts of one file."""
    yield from presentation(facts).lines(facts, style)


def report_lines(
    report: Report,
    style: Style,
    severities: Collection[Severity] = tuple(Severity),
    lines: Callable[[Any, Style], Lines] = facts_lines,
) -> Lines:
    """The whole report, a line at a time, without newlines.

    Only findings of the given severities are listed: where facts say what is wrong, findings would repeat it.
    """
    for index, facts in enumerate(report.facts):
        if index:
            yield ""
        yield from lines(facts, style)
    if report.facts or report.ran:
        yield from verdict_lines(report, style, severities)


def verdict_lines(report: Report, style: Style, severities: Collection[Severity] = tuple(Severity)) -> Lines:
    """The findings, the worst first, and the verdict in one line, with an empty line before each of these parts."""
    listed = [finding for finding in report.findings if finding.severity in severities]
    if listed:
        from kinspect.reports.findings import findings_lines

        yield ""
        yield from findings_lines(listed, style, [path for facts in report.facts for path in containers(facts)])
    found = verdict(report)
    if found:
        yield ""
        yield from wrapped(style, found.shown(style))
