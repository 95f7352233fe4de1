"""A report as text: the facts of each file, then the findings, then the verdict."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.checks.check import Finding, Severity
from kinspect.inspection.report import Report
from kinspect.reports.presentation import presentation
from kinspect.reports.terminal import Style, counted, escaped

Lines = Iterator[str]


def report_lines(report: Report, style: Style) -> Lines:
    """The whole report, a line at a time, without newlines."""
    for index, facts in enumerate(report.facts):
        if index:
            yield ""
        yield from facts_lines(facts, style)
    if report.ran:
        yield ""
        yield from verdict_lines(report, style)


def facts_lines(facts: NamedTuple, style: Style) -> Lines:
    """The facts of one file."""
    yield from presentation(facts).lines(facts, style)


def verdict_lines(report: Report, style: Style) -> Lines:
    """The findings, the worst first, and the verdict in one line."""
    order = list(Severity)
    for finding in sorted(report.findings, key=lambda finding: order.index(finding.severity)):
        yield from finding_lines(finding, style)
    # A check with many findings is one check that does not hold.
    bad = len({found.id for found in report.findings if found.severity in (Severity.ERROR, Severity.UNDECIDED)})
    warnings = sum(finding.severity == Severity.WARNING for finding in report.findings)
    checks, more = counted(len(report.ran), "check"), f", {counted(warnings, 'warning')}" if warnings else ""
    if bad:
        yield style.bad("not good") + f": {bad} of {checks} {'does' if bad == 1 else 'do'} not hold{more}"
    else:
        yield style.good("good") + f": {checks}{more}, nothing wrong"


def finding_lines(finding: Finding, style: Style) -> Lines:
    """One finding: severity, message, places."""
    colours = {Severity.ERROR: style.bad, Severity.UNDECIDED: style.bad, Severity.WARNING: style.warning}
    word = colours.get(finding.severity, style.dim)(f"{finding.severity:9}")
    yield f"{word} {escaped(str(finding.evidence))}  {style.dim('[' + finding.id + ']')}"
    for at in finding.evidence.at:
        yield f"          {escaped(str(at))}"
