"""A progress bar on standard error: for work that takes over a second, on a terminal, and never in a pipe."""

import sys
import time
from typing import Any

PATIENCE = 1.0
"""Seconds of work before a bar appears."""


class Progress:
    """Told how many of how many are done; a context manager, so that the bar goes when the work ends."""

    def __init__(self, what: str) -> None:
        self._what, self._start = what, time.monotonic()
        self._bar: Any = None

    @classmethod
    def told(cls, what: str) -> "Progress | None":
        """A progress bar, where a person sees it."""
        return cls(what) if sys.stderr.isatty() else None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            if time.monotonic() - self._start < PATIENCE or done == total:
                return
            # rich takes 45 ms to import: only who waits pays.
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._what, total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
