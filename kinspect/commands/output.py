"""What every command does with its report: print it, in the format that is asked for, and return its exit status."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from kinspect.errors import KinspectError, Location, MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from kinspect.artifacts.module.tree import OnProgress
    from kinspect.inspection.report import Report
    from kinspect.reports.terminal import Style

    Writer = Callable[[Report, Style], Iterable[str]]


def report_or_error(inspection: Callable[..., Report], *words: Any) -> Report:
    """The report of an inspection, or of the error that it ends with."""
    from kinspect.inspection.report import Report

    try:
        return inspection(*words)
    except KinspectError as error:
        return Report(errors=(error,))


def one_of(option: str, word: str, known: Collection[str]) -> None:
    """Raise MalformedError when an option's value is none that it takes."""
    if word not in known:
        raise MalformedError("unknown value", Location(option), expected=f"one of {', '.join(known)}", actual=word)


def print_reports(
    reports: Iterable[Report], json: bool, quiet: bool = False, lines: Writer | None = None, form: str = "text"
) -> int:
    """Print reports, each as soon as it is made, where the format has no need of all; the worst exit status of them."""
    from kinspect.reports.terminal import Style, escaped

    statuses = []

    def told() -> Iterator[Report]:
        for report in reports:
            yield report
            _flush()
            for error in report.errors:
                print(f"kinspect: {escaped(str(error))}", file=sys.stderr)
            statuses.append(report.exit_code)

    form, rest = "json" if json else form, told()
    if form == "text" and not quiet:
        from kinspect.reports.text import report_lines

        for index, report in enumerate(rest):
            print_lines([""] * bool(index))
            print_lines((lines or report_lines)(report, Style.of(sys.stdout)))
    elif not quiet:
        from kinspect.reports.formats import writer

        print_lines(writer(form)(rest), at_once=1 if form == "jsonl" else 1000)
    # Those that are left when nothing is printed, or nobody reads any more.
    for _ in rest:
        pass
    return max(statuses)


def with_progress(what: str, work: Callable[[OnProgress | None], Report]) -> Report:
    """What work gives that is told how far it is, where a person sees it."""
    from kinspect.reports.progress import Progress

    progress = Progress.told(what)
    if progress is None:
        return work(None)
    with progress:
        return work(progress)


def print_lines(lines: Iterable[str], at_once: int = 1000) -> None:
    """Lines to standard output; a reader that has gone away ends them quietly."""
    rest = iter(lines)
    try:
        # By the thousand: a stream that is not buffered makes a system call of every write.
        while batch := list(islice(rest, at_once)):
            sys.stdout.write("\n".join(batch) + "\n")
            if at_once == 1:
                sys.stdout.flush()
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()


def print_bytes(pieces: Iterable[bytes]) -> None:
    """Bytes to standard output; a reader that has gone away ends them quietly."""
    try:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
