"""The errors that stop work, and the location in a file that errors and findings refer to.

KinspectError
├── UnreadableError      the file cannot be read
├── UnwritableError      the file cannot be written
├── MalformedError       the bytes violate the format
│   └── TruncatedError   the file ends too early
├── WrongKindError       a file of another kind
├── UnsupportedError     valid, but kinspect does not read it
├── UncheckedError       valid, but no check applies to it alone
└── FindingsError        a report has errors (only Report.raise_for_findings raises it)
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

Value = int | str | bytes
_LONGEST_NAME = 200
"""Characters of a name that are compared with the known ones."""


class Location(NamedTuple):
    """A place in a file: a named part, an offset in bytes, a line counted from 1; each only where known."""

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
    """One line: the problem, then `expected` and `actual` where given."""
    parts = [] if expected is None else [f"expected {shown(expected)}"]
    parts += [] if actual is None else [f"found {shown(actual)}"]
    return f"{problem}: {', '.join(parts)}" if parts else problem


def shown(value: Value) -> str:
    """A value as messages print it: numbers in decimal and hexadecimal, bytes in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex(" ") or "nothing"
    if isinstance(value, int):
        return str(value) if abs(value) < 10 else f"{value:,} ({value:#x})"
    return value


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)` with the known names that are nearest to a name; empty when none is near."""
    from difflib import get_close_matches

    folded = {word.lower().lstrip("-"): word for word in known if word}
    asked = name[:_LONGEST_NAME].lower().lstrip("-")
    near = get_close_matches(asked, folded, 3, 0.6)
    if not near and len(asked) > 2:
        near = [word for word in folded if word.startswith(asked) or (len(word) > 2 and asked.startswith(word))][:3]
    best = [folded[word] for word in near]
    return f" (did you mean {' or '.join(best)}?)" if best else ""


class KinspectError(Exception):
    """The base of all errors that kinspect raises: the problem, its location, and values where they apply."""

    def __init__(
        self, problem: str, at: Location, *, expected: Value | None = None, actual: Value | None = None
    ) -> None:
        super().__init__(problem, at, expected, actual)
        self.problem, self.at, self.expected, self.actual = problem, at, expected, actual

    def __reduce__(self) -> tuple[Callable[..., "KinspectError"], tuple[object, ...]]:
        # As any exception it would be made again without the keywords.
        return _restored, (type(self), *self.args)

    def __str__(self) -> str:
        place, said = str(self.at), sentence(self.problem, self.expected, self.actual)
        return f"{place}: {said}" if place else said


def _restored(
    kind: type[KinspectError], problem: str, at: Location, expected: Value | None, actual: Value | None
) -> KinspectError:
    return kind(problem, at, expected=expected, actual=actual)


class UnreadableError(KinspectError):
    """The file cannot be read: missing, forbidden, not a regular file, changed while being read."""


class UnwritableError(KinspectError):
    """The file cannot be written: no such folder, forbidden, no space."""


class MalformedError(KinspectError):
    """The bytes violate the format."""


class TruncatedError(MalformedError):
    """The file ends before the bytes that its format calls for."""


class WrongKindError(KinspectError):
    """The file is of another kind than expected."""


class UnsupportedError(KinspectError):
    """The file is valid, but kinspect does not read this variant."""


class UncheckedError(KinspectError):
    """The files are valid, but no check applies to them without the files that they belong to."""


class FindingsError(KinspectError):
    """A report has findings that must not ship."""
