"""A progress bar on standard error, on a terminal only, for work that takes over a second."""

import sys
import time
from typing import Any

PATIENCE = 1.0
"""Seconds of work before a bar appears."""
_PAUSE = 0.1
"""Seconds between two updates of the bar."""


class Progress:
    """A progress bar: call it with the number done and the total. Leaving its context removes the bar."""

    def __init__(self, title: str) -> None:
        self._title, self._start = title, time.monotonic()
        self._bar: Any = None
        self._shown = 0.0

    @classmethod
    def on_terminal(cls, title: str) -> "Progress | None":
        """A progress bar if standard error is a terminal, else None."""
        return cls(title) if sys.stderr.isatty() else None

    def titled(self, title: str) -> "Progress":
        """The same bar for the next step of the work."""
        self._title, self._shown = title, 0.0
        return self

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._shown < _PAUSE and done < total:
            return
        if self._bar is None:
            if now - self._start < PATIENCE or done == total:
                return
            # rich takes 45 ms to import: only long work pays for it.
            from rich.console import Console
            from rich.progress import Progress as Bar

            # Without a thread that refreshes it: a process with threads cannot be forked safely.
            self._bar = Bar(console=Console(stderr=True), transient=True, auto_refresh=False)
            self._task = self._bar.add_task(self._title, total=total)
            self._bar.start()
        self._shown = now
        self._bar.update(self._task, description=self._title, completed=done, total=total, refresh=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
