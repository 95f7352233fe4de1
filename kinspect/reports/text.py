"""A report as text: the facts of each file, then the findings, then the verdict."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.checks.check import Finding, Severity
from kinspect.inspection.report import Report
from kinspect.reports.presentation import presentation, verdict_notes
from kinspect.reports.terminal import Style, counted, escaped

Lines = Iterator[str]


def report_lines(report: Report, style: Style) -> Lines:
    """The whole report, a line at a time, without newlines."""
    for index, facts in enumerate(report.facts):
        if index:
            yield ""
        yield from facts_lines(facts, style)
    notes = [note for facts in report.facts for note in verdict_notes(facts)]
    if report.ran or notes or (report.errors and report.facts):
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
    bad = {found.id for found in report.findings if found.severity in (Severity.ERROR, Severity.UNDECIDED)}
    warnings = sum(finding.severity == Severity.WARNING for finding in report.findings)
    checks, more = counted(len(report.ran), "check"), f", {counted(warnings, 'warning')}" if warnings else ""
    notes = [note for facts in report.facts for note in verdict_notes(facts)]
    unread = f"{counted(len(report.errors), 'file')} not read" if report.errors else ""
    if bad and not unread and bad == _only_incomplete():
        verdict = style.bad("incomplete") + f": {notes.pop(0)}; {checks}{more}, nothing else wrong"
    elif bad:
        verb = "does" if len(bad) == 1 else "do"
        verdict = style.bad("not good") + f": {len(bad)} of {checks} {verb} not hold{more}"
    elif unread:
        verdict = style.bad("could not tell") + f": {checks}{more}, nothing else wrong"
    elif report.ran:
        verdict = style.good("good") + f": {checks}{more}, nothing wrong"
    else:
        verdict = style.warning("nothing checked")
    yield "; ".join(filter(None, [verdict, unread, *notes]))


def _only_incomplete() -> set[str]:
    """The one check that an unfinished build, right as far as it goes, does not pass."""
    from kinspect.checks.build.files import build_is_complete

    return {build_is_complete.id}


def finding_lines(finding: Finding, style: Style) -> Lines:
    """One finding: severity, message, places."""
    colours = {Severity.ERROR: style.bad, Severity.UNDECIDED: style.bad, Severity.WARNING: style.warning}
    word = colours.get(finding.severity, style.dim)(f"{finding.severity:9}")
    yield f"{word} {escaped(str(finding.evidence))}  {style.dim('[' + finding.id + ']')}"
    for at in finding.evidence.at:
        yield f"          {escaped(str(at))}"
