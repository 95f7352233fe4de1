"""What a build log means: the findings in it, and in the O= folder that it is held against.

They need no artifact but the log's facts, so they are a function of those, like the findings of `abi`.
"""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Finding, Severity
from kinspect.errors import Location
from kinspect.views.buildlog.commands import Step
from kinspect.views.buildlog.facts import BuildLogFacts, BuildOutcome
from kinspect.views.buildlog.messages import Diagnostic
from kinspect.views.buildlog.output_folder import BuiltFacts

FINISHED = "build-is-finished"
NO_ERRORS = "build-has-no-errors"
NO_WARNINGS = "build-has-no-warnings"
UNDERSTOOD = "build-log-is-understood"
THERE = "built-files-are-there"
FRESH = "built-files-are-fresh"
OF_THIS_LOG = "built-files-are-of-this-log"
OF_LOG = (FINISHED, NO_ERRORS, NO_WARNINGS, UNDERSTOOD)
OF_FOLDER = (THERE, FRESH, OF_THIS_LOG)
MOST = 50
"""Messages of one severity that are findings of their own; the rest is counted in one."""
NAMED = 3
"""Files or lines that one finding names."""


def log_findings(facts: BuildLogFacts) -> Iterator[Finding]:
    """What a log says against its build."""
    if facts.outcome == BuildOutcome.FAILED:
        more = f" and {len(facts.failures) - 1:,} more" if len(facts.failures) > 1 else ""
        yield _finding(FINISHED, Severity.ERROR, f"make failed at {facts.failures[0]}{more}", Location(facts.path))
    elif facts.outcome == BuildOutcome.CUT:
        last = f": the last step is {step_text(facts.last)}" if facts.last else ""
        yield _finding(FINISHED, Severity.ERROR, f"the log ends before the build does{last}", Location(facts.path))
    yield from _messages(facts, "error", NO_ERRORS, Severity.ERROR, facts.errors)
    yield from _messages(facts, "warning", NO_WARNINGS, Severity.WARNING, facts.warnings)
    if facts.account.unknown:
        at = tuple(Location(facts.path, text[:100], None, number) for number, text in facts.unknown[:NAMED])
        lines = "1 line is" if facts.account.unknown == 1 else f"{facts.account.unknown:,} lines are"
        yield _finding(UNDERSTOOD, Severity.INFO, f"{lines} neither steps nor messages that kinspect knows", *at)


def _messages(facts: BuildLogFacts, word: str, name: str, severity: Severity, count: int) -> Iterator[Finding]:
    shown = [message for message in facts.messages if message.severity == word][:MOST]
    for message in shown:
        yield _finding(name, severity, _said(message), *_places(facts.path, message))
    if count > len(shown):
        yield _finding(name, severity, f"{count - len(shown):,} {word}s more", Location(facts.path))


def _said(message: Diagnostic) -> str:
    step = f"{step_text(message.step)}: " if message.step else ""
    return f"{step}{message.text}" if step or not message.tool else f"{message.tool}: {message.text}"


def _places(log: str, message: Diagnostic) -> Iterator[Location]:
    if message.path:
        yield Location(message.path, "", None, message.line)
    yield Location(log, "", None, message.number)


def built_findings(facts: BuiltFacts) -> Iterator[Finding]:
    """What lies in the O= folder against what the log says was made."""
    if facts.missing:
        yield _finding(
            THERE,
            Severity.ERROR,
            f"{_files(facts.missing)} not there, and the log says made",
            *(Location(f"{facts.folder}/{name}") for name in facts.missing_names[:NAMED]),
        )
    for stale in facts.stale:
        at = Location(f"{facts.folder}/{stale.path}")
        yield _finding(FRESH, Severity.ERROR, f"it is older than {stale.source}, which it is made of", at)
    if facts.changed:
        yield _finding(
            OF_THIS_LOG,
            Severity.WARNING,
            f"{_files(facts.changed)} newer than the log",
            *(Location(f"{facts.folder}/{name}") for name in facts.changed_names[:NAMED]),
        )


def step_text(step: Step) -> str:
    """A step as make prints it: `CC [M] fs/nls/nls_utf8.o`."""
    return " ".join(filter(None, (step.tag, step.mark and f"[{step.mark}]", step.target)))


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count:,} files are"


def _finding(name: str, severity: Severity, message: str, *at: Location) -> Finding:
    return Finding(name, severity, Evidence(message, at))
