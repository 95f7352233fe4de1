"""What a build has done so far, in one line on the terminal while it runs."""

import sys
import time
from typing import Any

from kinspect.reports.terminal import counted, escaped
from kinspect.views.buildlog.parser import BuildLog

PATIENCE = 0.5
"""Seconds before the line appears."""
EVERY = 0.1
"""Seconds between two looks."""


class LogProgress:
    """Told of the log as it grows; a context manager, so that the line goes when the log ends."""

    def __init__(self) -> None:
        self._next = time.monotonic() + PATIENCE
        self._status: Any = None

    @classmethod
    def told(cls) -> "LogProgress | None":
        """A live line, where a person sees it."""
        return cls() if sys.stderr.isatty() else None

    def __call__(self, log: BuildLog) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        # rich takes 45 ms to import: only who waits pays.
        from rich.console import Console
        from rich.text import Text

        text = Text(summary(log), no_wrap=True, overflow="ellipsis")
        if self._status is None:
            self._status = Console(stderr=True).status(text)
            self._status.start()
        self._status.update(text)

    def __enter__(self) -> "LogProgress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()


def summary(log: BuildLog) -> str:
    """One line: `795 steps, 1 warning  CC init/main.o`."""
    counts = [(log.severities[word], word) for word in ("error", "warning")]
    parts = [counted(log.kinds["steps"], "step"), *(counted(*count) for count in counts if count[0])]
    last = log.last[1] if log.last else None
    return ", ".join(parts) + (f"  {last.tag} {escaped(last.target)}" if last else "")
