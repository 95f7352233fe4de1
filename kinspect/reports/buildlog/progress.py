"""The state of a build in one line on the terminal, while the log is read."""

import sys
import time
from typing import Any

from kinspect.reports.terminal import counted, escaped
from kinspect.views.buildlog.parser import BuildLog

PATIENCE = 0.5
"""Seconds before the line appears."""
EVERY = 0.1
"""Seconds between two updates."""


class LogProgress:
    """Called as the log grows; a context manager that removes the line when the log ends."""

    def __init__(self) -> None:
        self._next = time.monotonic() + PATIENCE
        self._status: Any = None

    @classmethod
    def on_terminal(cls) -> "LogProgress | None":
        """A live line if standard error is a terminal."""
        return cls() if sys.stderr.isatty() else None

    def __call__(self, log: BuildLog) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        # rich takes 45 ms to import, which only a build that takes longer needs to pay.
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
    counts = [(log.severities[severity], severity) for severity in ("error", "warning")]
    parts = [counted(log.kinds["steps"], "step"), *(counted(*count) for count in counts if count[0])]
    last = log.last[1] if log.last else None
    return ", ".join(parts) + (f"  {last.tag} {escaped(last.target)}" if last else "")
