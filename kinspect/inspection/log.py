"""A build log: its facts and findings; with the O= folder of the build, also whether the folder agrees with the log."""

import os
from collections.abc import Callable, Iterable, Iterator

from kinspect.artifacts.kinds import refuse_other_kinds
from kinspect.errors import Location, UnreadableError, WrongKindError
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.source import WINDOW, Source
from kinspect.views.buildlog.explanation import LONGEST, CommandFacts, command_facts
from kinspect.views.buildlog.facts import build_log_facts
from kinspect.views.buildlog.output_folder import built_facts
from kinspect.views.buildlog.parser import BuildLog

_LOG = "the output of make"
OnLog = Callable[[BuildLog], None]
"""Called after each piece of a log, with what has been read so far."""


def log(path: Path, folder: Path | None = None, on_progress: OnLog | None = None) -> Report:
    """The facts and findings of a build log; `folder` is the O= folder of the build.

    Raises KinspectError.
    """
    source = Source(path)
    ended = os.stat(source.path).st_mtime if source.size else None
    try:
        return log_of(pieces_of(source), source.path, folder, on_progress, ended)
    except WrongKindError:
        # Not before: a log may begin with zeros.
        refuse_other_kinds(source, _LOG)
        raise


def pieces_of(source: Source) -> Iterator[bytes]:
    """The bytes of a file from start to end, in windows."""
    for offset in range(0, source.size, WINDOW):
        yield source.read(offset, min(WINDOW, source.size - offset))


def log_of(
    pieces: Iterable[bytes],
    name: str,
    folder: Path | None = None,
    on_progress: OnLog | None = None,
    ended: float | None = None,
) -> Report:
    """The same for a log that comes in pieces; `ended` is when it was last written, in seconds since 1970."""
    build_log = BuildLog()
    for piece in pieces:
        build_log.feed(piece)
        if on_progress:
            on_progress(build_log)
    build_log.close()
    if not build_log.kinds["steps"] and not build_log.kinds["make"] and not build_log.messages:
        found = f"{build_log.lines:,} lines without a step" if build_log.lines else "nothing"
        raise WrongKindError("not a build log", Location(name), expected=_LOG, actual=found)
    facts = build_log_facts(name, build_log)
    report = Report((facts,)) + run_checks((facts,), "build.log")
    if folder is None:
        return report
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise UnreadableError("not a folder", Location(folder), expected="the O= folder of the build")
    built = built_facts(name, build_log.steps(), folder, ended)
    return report + Report((built,)) + run_checks((built,), "build.log")


def command_of(text: str) -> CommandFacts:
    """The words of a command, explained: the command itself, or the path of a .cmd file or of a log of make V=1.

    Raises KinspectError.
    """
    source = None if " " in text.strip() else Source(text)
    content = source.read(0, min(source.size, 4 * LONGEST)).decode("utf-8", "surrogateescape") if source else text
    facts = command_facts(content.rstrip("\n"))
    if facts is None:
        expected = "a command that make V=1 prints, or a .cmd file"
        raise WrongKindError("no command", Location(text if source else "--explain-command"), expected=expected)
    return facts
