"""Rules on which changes of exports are tolerated. Source: suse-kabi-tools(5), "kABI severity rules"."""

import os
import re
from enum import StrEnum
from fnmatch import translate
from functools import cached_property
from typing import NamedTuple

from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.source import Source

LARGEST_RULES = 1 << 20
_LONGEST = 4096
_MOST_COMPARED = 200_000_000
"""Characters of patterns times characters of names: a few seconds."""
_PATTERN, _COMPILING = 50, 20_000
"""What trying and compiling a pattern cost besides, in such characters."""
_BEGIN = 3
"""Patterns are grouped by as many of their first characters."""
_NONE = 1 << 62
_WILDCARD = re.compile(r"[*?\[]")


class Subject(StrEnum):
    """What the pattern of a rule is compared with."""

    MODULE = "MODULE"
    NAMESPACE = "NAMESPACE"
    SYMBOL = "SYMBOL"
    TYPE = "TYPE"  # an extension: ksymvers knows no types


class AbiRule(NamedTuple):
    """One rule: which exports it is for, and whether their changes are tolerated."""

    subject: Subject
    pattern: str
    passes: bool
    line: int


class AbiRules:
    """Which changes are tolerated, in the order of a rules file: the first rule that matches decides."""

    def __init__(self, rules: tuple[AbiRule, ...] = (), path: str = "") -> None:
        self.rules, self.path = rules, path

    @classmethod
    def of(cls, path: Source | str | os.PathLike[str]) -> "AbiRules":
        """The rules in a file: lines `[MODULE|NAMESPACE|SYMBOL|TYPE] pattern PASS|FAIL`, globs, and `#` comments.

        Raises MalformedError with the first line that is not a rule, UnsupportedError over 1 MiB.
        """
        source = path if isinstance(path, Source) else Source(path)
        if source.size > LARGEST_RULES:
            expected = f"at most {LARGEST_RULES:,} bytes"
            raise UnsupportedError("too large for rules", Location(source.path), expected=expected, actual=source.size)
        lines = source.read(0, source.size).decode("utf-8", "surrogateescape").split("\n")
        found = (_rule(line, Location(source.path, line=number)) for number, line in enumerate(lines, start=1))
        return cls(tuple(rule for rule in found if rule), source.path)

    @cached_property
    def _matchers(self) -> dict[Subject, "_Matcher"]:
        found = {subject: _Matcher(self.path) for subject in Subject}
        for number, rule in enumerate(self.rules):
            # In a shell, `^` negates a set as well.
            found[rule.subject].add(rule.pattern.replace("[^", "[!"), number)
        return found

    def tolerate(self, name: str, module: str, namespace: str) -> bool:
        """Whether a change of an export is tolerated. Without a matching rule it is not.

        Raises UnsupportedError when there are too many patterns for so many names.
        """
        matchers = self._matchers
        first = min(matchers[Subject.MODULE].first(module), matchers[Subject.SYMBOL].first(name))
        # An export without a namespace matches no rule on namespaces, not even `*`.
        if namespace:
            first = min(first, matchers[Subject.NAMESPACE].first(namespace))
        return first != _NONE and self.rules[first].passes

    def tolerates_type(self, name: str) -> bool:
        """Whether changes of a type, such as `struct device`, are tolerated: a pattern is for the name alone."""
        first = self._matchers[Subject.TYPE].first(name.rpartition(" ")[2])
        return first != _NONE and self.rules[first].passes


class _Matcher:
    """The rules on one subject. Whole names and `prefix*` are looked up, other patterns tried one after the other."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._names: dict[str, int] = {}
        self._prefixes: dict[str, int] = {}
        self._patterns: dict[str, list[tuple[int, str]]] = {}
        self._expressions: dict[str, re.Pattern[str]] = {}
        self._known: dict[str, int] = {}
        self._left = _MOST_COMPARED

    def add(self, pattern: str, number: int) -> None:
        """Add the pattern of a rule, in the order of the rules."""
        literal = pattern[: found.start()] if (found := _WILDCARD.search(pattern)) else pattern
        if literal == pattern:
            self._names.setdefault(pattern, number)
        elif literal + "*" == pattern:
            self._prefixes.setdefault(literal, number)
        else:
            self._patterns.setdefault(literal[:_BEGIN], []).append((number, pattern))

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(prefix) for prefix in self._prefixes})

    def first(self, text: str) -> int:
        """The number of the first rule that matches a text; _NONE without one."""
        if text not in self._known:
            self._known[text] = self._first(text)
        return self._known[text]

    def _first(self, text: str) -> int:
        best = self._names.get(text, _NONE)
        for length in self._lengths:
            if length > len(text):
                break
            self._spend(length)
            best = min(best, self._prefixes.get(text[:length], _NONE))
        for begin in {text[:length] for length in range(_BEGIN + 1)}:
            for number, pattern in self._patterns.get(begin, ()):
                if number > best:
                    break
                self._spend(_PATTERN + len(pattern) * (len(text) + 1))
                if self._compiled(pattern).match(text):
                    best = number
        return best

    def _compiled(self, pattern: str) -> re.Pattern[str]:
        if pattern not in self._expressions:
            self._spend(_COMPILING)
            self._expressions[pattern] = re.compile(translate(pattern))
        return self._expressions[pattern]

    def _spend(self, compared: int) -> None:
        self._left -= compared
        if self._left < 0:
            raise UnsupportedError("too many patterns for so many names", Location(self._path))


def _rule(line: str, at: Location) -> AbiRule | None:
    words = line.partition("#")[0].split()
    if not words:
        return None
    if len(words) not in (2, 3):
        raise MalformedError("not a rule", at, expected="[MODULE|NAMESPACE|SYMBOL|TYPE] pattern PASS|FAIL", actual=line)
    subject, pattern, verdict = words if len(words) == 3 else (_subject(words[0]), *words)
    if subject not in list(Subject):
        raise MalformedError("not the type of a rule", at, expected="MODULE, NAMESPACE, SYMBOL or TYPE", actual=subject)
    if verdict not in ("PASS", "FAIL"):
        raise MalformedError("not a verdict", at, expected="PASS or FAIL", actual=verdict)
    if len(pattern) > _LONGEST and _WILDCARD.search(pattern):
        expected = f"at most {_LONGEST:,} characters"
        raise UnsupportedError("too long a pattern", at, expected=expected, actual=f"{len(pattern):,}")
    return AbiRule(Subject(subject), pattern, verdict == "PASS", at.line or 0)


def _subject(pattern: str) -> Subject:
    """The subject of a rule that does not name it."""
    if "/" in pattern or pattern == "vmlinux":
        return Subject.MODULE
    return Subject.NAMESPACE if pattern == pattern.upper() else Subject.SYMBOL
