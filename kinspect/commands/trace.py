"""The command that decodes the log of a kernel."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from kinspect.commands.interface.output import discard_output, listed, listed_paths, print_reports
from kinspect.errors import KinspectError, Location, MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kinspect.commands.interface import options
    from kinspect.views.trace.log import LogDecoder

_CONTROLS = {number: f"\\x{number:02x}" for number in (*range(9), *range(10, 32), *range(127, 160))}
"""What a log could send to a terminal, apart from tabs, and what is printed instead."""


def trace(
    kernel: options.TracedKernel,
    log: options.KernelLog = None,
    *,
    module_paths: options.TracedModules = None,
    addresses: options.TraceAt = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Decode an oops: functions, source lines and inlined calls.

    The decoded log goes to standard output, the verdict to standard error. The exit status is 1 if the log comes from
    another kernel.
    """
    if addresses is not None and log is not None:
        raise MalformedError("not possible with --at", Location(log))
    if addresses is None and log is None and sys.stdin is not None and sys.stdin.isatty():
        raise MalformedError("no log given", Location("trace"), expected="a file, or - for standard input")
    from kinspect.inspection.package.taken import Packages
    from kinspect.inspection.report import Report
    from kinspect.inspection.symbols import trace as inspection

    name = "--at" if addresses is not None else "standard input" if log in (None, "-") else log or ""
    text = form == "text" and not json and not quiet
    try:
        with Packages() as packages:
            decoder = inspection.log_decoder(kernel, listed_paths(module_paths), packages, log)
            asked = decoder.places_at(listed(addresses))
            shown = _printed(decoder, log) if addresses is None else (f"{line}\n" for line in asked)
            _write(shown, text)
            report: Report = packages.named(inspection.trace_report(decoder, name))
    except KinspectError as error:
        report = Report(errors=(error,))
    # Standard output has the log and nothing else.
    if text:
        with redirect_stdout(sys.stderr):
            return print_reports([report], json, quiet, form=form)
    return print_reports([report], json, quiet, form=form)


def _printed(decoder: LogDecoder, log: str | None) -> Iterator[str]:
    """The decoded lines with their ends; those of standard input as they come."""
    from kinspect.inspection.symbols.trace import LOG, pieces_of, split_lines

    if log in (None, "-"):
        from kinspect.commands.log import Pipe

        pieces = Pipe(through=False).pieces()
    else:
        from kinspect.artifacts.kinds import refuse_other_kinds
        from kinspect.source import Source

        source = Source(log or "")
        refuse_other_kinds(source, LOG)
        pieces = pieces_of(source)
    ends: deque[str] = deque()

    def texts() -> Iterator[str]:
        for text, end in split_lines(_flushed(pieces)):
            ends.append(end)
            yield text

    for line in decoder.lines(texts()):
        yield line + ends.popleft()


def _flushed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces; what came of one is shown before the next is waited for."""
    for piece in pieces:
        yield piece
        sys.stdout.flush()


def _write(lines: Iterable[str], shown: bool) -> None:
    """Write decoded lines to standard output as they are; without control characters if that is a terminal."""
    if not shown:
        for _ in lines:
            pass
        return
    terminal = sys.stdout.isatty()
    try:
        for line in lines:
            if terminal:
                sys.stdout.write(line[:-1].translate(_CONTROLS) + line[-1:])
            else:
                sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape"))
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
