"""The verdict of a report in one line, the same in every command and format: `good: 23 checks, nothing wrong`.

The word goes with the exit status: `good` 0, `not good` and `incomplete` 1, `could not tell` 2. What was checked
follows, then what was not read, checked, understood or reported.
"""

from typing import NamedTuple

from kinspect.checks.check import Severity
from kinspect.errors import UncheckedError
from kinspect.inspection.report import Report
from kinspect.reports.presentation import outcome, verdict_notes
from kinspect.reports.terminal import Style, counted


class VerdictLine(NamedTuple):
    """A word, and the text after it. The word is empty when nothing was checked."""

    word: str
    text: str

    def __str__(self) -> str:
        return f"{self.word}: {self.text}" if self.word else self.text

    def shown(self, style: Style) -> str:
        """The verdict with its word in colour."""
        if not self.word:
            return style.warning(self.text)
        return f"{(style.good if self.word == 'good' else style.bad)(self.word)}: {self.text}"


def verdict(report: Report) -> VerdictLine | None:
    """The verdict of a report; None if nothing was to be checked, as for a list of tables."""
    outcomes = list(filter(None, map(outcome, report.facts)))
    notes = [note for facts in report.facts for note in verdict_notes(facts)]
    if not (report.ran or outcomes or notes or report.findings or report.errors):
        return None
    failed = sum(not isinstance(error, UncheckedError) for error in report.errors)
    unread = f"{counted(failed, 'file')} not read" if failed else ""
    word = _word(report)
    if word == "incomplete" and notes:
        text = f"{notes.pop(0)}; {_counts(report)}, nothing else wrong"
    elif not (report.ran or outcomes or unread):
        word, text = word if report.errors else "", "nothing checked"
    else:
        text = ", ".join(outcomes) or (_counts(report) if report.ran else "")
    return VerdictLine(word, "; ".join(filter(None, [text, unread, *notes])))


def _word(report: Report) -> str:
    ids = {finding.id for finding in report.findings if finding.severity in (Severity.ERROR, Severity.UNDECIDED)}
    if any(finding.severity == Severity.ERROR for finding in report.findings):
        return "incomplete" if ids == _only_incomplete() and not report.errors else "not good"
    return "could not tell" if ids or report.errors else "good"


def _counts(report: Report) -> str:
    """How many checks ran and how many of them failed: a check with several findings has failed once."""
    failed, undecided = (
        {finding.id for finding in report.findings if finding.severity == severity}
        for severity in (Severity.ERROR, Severity.UNDECIDED)
    )
    failed -= _only_incomplete()
    warnings = sum(finding.severity == Severity.WARNING for finding in report.findings)
    checks = counted(len(report.ran), "check")
    parts = [f"{len(failed)} of {checks} failed" if failed else checks]
    parts += [f"{len(undecided - failed)} could not run"] if undecided - failed else []
    parts += [counted(warnings, "warning")] if warnings else []
    if len(parts) == 1 and not failed and _word(report) == "good":
        parts.append("nothing wrong")
    return ", ".join(parts)


def _only_incomplete() -> set[str]:
    """The one check that an unfinished build, right as far as it goes, does not pass."""
    from kinspect.checks.build.files import build_is_complete

    return {build_is_complete.id}
