"""Checks of a build log, and of the O= folder that the build wrote to."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted
from kinspect.errors import Location
from kinspect.views.buildlog.commands import Step
from kinspect.views.buildlog.facts import BuildLogFacts, BuildOutcome
from kinspect.views.buildlog.messages import Diagnostic
from kinspect.views.buildlog.output_folder import BuiltFacts

MOST = 50
"""Messages of one severity that are findings of their own; the rest are counted in one."""
_STATUS = {
    "126": " (a program could not be run)",
    "127": " (a program was not found)",
    "134": " (a program aborted)",
    "137": " (a program was killed, often because memory ran out)",
    "139": " (a program crashed)",
}
"""What the exit status of a recipe means."""
NAMED = 3
"""Files or lines that one finding names."""


@check(Severity.ERROR)
def build_is_finished(facts: BuildLogFacts) -> Iterator[Evidence]:
    """The build ran to its end.

    Otherwise make failed, or the log ends before the build does (the build was killed, or the log was truncated). The
    files in the O= folder are then incomplete or left over from an earlier build: do not use them. Fix the first error
    that the log shows, and build again.
    Source: make(1), "EXIT STATUS".
    """
    if facts.outcome == BuildOutcome.FAILED:
        more = f" and {len(facts.failures) - 1:,} more" if len(facts.failures) > 1 else ""
        yield Evidence(f"{failure_text(facts)}{more}", (Location(facts.path),))
    elif facts.outcome == BuildOutcome.CUT:
        last = f": the last step is {step_text(facts.last)}" if facts.last else ""
        yield Evidence(f"the log ends before the build does{last}", (Location(facts.path),))


@check(Severity.ERROR)
def build_has_no_errors(facts: BuildLogFacts) -> Iterator[Evidence]:
    """No tool of the build printed an error.

    The file that the message is about was not made, nor was anything that depends on it: there is no new kernel, or a
    module is missing. Start with the first error; others may follow from it.
    Source: the messages of GCC, Clang, binutils, LLD, modpost, dtc and make.
    """
    return _messages(facts, "error", facts.errors)


@check(Severity.WARNING)
def build_has_no_warnings(facts: BuildLogFacts) -> Iterator[Evidence]:
    """No tool of the build printed a warning.

    A warning does not stop the build, but often points to a bug; with CONFIG_WERROR, compiler warnings become errors.
    Fix the source, or report the warning to the maintainer that scripts/get_maintainer.pl names.
    Source: the messages of GCC, Clang, binutils, LLD, modpost, dtc and make.
    """
    return _messages(facts, "warning", facts.warnings)


@check(Severity.INFO)
def build_log_is_understood(facts: BuildLogFacts) -> Iterator[Evidence]:
    """Every line of the log is a step or a message that kinspect recognises.

    Other lines come from build scripts or from programs that ran at the same time. They do no harm, but an error among
    them is not reported: read them if a build failed and no error is listed.
    Source: scripts/Kbuild.include.
    """
    if facts.account.unknown:
        at = tuple(Location(facts.path, text[:100], None, number) for number, text in facts.unknown[:NAMED])
        lines = "1 line is" if facts.account.unknown == 1 else f"{facts.account.unknown:,} lines are"
        yield Evidence(f"{lines} neither a step nor a message that kinspect recognises", at)


def failure_text(facts: BuildLogFacts) -> str:
    """Where make failed, and how if not by an ordinary error: `make failed at vmlinux: Killed`."""
    if " " in facts.failures[0]:
        return f"the build failed: {facts.failures[0]}"
    number = facts.status.rpartition(" ")[2]
    status = f": {facts.status}{_STATUS.get(number, '')}" if number in _STATUS or not number.isdigit() else ""
    return f"make failed at {facts.failures[0]}{status if facts.status else ''}"


def _messages(facts: BuildLogFacts, severity: str, count: int) -> Iterator[Evidence]:
    listed = [message for message in facts.messages if message.severity == severity][:MOST]
    for message in listed:
        yield Evidence(_text(message), tuple(_places(facts.path, message)))
    if count > len(listed):
        yield Evidence(f"and {counted(count - len(listed), f'more {severity}')}", (Location(facts.path),))


def _text(message: Diagnostic) -> str:
    step = f"{step_text(message.step)}: " if message.step else ""
    return f"{step}{message.text}" if step or not message.tool else f"{message.tool}: {message.text}"


def _places(log: str, message: Diagnostic) -> Iterator[Location]:
    if message.path:
        yield Location(message.path, "", None, message.line)
    yield Location(log, "", None, message.number)


@check(Severity.ERROR)
def built_files_are_there(facts: BuiltFacts) -> Iterator[Evidence]:
    """The O= folder contains every file that the log says was made.

    A missing file was deleted after the build, or the log is of a build in another folder. An installation from this
    folder would be incomplete. Build again, or give the folder that belongs to the log.
    Source: Documentation/kbuild/kbuild.rst, KBUILD_OUTPUT.
    """
    if facts.missing:
        names = facts.missing_names[:NAMED]
        message = f"{_files(facts.missing, 'made by this build')} missing"
        yield Evidence(message, tuple(Location(f"{facts.folder}/{name}") for name in names))


@check(Severity.ERROR)
def built_files_are_fresh(facts: BuiltFacts) -> Iterator[Evidence]:
    """No file is older than the file that it is made from.

    An Image older than its vmlinux is left over from an earlier build: booting it tests the wrong kernel. Run make
    again, with the target that makes the older file.
    Source: arch/arm64/boot/Makefile.
    """
    for stale in facts.stale:
        yield Evidence(f"older than {stale.source}, from which it is made", (Location(f"{facts.folder}/{stale.path}"),))


@check(Severity.WARNING)
def built_files_are_of_this_log(facts: BuiltFacts) -> Iterator[Evidence]:
    """No file was changed after the log ended.

    Another build or another program has changed a file since, so the log no longer describes the folder. Check the log
    of the latest build.
    Source: Documentation/kbuild/kbuild.rst, KBUILD_OUTPUT.
    """
    if facts.changed:
        names = facts.changed_names[:NAMED]
        message = f"{_files(facts.changed)} newer than the log"
        yield Evidence(message, tuple(Location(f"{facts.folder}/{name}") for name in names))


def step_text(step: Step) -> str:
    """A step as make prints it: `CC [M] fs/nls/nls_utf8.o`."""
    return " ".join(filter(None, (step.tag, step.mark and f"[{step.mark}]", step.target)))


def _files(count: int, made: str = "") -> str:
    """`1 file is`, `2 files are`, with `made` before the verb."""
    return " ".join(filter(None, (counted(count, "file"), made, "is" if count == 1 else "are")))
