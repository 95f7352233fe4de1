"""The command for build logs."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext, redirect_stdout
from errno import EBADF
from typing import TYPE_CHECKING

from kinspect.commands.interface.output import print_lines, print_reports, report_or_error
from kinspect.errors import Location, MalformedError, UnreadableError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kinspect.commands.interface import options

AFTER_INTERRUPT = 0.5
"""Seconds without input after Ctrl-C that end a pipe."""


def log(
    path: options.Log = None,
    *,
    build: options.BuildFolder = None,
    through: options.Through = False,
    explain: options.Explain = False,
    explain_command: options.ExplainCommand = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Summarize a build log: steps, errors, and how it ended.

    Exit status 1: the build failed.
    """
    explains = "--explain-command" if explain_command is not None else "--explain" if explain else ""
    if explains:
        _refuse_beside(explains, build, through, form)
    if explain_command is not None:
        if path is not None:
            raise MalformedError("not possible with --explain-command", Location(path))
        return _explain_command(explain_command, json)
    if explain:
        return _explain(path, json)
    if path is None:
        raise MalformedError("no log given", Location("log"), expected="a file, or - for standard input")
    if through and path != "-":
        raise MalformedError("only of standard input", Location("--through"), expected="-", actual=path)
    from kinspect.inspection import log as inspection
    from kinspect.reports.buildlog.progress import LogProgress

    # A live line would break into the output of make on the same terminal.
    progress = None if quiet or (through and sys.stdout.isatty()) else LogProgress.on_terminal()
    pipe = Pipe(through)
    with progress or nullcontext():
        if path == "-":
            report = report_or_error(inspection.log_of, pipe.pieces(), "standard input", build, progress)
        else:
            report = report_or_error(inspection.log, path, build, progress)
    # With --through, standard output has the output of make and nothing else.
    with redirect_stdout(sys.stderr) if through else nullcontext():
        status = print_reports([report], json, quiet, form=form)
    return 130 if pipe.interrupted else status


def _refuse_beside(explains: str, build: str | None, through: bool, form: str) -> None:
    """Raise MalformedError for options that need a log beside one that needs none."""
    given = {"--build": build is not None, "--through": through, f"--format {form}": form not in ("text", "json")}
    for name in filter(given.get, given):
        raise MalformedError(f"not possible with {explains}", Location(name))


class Pipe:
    """Standard input as it arrives; `through` copies it unchanged to standard output.

    Ctrl-C ends it, so that the report is of what was read so far. It reaches make too, whose last lines are still read.
    """

    def __init__(self, through: bool) -> None:
        self.interrupted = False
        self._through = through

    def pieces(self) -> Iterator[bytes]:
        """The pieces of standard input."""
        import signal
        from select import select

        if sys.stdin is None:
            raise _closed()
        before = signal.getsignal(signal.SIGINT)
        # A job in the background ignores Ctrl-C, and goes on to.
        handler = before if before is signal.SIG_IGN else self._interrupt
        signal.signal(signal.SIGINT, handler)
        # A signal must end the wait for input, although Python continues a call that a signal interrupts.
        wake, alarm = os.pipe()
        os.set_blocking(alarm, False)
        woken = signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
        try:
            while True:
                ready, _, _ = select([0, wake], [], [], AFTER_INTERRUPT if self.interrupted else None)
                if wake in ready:
                    os.read(wake, 64)
                elif not ready or not (piece := _piece()):
                    return
                else:
                    self._copy(piece)
                    yield piece
        finally:
            signal.set_wakeup_fd(woken)
            signal.signal(signal.SIGINT, before)
            os.close(wake)
            os.close(alarm)

    def _interrupt(self, *_: object) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def _copy(self, piece: bytes) -> None:
        if not self._through:
            return
        try:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._through = False


def _piece() -> bytes:
    try:
        return os.read(0, 1 << 17)
    except OSError as error:
        if error.errno == EBADF:
            raise _closed() from error
        raise UnreadableError(error.strerror or "unreadable", Location("standard input")) from error


def _closed() -> UnreadableError:
    return UnreadableError("closed", Location("standard input"), expected="the output of make")


def _explain(tag: str | None, json: bool) -> int:
    """Print the page of a tag, with or without a mark (`CC`, `cc [M]`), or of a mark (`[M]`); else list all tags."""
    from kinspect.reports.buildlog import tags as pages
    from kinspect.reports.terminal import Style
    from kinspect.views.buildlog.tags import MARKS, TAGS

    style = Style.of(sys.stdout)
    if tag is None:
        if json:
            from kinspect.reports.json import tags_text

            print_lines([tags_text(sorted(TAGS.values()))])
        else:
            print_lines(pages.listing(style))
        return 0
    name, _, mark = tag.strip().upper().partition(" ")
    if name.strip("[]") in MARKS and name.startswith("["):
        print_lines(pages.mark_lines(name.strip("[]"), style))
        return 0
    if name not in TAGS:
        expected = "a tag such as CC (`kinspect log --explain` lists all)"
        raise MalformedError(
            f"unknown tag{did_you_mean(name, TAGS)}", Location("--explain"), expected=expected, actual=tag
        )
    if json:
        from kinspect.reports.json import tag_text

        print_lines([tag_text(TAGS[name])])
    else:
        print_lines(pages.lines(TAGS[name], style, mark.strip(" []")))
    return 0


def _explain_command(text: str, json: bool) -> int:
    """Print what each word of a command means."""
    from kinspect.inspection.log import command_of
    from kinspect.reports.buildlog.explanation import lines
    from kinspect.reports.terminal import Style

    facts = command_of(text)
    if json:
        from kinspect.reports.json import command_text

        print_lines([command_text(facts)])
    else:
        print_lines(lines(facts, Style.of(sys.stdout)))
    return 0
