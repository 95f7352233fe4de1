"""The command for build logs."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING

from kinspect.commands.output import print_lines, print_reports, report_or_error
from kinspect.errors import Location, MalformedError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kinspect.commands import options


def log(
    path: options.Log = None,
    *,
    build: options.BuildFolder = None,
    through: options.Through = False,
    explain: options.Explain = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Summarize a build log: steps, errors, and how it ended.

    Exit status 1: the build failed.
    """
    if explain is not None:
        return _explain(explain, json)
    if path is None:
        raise MalformedError("no log given", Location("log"), expected="a file, or - for standard input")
    from kinspect.inspection import log as inspection
    from kinspect.reports.buildlog.progress import LogProgress
    from kinspect.reports.buildlog.report import report_lines

    # A live line would break into the output of make on the same terminal.
    progress = None if quiet or (through and sys.stdout.isatty()) else LogProgress.on_terminal()
    with progress or nullcontext():
        if path == "-":
            report = report_or_error(inspection.log_of, _input(through), "standard input", build, progress)
        else:
            report = report_or_error(inspection.log, path, build, progress)
    # With --through, standard output has the output of make and nothing else.
    with redirect_stdout(sys.stderr) if through else nullcontext():
        return print_reports([report], json, quiet, report_lines, form)


def _input(through: bool) -> Iterator[bytes]:
    """Pieces of standard input as they arrive; `through` copies them unchanged to standard output."""
    while piece := _piece():
        if through:
            try:
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                through = False
        yield piece


def _piece() -> bytes:
    """What standard input has next. UnreadableError when it is closed or not to be read."""
    try:
        return os.read(sys.stdin.fileno(), 1 << 17)
    except (OSError, ValueError, AttributeError) as reason:
        problem = getattr(reason, "strerror", None) or "is closed"
        raise UnreadableError(problem, Location("standard input")) from reason


def _explain(tag: str, json: bool) -> int:
    """Print the page of one tag, with or without a mark: `CC`, `cc [M]`."""
    from kinspect.reports.buildlog.tags import lines
    from kinspect.reports.terminal import Style
    from kinspect.views.buildlog.tags import TAGS

    name, _, mark = tag.upper().partition(" ")
    if name not in TAGS:
        from difflib import get_close_matches

        near = ", ".join(get_close_matches(name, TAGS, 5, 0.5)) or "a tag such as CC"
        raise MalformedError("unknown tag", Location("--explain"), expected=near, actual=tag)
    if json:
        from kinspect.reports.json import tag_text

        print_lines([tag_text(TAGS[name])])
    else:
        print_lines(lines(TAGS[name], Style.of(sys.stdout), mark.strip(" []")))
    return 0
