"""A report as text for people: what each file is, then what was found, then the verdict."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

from kinspect.checks.check import Finding, Severity
from kinspect.inspection.kernel import FileFacts
from kinspect.inspection.report import Report
from kinspect.reports.presentation import presentation
from kinspect.reports.terminal import Style, counted, escaped

WRITERS = {
    "FileFacts": "text:file_lines",
    "Sizes": "size.account:sizes_lines",
    "GroupedSizes": "size.grouped:size_tree_lines",
    "WasteFacts": "savings.facts:waste_lines",
    "WrittenFacts": "module.tree:written_lines",
    "DtbFacts": "dtb.blob:dtb_lines",
    "DtbTreeFacts": "dtb.blob:tree_lines",
    "BuildLogFacts": "buildlog.facts:log_lines",
    "BuiltFacts": "buildlog.facts:built_lines",
}
"""The function that writes each kind of facts; its module is imported when there are such facts."""

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
    if type(facts).__name__ not in WRITERS:
        yield from presentation(facts).lines(facts, paint)
        return
    module, name = WRITERS[type(facts).__name__].split(":")
    write: Callable[[Any, Style], Lines] = getattr(import_module(f"kinspect.reports.{module}"), name)
    yield from write(facts, paint)


def file_lines(facts: FileFacts, paint: Style) -> Lines:
    """What file(1) says of a path."""
    yield f"{paint.bold(escaped(facts.path))}: {escaped(facts.description)}"


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
