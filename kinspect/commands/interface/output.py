"""How every command prints its reports and returns its exit status."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from kinspect.errors import KinspectError, Location, MalformedError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from kinspect.inspection.report import Report
    from kinspect.reports.terminal import Style
    from kinspect.workers import OnProgress

    Writer = Callable[[Report, Style], Iterable[str]]


def report_or_error(inspection: Callable[..., Report], *arguments: Any) -> Report:
    """The report of an inspection; if it raises a KinspectError, a report of that error."""
    from kinspect.inspection.report import Report

    try:
        return inspection(*arguments)
    except KinspectError as error:
        return Report(errors=(error,))


def one_of(option: str, value: str, known: Collection[str]) -> None:
    """Raise MalformedError when an option does not take a value."""
    if value not in known:
        problem, expected = f"unknown value{did_you_mean(value, known)}", f"one of {', '.join(known)}"
        raise MalformedError(problem, Location(option), expected=expected, actual=value)


def listed(values: Iterable[str] | None) -> tuple[str, ...]:
    """The words of an option that is repeated or has commas, or both."""
    return tuple(word for value in values or () for word in map(str.strip, value.split(",")) if word)


def listed_paths(values: Iterable[str] | None) -> tuple[str, ...]:
    """The same for paths; one that exists may have commas."""
    whole = ([value] if os.path.lexists(value) else listed([value]) for value in values or ())
    return tuple(path for paths in whole for path in paths)


def print_reports(
    reports: Iterable[Report],
    json: bool,
    quiet: bool = False,
    lines: Writer | None = None,
    form: str = "text",
    verbatim: bool = False,
) -> int:
    """Print reports, each as soon as it is made where the format allows it, and return the worst exit status.

    `lines` writes the text of a report where it is not the usual one; reports then have no blank line between them.
    On a terminal, long lines are wrapped unless the text is `verbatim`.
    """
    from kinspect.reports.terminal import Style, escaped

    statuses = []

    def counted() -> Iterator[Report]:
        for report in reports:
            yield report
            _flush()
            for error in report.errors:
                print(f"kinspect: {escaped(str(error))}", file=sys.stderr)
            statuses.append(report.exit_code)

    form, rest = "json" if json else form, counted()
    if form == "text" and not quiet:
        if lines is None:
            from kinspect.reports.text import report_lines

        for index, report in enumerate(rest):
            if lines is None and index:
                print_lines([""])
            style = Style.of(sys.stdout)
            text = (lines or report_lines)(report, style)
            print_lines(text if verbatim else _wrapped(text, style))
    elif not quiet:
        from kinspect.reports.formats import writer

        print_lines(writer(form)(rest), batch_size=1 if form == "jsonl" else 1000)
    # The status needs all of them, also those that nobody printed or read.
    for _ in rest:
        pass
    return max(statuses, default=0)


def _wrapped(lines: Iterable[str], style: Style) -> Iterable[str]:
    """Lines in the width of the terminal, if standard output is one."""
    if style.width is None:
        return lines
    from kinspect.reports.layout import wrapped

    return (part for line in lines for part in wrapped(style, line))


def with_progress(title: str, work: Callable[[OnProgress | None], Report]) -> Report:
    """The result of `work`, which is given a progress bar to call when standard error is a terminal."""
    from kinspect.reports.progress import Progress

    progress = Progress.on_terminal(title)
    if progress is None:
        return work(None)
    with progress:
        return work(progress)


def print_lines(lines: Iterable[str], batch_size: int = 1000) -> None:
    """Print lines to standard output. A reader that closes the pipe is not an error."""
    rest = iter(lines)
    try:
        # In batches: an unbuffered stream makes a system call of every write.
        while batch := list(islice(rest, batch_size)):
            sys.stdout.write("\n".join(batch) + "\n")
            if batch_size == 1:
                sys.stdout.flush()
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()


def print_bytes(pieces: Iterable[bytes]) -> bool:
    """Write bytes to standard output: whether all were read. A reader that closes the pipe is not an error."""
    try:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return False
    return True


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()


def discard_output() -> None:
    """Send standard output to nowhere, after its reader has closed the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def address(option: str, text: str) -> int:
    """An address in hexadecimal, with 0x or without it, as the kernel prints it."""
    digits = text.lower().removeprefix("0x")
    if not 0 < len(digits) <= 16 or digits.strip("0123456789abcdef"):
        raise MalformedError("not an address", Location(option), expected="up to 16 hexadecimal digits", actual=text)
    return int(digits, 16)
