"""A report as text for people: what each file is, then what was found, then the verdict."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.checks.check import Finding, Severity
from kinspect.inspection.report import Report
from kinspect.reports.presentation import presentation
from kinspect.reports.terminal import Style, counted, escaped

Lines = Iterator[str]


def report_lines(report: Report, paint: Style) -> Lines:
    """The whole report, a line at a time, without newlines."""
    for index, facts in enumerate(report.facts):
        if index:
            yield ""
        yield from facts_lines(facts, paint)
    if report.ran:
        yield ""
        yield from verdict_lines(report, paint)


def facts_lines(facts: NamedTuple, paint: Style) -> Lines:
    """One artifact's facts."""
    yield from presentation(facts).lines(facts, paint)


def verdict_lines(report: Report, paint: Style) -> Lines:
    """The findings, the worst first, and one line that sums up."""
    order = list(Severity)
    for finding in sorted(report.findings, key=lambda finding: order.index(finding.severity)):
        yield from finding_lines(finding, paint)
    # A check may find the same fault in many places.
    bad = len({found.id for found in report.findings if found.severity in (Severity.ERROR, Severity.UNDECIDED)})
    warnings = sum(finding.severity == Severity.WARNING for finding in report.findings)
    checks, more = counted(len(report.ran), "check"), f", {counted(warnings, 'warning')}" if warnings else ""
    if bad:
        yield paint.bad("not good") + f": {bad} of {checks} {'does' if bad == 1 else 'do'} not hold{more}"
    else:
        yield paint.good("good") + f": {checks}{more}, nothing wrong"


def finding_lines(finding: Finding, paint: Style) -> Lines:
    """One finding: severity, what, where."""
    colours = {Severity.ERROR: paint.bad, Severity.UNDECIDED: paint.bad, Severity.WARNING: paint.warning}
    word = colours.get(finding.severity, paint.dim)(f"{finding.severity:9}")
    yield f"{word} {escaped(str(finding.evidence))}  {paint.dim('[' + finding.id + ']')}"
    for at in finding.evidence.at:
        yield f"          {escaped(str(at))}"
