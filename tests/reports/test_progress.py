"""The progress bar: on a terminal, after a second, without a thread."""

import io
import sys
import threading
import time

import pytest

from kinspect.reports import progress as bars
from kinspect.reports.progress import Progress
from kinspect.workers import titled


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    # Not a fixture: pytest replaces the stream once more before a test.
    stream = _Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(bars, "PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return stream


def test_no_bar_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert Progress.on_terminal("reading modules") is None


def test_it_says_what_is_done_and_how_far(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(bars, "_PAUSE", 0.0)
    before = threading.active_count()
    progress = Progress.on_terminal("reading files")
    assert progress is not None
    with progress:
        progress(1, 4)
        assert threading.active_count() == before
        assert "reading files" in terminal.getvalue()
        assert "25%" in terminal.getvalue()
        modules = titled(progress, "reading modules")
        assert modules is progress
        modules(300, 400)
        assert "reading modules" in terminal.getvalue()
        assert "75%" in terminal.getvalue()
        modules(400, 400)
        assert "100%" in terminal.getvalue()


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    monkeypatch.setattr(bars, "PATIENCE", 60.0)
    with Progress("reading modules") as progress:
        for done in range(100):
            progress(done, 100)
    assert terminal.getvalue() == ""


def test_it_is_not_drawn_for_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with Progress("reading modules") as progress:
        start = time.monotonic()
        for done in range(20_000):
            progress(done, 20_000)
        most = 2 + (time.monotonic() - start) / 0.1
    assert terminal.getvalue().count("reading modules") <= 2 * most


def test_a_function_is_told_of_one_step_only() -> None:
    calls: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        calls.append((done, total))

    assert titled(note, "reading") is None
    assert titled(None, "reading") is None
