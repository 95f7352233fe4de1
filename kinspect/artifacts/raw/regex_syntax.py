"""The syntax of extended regular expressions: an expression as a list of steps, which `regex` runs.

Source: POSIX.1-2017, 9.4 "Extended Regular Expressions"; glibc, posix/regcomp.c.
"""

from collections.abc import Callable
from typing import NamedTuple

LARGEST = 4096
"""Steps of an expression, with its intervals written out."""
MOST_REPEATS = 0x7FFF
_CLASSES: dict[str, Callable[[str], bool]] = {
    "alpha": str.isalpha,
    "digit": lambda char: "0" <= char <= "9",
    "alnum": str.isalnum,
    "upper": str.isupper,
    "lower": str.islower,
    "space": lambda char: char in " \t\n\r\f\v",
    "blank": lambda char: char in " \t",
    "punct": lambda char: char.isascii() and char.isprintable() and not char.isalnum() and char != " ",
    "print": str.isprintable,
    "graph": lambda char: char.isprintable() and char != " ",
    "cntrl": lambda char: char < " " or char == "\x7f",
    "xdigit": lambda char: char in "0123456789abcdefABCDEF",
}
_REPEATS = {"*": (0, None), "+": (1, None), "?": (0, 1)}


class RegexError(ValueError):
    """Not an expression."""


class LargeRegexError(RegexError):
    """An expression that is too large, or has what would take exponential time."""


class Set(NamedTuple):
    """The characters that a step takes: ranges and classes, or all others."""

    ranges: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()
    negated: bool = False

    def takes(self, char: str) -> bool:
        inside = any(low <= char <= high for low, high in self.ranges) or any(
            _CLASSES[name](char) for name in self.classes
        )
        return inside != self.negated


class Split(NamedTuple):
    """Go on at both of two steps, relative to this one."""

    first: int
    second: int


class Assert(NamedTuple):
    """Go on only between two characters of some kind."""

    kind: str


Step = Set | Split | Assert
_ANY = Set(negated=True)
WORD = Set((("_", "_"),), ("alnum",))
_ESCAPES = {
    "w": WORD,
    "W": WORD._replace(negated=True),
    "s": Set((), ("space",)),
    "S": Set((), ("space",), True),
    "d": Set((), ("digit",)),
    "D": Set((), ("digit",), True),
}
"""Beside those of POSIX: those of glibc, and `d` and `D`."""
_ASSERTIONS = {"b": "b", "B": "B", "<": "<", ">": ">", "`": "^", "'": "$"}


class _Group(NamedTuple):
    """An open group: its finished alternatives, and the atoms of the current one."""

    alternatives: list[list[Step]]
    atoms: list[list[Step]]


class Parser:
    """Turns an expression into steps, without calling itself for nested groups."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0
        self.groups = [_Group([], [])]
        self.repeatable = False

    def program(self) -> list[Step]:
        """The steps; the end is behind the last one."""
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            self.at += 1
            self._take(char)
        if len(self.groups) > 1:
            raise RegexError("unmatched (")
        return self._closed(self.groups[0])

    def _take(self, char: str) -> None:
        group = self.groups[-1]
        if char == "(":
            if self.pattern.startswith("?:", self.at):
                self.at += 2
            self.groups.append(_Group([], []))
            self.repeatable = False
        elif char == ")" and len(self.groups) > 1:
            self._add(self._closed(self.groups.pop()))
            self.repeatable = True
        elif char == "|":
            group.alternatives.append(_joined(group.atoms))
            group.atoms.clear()
            self.repeatable = False
        elif char in "*+?{":
            low, high = self._interval() if char == "{" else _REPEATS[char]
            if not self.repeatable:
                raise RegexError(f"nothing for {char} to repeat")
            group.atoms[-1] = _repeated(group.atoms[-1], low, high)
        elif char in "^$":
            self._add([Assert(char)])
        elif char == "[":
            self._add([self._bracket()])
        elif char == "\\":
            self._add(self._escape())
        else:
            self._add([_ANY if char == "." else Set(((char, char),))])

    def _add(self, atom: list[Step]) -> None:
        self.groups[-1].atoms.append(atom)
        self.repeatable = not (len(atom) == 1 and isinstance(atom[0], Assert))

    def _closed(self, group: _Group) -> list[Step]:
        """The steps of a group: each alternative but the last one is left by a jump to the end."""
        found = _joined(group.atoms)
        for alternative in reversed(group.alternatives):
            _demand(len(alternative) + len(found) + 2)
            jump = Split(len(found) + 1, len(found) + 1)
            found = [Split(1, len(alternative) + 2), *alternative, jump, *found]
        return found

    def _escape(self) -> list[Step]:
        if self.at == len(self.pattern):
            raise RegexError("a trailing backslash")
        char = self.pattern[self.at]
        self.at += 1
        if char in "123456789":
            raise LargeRegexError("back-references are not supported")
        if char in _ASSERTIONS:
            return [Assert(_ASSERTIONS[char])]
        return [_ESCAPES.get(char, Set(((char, char),)))]

    def _interval(self) -> tuple[int, int | None]:
        end = self.pattern.find("}", self.at)
        low, comma, high = self.pattern[self.at : end].partition(",") if end >= 0 else ("", "", "")
        if not all(part.isascii() and (part.isdigit() or not part) for part in (low, high)) or not (low or comma):
            raise RegexError("not an interval in braces")
        self.at = end + 1
        # More digits would be a larger number anyway.
        least = int(low[:9] or 0)
        most = (int(high[:9]) if high else None) if comma else least
        if max(least, most or 0) > MOST_REPEATS or (most is not None and most < least):
            raise RegexError("an interval that is too large or reversed")
        return least, most

    def _bracket(self) -> Set:
        negated = self.pattern.startswith("^", self.at)
        self.at += negated
        first, ranges, classes = self.at, list[tuple[str, str]](), list[str]()
        while not self.pattern.startswith("]", self.at) or self.at == first:
            if self.pattern.startswith("[:", self.at):
                name = self._named(":")
                if name not in _CLASSES:
                    raise RegexError("unknown class of characters")
                classes.append(name)
                continue
            low = high = self._member()
            if self.pattern.startswith("-", self.at) and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._member()
            if high < low:
                raise RegexError("a reversed range")
            ranges.append((low, high))
        self.at += 1
        return Set(tuple(dict.fromkeys(ranges)), tuple(dict.fromkeys(classes)), negated)

    def _member(self) -> str:
        """One character of a set, or a collating symbol or equivalence class of one character."""
        for mark in ".=":
            if self.pattern.startswith("[" + mark, self.at):
                name = self._named(mark)
                if len(name) != 1:
                    raise RegexError("unknown collating element")
                return name
        if self.at >= len(self.pattern):
            raise RegexError("unmatched [")
        self.at += 1
        return self.pattern[self.at - 1]

    def _named(self, mark: str) -> str:
        end = self.pattern.find(mark + "]", self.at + 2)
        if end < 0:
            raise RegexError("unmatched [")
        name = self.pattern[self.at + 2 : end]
        self.at = end + 2
        return name


def _demand(size: int) -> None:
    if size > LARGEST:
        raise LargeRegexError(f"too large: more than {LARGEST:,} steps")


def _joined(atoms: list[list[Step]]) -> list[Step]:
    _demand(sum(map(len, atoms)))
    return atoms[0] if len(atoms) == 1 else [step for atom in atoms for step in atom]


def _repeated(atom: list[Step], low: int, high: int | None) -> list[Step]:
    size = len(atom)
    _demand((size + 1) * max(low, high or 0, 1) + 1)
    found = atom * low
    if high is None:
        return [*found, Split(1, size + 2), *atom, Split(-size, 1)]
    for left in range(high - low, 0, -1):
        # The rest is left out as a whole.
        found += [Split(1, (size + 1) * left), *atom]
    return found
