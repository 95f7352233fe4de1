"""The text of `kinspect log`: the facts, the findings, and a verdict that says how the build ended."""

from collections.abc import Iterator

from kinspect.checks.check import Severity
from kinspect.inspection.report import Report
from kinspect.reports.buildlog import facts as log_report
from kinspect.reports.buildlog import output_folder as folder_report
from kinspect.reports.terminal import Style, counted
from kinspect.reports.text import finding_lines
from kinspect.views.buildlog.facts import BuildLogFacts, BuildOutcome
from kinspect.views.buildlog.output_folder import BuiltFacts

_ENDED = {
    BuildOutcome.IMAGE: "the build made a kernel image",
    BuildOutcome.DONE: "make ended without an error",
    BuildOutcome.FAILED: "the build failed",
    BuildOutcome.CUT: "the log is cut off",
}


def report_lines(report: Report, style: Style) -> Iterator[str]:
    """The whole report, a line at a time, without newlines."""
    for log in report.facts_of(BuildLogFacts):
        yield from log_report.lines(log, style)
    for built in report.facts_of(BuiltFacts):
        yield ""
        yield from folder_report.lines(built, style)
    if report.facts:
        yield ""
    order = list(Severity)
    for finding in sorted(report.findings, key=lambda finding: order.index(finding.severity)):
        yield from finding_lines(finding, style)
    for log in report.facts_of(BuildLogFacts):
        counts = f"{counted(log.errors, 'error')}, {counted(log.warnings, 'warning')}"
        verdict = style.good("good") if report.ok else style.bad("not good")
        yield f"{verdict}: {_ENDED[log.outcome]}, {counts}{''.join(map(_compared, report.facts_of(BuiltFacts)))}"


def _compared(built: BuiltFacts) -> str:
    """How the O= folder differs from the log: `, 3 files missing`."""
    counts = ((built.missing, "missing"), (len(built.stale), "stale"), (built.changed, "newer than the log"))
    return "".join(f", {counted(count, 'file')} {adjective}" for count, adjective in counts if count)
