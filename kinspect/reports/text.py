"""A report as text: the facts of each file, then the findings, then the verdict in the last line."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from kinspect.checks.check import Finding, Severity
from kinspect.inspection.report import Report
from kinspect.reports.layout import wrapped
from kinspect.reports.presentation import presentation
from kinspect.reports.terminal import Style, escaped
from kinspect.reports.verdict import verdict

Lines = Iterator[str]
_MARGIN = 10
"""The column of messages, after their severity."""


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
    order = list(Severity)
    listed = [finding for finding in report.findings if finding.severity in severities]
    if listed:
        yield ""
    for finding in sorted(listed, key=lambda finding: order.index(finding.severity)):
        yield from finding_lines(finding, style)
    found = verdict(report)
    if found:
        yield ""
        yield from wrapped(style, found.shown(style))


def finding_lines(finding: Finding, style: Style) -> Lines:
    """One finding: severity, message, places."""
    colours = {Severity.ERROR: style.bad, Severity.UNDECIDED: style.bad, Severity.WARNING: style.warning}
    word = colours.get(finding.severity, style.dim)(f"{finding.severity:9}")
    text = f"{word} {escaped(str(finding.evidence))}  {style.dim('[' + finding.id + ']')}"
    yield from wrapped(style, text, _MARGIN)
    for at in finding.evidence.at:
        yield from wrapped(style, " " * _MARGIN + escaped(str(at)), _MARGIN + 2)
