"""The command for what a build says: log."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING

from kinspect.commands.output import print_lines, print_reports, report_or_error
from kinspect.errors import Location, MalformedError

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
    """Read what a build said: its steps, its errors and warnings, and how it ended. Exit status 1: not well."""
    if explain is not None:
        return _explain(explain, json)
    if path is None:
        raise MalformedError("no log is named", Location("log"), expected="a file, or - for what make prints")
    from kinspect.inspection import log as inspection
    from kinspect.reports.buildlog.facts import log_report_lines
    from kinspect.reports.buildlog.progress import LogProgress

    piped = path == "-"
    # Where the output of make scrolls by, a line below it would be torn.
    live = None if quiet or (through and sys.stdout.isatty()) else LogProgress.told()
    with live or nullcontext():
        if piped:
            report = report_or_error(inspection.log_of, _pieces(through), "standard input", build, live)
        else:
            report = report_or_error(inspection.log, path, build, live)
    # What make prints goes on to standard output; what kinspect says of it must not get between.
    with redirect_stdout(sys.stderr) if through else nullcontext():
        return print_reports([report], json, quiet, log_report_lines, form)


def _pieces(through: bool) -> Iterator[bytes]:
    """What comes on standard input, as soon as it comes; passed on unchanged when `through`."""
    while piece := os.read(sys.stdin.fileno(), 1 << 17):
        if through:
            try:
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                through = False
        yield piece


def _explain(words: str, json: bool) -> int:
    """Print the page of one tag."""
    from kinspect.reports.buildlog.facts import explained
    from kinspect.reports.terminal import Style
    from kinspect.views.buildlog.tags import TAGS

    name, _, rest = words.upper().partition(" ")
    if name not in TAGS:
        from difflib import get_close_matches

        near = ", ".join(get_close_matches(name, TAGS, 5, 0.5)) or "a tag such as CC"
        raise MalformedError("no such tag is known", Location("--explain"), expected=near, actual=words)
    if json:
        from kinspect.reports.json import tag_text

        print_lines([tag_text(TAGS[name])])
    else:
        print_lines(explained(TAGS[name], Style.of(sys.stdout), rest.strip(" []")))
    return 0
