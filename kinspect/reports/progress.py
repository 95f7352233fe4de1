"""A progress bar on standard error, on a terminal only, for work that takes over a second."""

import sys
import time
from typing import Any

PATIENCE = 1.0
"""Seconds of work before a bar appears."""


class Progress:
    """A progress bar: call it with the number done and the total. Leaving its context removes the bar."""

    def __init__(self, title: str) -> None:
        self._title, self._start = title, time.monotonic()
        self._bar: Any = None

    @classmethod
    def on_terminal(cls, title: str) -> "Progress | None":
        """A progress bar if standard error is a terminal, else None."""
        return cls(title) if sys.stderr.isatty() else None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            if time.monotonic() - self._start < PATIENCE or done == total:
                return
            # rich takes 45 ms to import: only long work pays for it.
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._title, total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
