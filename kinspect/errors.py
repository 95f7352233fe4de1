"""The errors that stop work, and the place in a file that they and findings point at.

KinspectError
├── UnreadableError      the system does not give the bytes
├── MalformedError       the bytes are not what the format demands
│   └── TruncatedError   the file ends before they do
├── WrongKindError       a good file, but of another kind
├── UnsupportedError     valid, and kinspect does not read it
└── FindingsError        a report did not hold (only Report.raise_for_findings raises it)
"""

from typing import NamedTuple

Value = int | str | bytes


class Location(NamedTuple):
    """A place in a file: a named part, an offset in bytes, a line counted from 1, as far as each is known."""

    path: str
    part: str = ""
    offset: int | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line is not None else self.path
        if self.part:
            place += f": {self.part}"
        return place if self.offset is None else f"{place} at {self.offset:#x}"


def sentence(problem: str, expected: Value | None = None, actual: Value | None = None) -> str:
    """One line that says what is wrong, what was expected and what was found."""
    wanted = [] if expected is None else [f"expected {shown(expected)}"]
    found = [] if actual is None else [f"found {shown(actual)}"]
    return ": ".join([problem, *filter(None, [", ".join(wanted + found)])])


def shown(value: Value) -> str:
    """A value as a person reads it: numbers in decimal and hexadecimal, bytes in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex(" ") or "nothing"
    if isinstance(value, int):
        return str(value) if abs(value) < 10 else f"{value:,} ({value:#x})"
    return value


class KinspectError(Exception):
    """What kinspect raises. `at` says where, `expected` and `actual` say what was demanded and found."""

    def __init__(
        self, problem: str, at: Location, *, expected: Value | None = None, actual: Value | None = None
    ) -> None:
        super().__init__(problem, at, expected, actual)
        self.problem, self.at, self.expected, self.actual = problem, at, expected, actual

    def __str__(self) -> str:
        return f"{self.at}: {sentence(self.problem, self.expected, self.actual)}"


class UnreadableError(KinspectError):
    """The system does not give the bytes: missing, forbidden, not a regular file, changed while read."""


class MalformedError(KinspectError):
    """The bytes are not what the format demands."""


class TruncatedError(MalformedError):
    """The file ends before the bytes that its format promises."""


class WrongKindError(KinspectError):
    """The file is of another kind than the one asked for."""


class UnsupportedError(KinspectError):
    """The file is valid, and kinspect does not read this form of it."""


class FindingsError(KinspectError):
    """A report has findings that must not ship."""
