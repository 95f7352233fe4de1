"""The output of a build, and the O= folder that it is about."""

import os
from collections.abc import Callable, Iterable, Iterator

from kinspect.checks.build.log import OF_FOLDER, OF_LOG, built_findings, log_findings
from kinspect.errors import Location, UnreadableError, WrongKindError
from kinspect.inspection.report import Path, Report
from kinspect.source import WINDOW, Source
from kinspect.views.buildlog.facts import build_log_facts
from kinspect.views.buildlog.output_folder import built_facts
from kinspect.views.buildlog.parser import BuildLog

OnLog = Callable[[BuildLog], None]
"""What is called after each piece of a log, with what was read so far."""


def log(path: Path, folder: Path | None = None, on_progress: OnLog | None = None) -> Report:
    """What a build said, and the verdict on it; with its O= folder also whether all that it made is there.

    Raises KinspectError.
    """
    source = Source(path)
    return log_of(
        pieces_of(source), source.path, folder, on_progress, os.stat(source.path).st_mtime if source.size else None
    )


def pieces_of(source: Source) -> Iterator[bytes]:
    """A file from start to end, a window at a time."""
    for offset in range(0, source.size, WINDOW):
        yield source.read(offset, min(WINDOW, source.size - offset))


def log_of(
    pieces: Iterable[bytes],
    name: str,
    folder: Path | None = None,
    on_progress: OnLog | None = None,
    ended: float | None = None,
) -> Report:
    """The same of a log that comes in pieces; `ended` is when it was last written, in seconds since 1970."""
    read = BuildLog()
    for piece in pieces:
        read.feed(piece)
        if on_progress:
            on_progress(read)
    read.close()
    if not read.kinds["steps"] and not read.kinds["make"] and not read.messages:
        what = f"{read.lines:,} lines without a step" if read.lines else "nothing"
        raise WrongKindError("no build log", Location(name), expected="the output of make", actual=what)
    facts = build_log_facts(name, read)
    report = Report((facts,), tuple(log_findings(facts)), OF_LOG)
    if folder is None:
        return report
    where = os.fspath(folder)
    if not os.path.isdir(where):
        raise UnreadableError("is no folder", Location(where), expected="the O= folder of the build")
    built = built_facts(name, read.steps(), where, ended)
    return report + Report((built,), tuple(built_findings(built)), OF_FOLDER)
