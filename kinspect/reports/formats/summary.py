"""The files that a report is about, and its verdict in one line, as several formats show them."""

from kinspect.checks.build.files import build_is_complete
from kinspect.checks.check import Severity
from kinspect.inspection.report import Report
from kinspect.reports.presentation import verdict_notes
from kinspect.reports.terminal import counted

_PATHS = ("path", "vmlinux", "image", "old", "new", "symvers", "other", "tree")
_NAMED = 3
_VERDICTS = ("good", "not good", "could not tell")
_NOUNS = {
    Severity.ERROR: ("error", "errors"),
    Severity.UNDECIDED: ("undecided", "undecided"),
    Severity.WARNING: ("warning", "warnings"),
    Severity.INFO: ("note", "notes"),
}


def subject(report: Report) -> str:
    """The files that a report is about: those of its facts, and those that could not be read."""
    told = [path for facts in report.facts for path in getattr(facts, "paths", ())]
    told += [getattr(facts, name, None) for facts in report.facts for name in _PATHS]
    paths = list(dict.fromkeys(filter(None, [*told, *(error.at.path for error in report.errors)])))
    more = [f"{len(paths) - _NAMED} more"] if len(paths) > _NAMED else []
    return " and ".join([*paths[:_NAMED], *more]) or "kinspect"


def verdict(report: Report) -> str:
    """`not good: 21 checks, 1 error, 2 warnings`."""
    counts = [counted(len(report.ran), "check")]
    for severity, nouns in _NOUNS.items():
        number = sum(finding.severity == severity for finding in report.findings)
        if number:
            counts.append(counted(number, *nouns))
    if report.errors:
        counts.append(f"{len(report.errors)} not read")
    word = _VERDICTS[report.exit_code]
    if {finding.id for finding in report.findings if finding.severity == Severity.ERROR} == {build_is_complete.id}:
        word = "incomplete"
    notes = [note for facts in report.facts for note in verdict_notes(facts)]
    return "; ".join([f"{word}: {', '.join(counts)}", *notes])
