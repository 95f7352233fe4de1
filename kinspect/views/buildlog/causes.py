"""What stands right before a failure: the message of a program whose form is not known."""

import re
from collections import deque

from kinspect.views.buildlog.messages import Diagnostic

_KEPT = 30
"""Lines that are kept."""
_NEAR = 40
"""Lines that other jobs may print between a message and the failure."""
_LONGEST = 300
"""Characters of one line."""
_NO_CAUSE = re.compile(r"\s*(?:debian/rules |Script started |make\[\d+\] |\^C|\[\d+ / \d+\])")


class LinesBefore:
    """The latest lines that are neither steps nor known messages."""

    def __init__(self) -> None:
        self._lines: deque[tuple[int, str]] = deque(maxlen=_KEPT)

    def add(self, number: int, line: str) -> None:
        """Keep a line; an empty one stands for a line that may be between others."""
        text = "" if _NO_CAUSE.match(line) else line[:_LONGEST].strip(" \t*#")
        self._lines.append((number, text))

    def clear(self) -> None:
        """Forget the lines, which belong to an earlier failure."""
        self._lines.clear()

    def message(self, number: int) -> Diagnostic | None:
        """The error that the lines before a failure in line `number` are; None if there are none."""
        run: list[tuple[int, str]] = []
        for line in reversed(self._lines):
            if run and any(text for _, text in run) and line[0] != run[-1][0] - 1:
                break
            if number - line[0] > _NEAR:
                break
            run.append(line)
        texts = [(at, text) for at, text in reversed(run) if text]
        if not texts:
            return None
        return Diagnostic("error", "", "", None, " ".join(text for _, text in texts), texts[0][0])
