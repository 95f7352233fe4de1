"""What every command does with its report: print it, as text or JSON, and return its exit status."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from kinspect.errors import KinspectError, Location, MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from kinspect.artifacts.module_tree import Told
    from kinspect.inspection.report import Report
    from kinspect.reports.terminal import Paint

    Writer = Callable[[Report, Paint], Iterable[str]]


def attempt(inspection: Callable[..., Report], *words: Any) -> Report:
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


def tell(reports: list[Report], json: bool, quiet: bool = False, lines: Writer | None = None) -> int:
    """Print reports; the worst exit status among them."""
    from kinspect.reports.terminal import Paint, escaped

    if json and not quiet:
        from kinspect.inspection.report import Report
        from kinspect.reports.json import report_text

        print_lines([report_text(sum(reports, Report()))])
    for index, report in enumerate(reports):
        if not quiet and not json:
            from kinspect.reports.text import report_lines

            print_lines([""] * bool(index))
            print_lines((lines or report_lines)(report, Paint.of(sys.stdout)))
        for error in report.errors:
            _flush()
            print(f"kinspect: {escaped(str(error))}", file=sys.stderr)
    return max(report.exit_code for report in reports)


def with_progress(what: str, work: Callable[[Told | None], Report]) -> Report:
    """What work gives that is told how far it is, where a person sees it."""
    from kinspect.reports.progress import Progress

    progress = Progress.told(what)
    if progress is None:
        return work(None)
    with progress:
        return work(progress)


def print_lines(lines: Iterable[str]) -> None:
    """Lines to standard output; a reader that has gone away ends them quietly."""
    rest = iter(lines)
    try:
        # By the thousand: a stream that is not buffered makes a system call of every write.
        while batch := list(islice(rest, 1000)):
            sys.stdout.write("\n".join(batch) + "\n")
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
