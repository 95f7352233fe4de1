"""Two Module.symvers compared: what modules that were built for the old kernel no longer find in the new one."""

import os
from collections.abc import Iterable, Iterator
from enum import StrEnum
from fnmatch import translate
from functools import cached_property
from re import Pattern
from re import compile as compiled
from typing import NamedTuple

from kinspect.artifacts.build.symvers import Symvers
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.source import Source

LARGEST_RULES = 1 << 20


class Subject(StrEnum):
    """What the pattern of a rule is held against."""

    MODULE = "MODULE"
    NAMESPACE = "NAMESPACE"
    SYMBOL = "SYMBOL"


class AbiRule(NamedTuple):
    """One rule: which changes it is for, and whether they may pass."""

    subject: Subject
    pattern: str
    passes: bool
    line: int


class AbiRules:
    """Which changes of the interface may pass, in the order of a rules file: the first that fits decides.

    Source: suse-kabi-tools(5), "kABI severity rules".
    """

    def __init__(self, rules: tuple[AbiRule, ...] = (), path: str = "") -> None:
        self.rules, self.path = rules, path

    @classmethod
    def of(cls, path: Source | str | os.PathLike[str]) -> "AbiRules":
        """The rules in a file: lines `[MODULE|NAMESPACE|SYMBOL] pattern PASS|FAIL`, with globs, and `#` comments.

        Raises MalformedError naming the line that is none, UnsupportedError over 1 MiB.
        """
        source = path if isinstance(path, Source) else Source(path)
        if source.size > LARGEST_RULES:
            expected = f"at most {LARGEST_RULES:,} bytes"
            raise UnsupportedError("too large for rules", Location(source.path), expected=expected, actual=source.size)
        lines = source.read(0, source.size).decode("utf-8", "surrogateescape").split("\n")
        found = (_rule(line, Location(source.path, line=number)) for number, line in enumerate(lines, start=1))
        return cls(tuple(rule for rule in found if rule), source.path)

    @cached_property
    def _patterns(self) -> list[tuple[Subject, Pattern[str], bool]]:
        # A shell negates a set with `^` as well.
        return [
            (rule.subject, compiled(translate(rule.pattern.replace("[^", "[!"))), rule.passes) for rule in self.rules
        ]

    def tolerate(self, name: str, module: str, namespace: str) -> bool:
        """Whether a change of an export may pass. What no rule fits may not."""
        texts = {Subject.MODULE: module, Subject.NAMESPACE: namespace, Subject.SYMBOL: name}
        for subject, pattern, passes in self._patterns:
            text = texts[subject]
            # An export without a namespace fits no rule on namespaces, not even `*`.
            if (text or subject != Subject.NAMESPACE) and pattern.match(text):
                return passes
        return False


def _rule(line: str, at: Location) -> AbiRule | None:
    words = line.partition("#")[0].split()
    if not words:
        return None
    if len(words) not in (2, 3):
        raise MalformedError("not a rule", at, expected="[MODULE|NAMESPACE|SYMBOL] pattern PASS|FAIL", actual=line)
    subject, pattern, verdict = words if len(words) == 3 else (_subject(words[0]), *words)
    if subject not in list(Subject):
        raise MalformedError("not the type of a rule", at, expected="MODULE, NAMESPACE or SYMBOL", actual=subject)
    if verdict not in ("PASS", "FAIL"):
        raise MalformedError("not a verdict", at, expected="PASS or FAIL", actual=verdict)
    return AbiRule(Subject(subject), pattern, verdict == "PASS", at.line or 0)


def _subject(pattern: str) -> Subject:
    """What a pattern is for when the rule does not say."""
    if "/" in pattern or pattern == "vmlinux":
        return Subject.MODULE
    return Subject.NAMESPACE if pattern == pattern.upper() else Subject.SYMBOL


class Change(StrEnum):
    """What became of an export."""

    REMOVED = "removed"
    CRC = "CRC changed"
    RESTRICTED = "now for the GPL alone"
    NAMESPACE = "namespace changed"
    MOVED = "moved to another module"
    OPENED = "no longer for the GPL alone"
    ADDED = "added"


BREAKS = frozenset({Change.REMOVED, Change.CRC, Change.RESTRICTED, Change.NAMESPACE})
"""With these, modules that were built for the old kernel do not load, or cannot be built."""


class ChangedExport(NamedTuple):
    """One change of one export: what it was and is, and whether a rule lets it pass; lines counted from 1, 0 for none.

    `module` is the old one; of what was added the new one.
    """

    change: Change
    name: str
    module: str
    old: str
    new: str
    tolerated: bool
    old_line: int
    new_line: int

    @property
    def breaks(self) -> bool:
        """Whether it breaks the interface."""
        return self.change in BREAKS and not self.tolerated


class Modversions(StrEnum):
    """Which of the two kernels have MODVERSIONS, and so whether CRCs can be compared."""

    BOTH = "both"
    NEITHER = "neither"
    GONE = "gone"  # only the old one
    NEW = "new"  # only the new one


class AbiFacts(NamedTuple):
    """An interface compared. `changes` in the order of their kinds, then by name.

    Where MODVERSIONS went away or came, every CRC differs: `changes` then has none of them, `incomparable` the number
    of those that no rule lets pass.
    """

    old: str
    new: str
    rules: str
    old_exports: int
    new_exports: int
    versions: Modversions
    incomparable: int
    changes: tuple[ChangedExport, ...]

    @property
    def breaks(self) -> int:
        """How many changes break the interface; that MODVERSIONS went away or came is one."""
        return sum(change.breaks for change in self.changes) + bool(self.incomparable)

    @property
    def kept(self) -> bool:
        """Whether modules that were built for the old kernel find all they need in the new one."""
        return not self.breaks

    def of(self, change: Change) -> list[ChangedExport]:
        """The changes of one kind."""
        return [one for one in self.changes if one.change == change]


def compare(old: Symvers, new: Symvers, rules: AbiRules | None = None) -> AbiFacts:
    """What changed from one kernel's exports to another's.

    Raises as `Symvers.data` does, and MalformedError where a line cannot be read: the comparison would not hold.
    """
    found = sorted(_changes(old, new, rules or AbiRules()), key=lambda one: (list(Change).index(one.change), one.name))
    versions = {
        (True, True): Modversions.BOTH,
        (False, False): Modversions.NEITHER,
        (True, False): Modversions.GONE,
        (False, True): Modversions.NEW,
    }[old.versioned, new.versioned]
    incomparable = 0
    if versions in (Modversions.GONE, Modversions.NEW):
        incomparable = sum(one.change == Change.CRC and one.breaks for one in found)
        found = [one for one in found if one.change != Change.CRC]
    counts = len(old.index), len(new.index)
    return AbiFacts(old.path, new.path, rules.path if rules else "", *counts, versions, incomparable, tuple(found))


def _changes(old: Symvers, new: Symvers, rules: AbiRules) -> Iterator[ChangedExport]:
    """All changes of all exports, in no order."""
    for symvers in (old, new):
        _demand_sound(symvers)

    def changed(change: Change, name: str, before: str = "", after: str = "") -> ChangedExport:
        # A rule is held against the old kernel's module and namespace, where there are such.
        symvers = old if name in old.index else new
        at, rows = symvers.index[name], symvers.rows
        tolerated = rules.tolerate(name, rows.modules[at], rows.namespaces[at])
        lines = (one.rows.numbers[one.index[name]] if name in one.index else 0 for one in (old, new))
        return ChangedExport(change, name, rows.modules[at], before, after, tolerated, *lines)

    for name in old.index.keys() - new.index.keys():
        yield changed(Change.REMOVED, name)
    for name in new.index.keys() - old.index.keys():
        yield changed(Change.ADDED, name)
    one, other = old.rows, new.rows
    for name in old.index.keys() & new.index.keys():
        at, to = old.index[name], new.index[name]
        crcs = one.crcs[at], other.crcs[to]
        if crcs[0] != crcs[1]:
            yield changed(Change.CRC, name, *(f"{crc:#010x}" for crc in crcs))
        if old.gpl[at] != new.gpl[to]:
            change = Change.RESTRICTED if new.gpl[to] else Change.OPENED
            yield changed(change, name, one.types[at], other.types[to])
        if one.namespaces[at] != other.namespaces[to]:
            yield changed(Change.NAMESPACE, name, one.namespaces[at], other.namespaces[to])
        if one.modules[at] != other.modules[to]:
            yield changed(Change.MOVED, name, one.modules[at], other.modules[to])


def _demand_sound(symvers: Symvers) -> None:
    """Raise MalformedError with the first line that is no export, or not the first of its name, or not whole."""
    rows, data = symvers.rows, symvers.data
    if not data:
        raise MalformedError("empty file", symvers.at())
    if symvers.broken:
        raise MalformedError("a line with a wrong number of fields", symvers.line(symvers.broken[0].number))
    for problem, at in (
        ("not a CRC", rows.crcs.index(None) if None in rows.crcs else -1),
        ("an unknown type", _first(text not in symvers.known_types for text in rows.types)),
        ("exported twice", _first(symvers.index[name] != at for at, name in enumerate(rows.names))),
    ):
        if at >= 0:
            raise MalformedError(problem, symvers.line(rows.numbers[at], rows.names[at]))
    if not data.endswith(b"\n"):
        raise MalformedError("the last line has no end: the file is cut", symvers.line(len(symvers.lines)))


def _first(faults: Iterable[bool]) -> int:
    return next((at for at, fault in enumerate(faults) if fault), -1)


def ksymvers_lines(old: Symvers, new: Symvers, rules: AbiRules | None = None) -> Iterator[str]:
    """What `ksymvers compare` of suse-kabi-tools prints: every change that it knows, without newlines.

    Raises as `compare` does.
    """
    order = (Change.CRC, Change.RESTRICTED, Change.OPENED)
    found = sorted(_changes(old, new, rules or AbiRules()), key=lambda one: (one.name, one.change in order[1:]))
    for change, word in ((Change.ADDED, "added"), (Change.REMOVED, "removed")):
        for one in found:
            if one.change == change:
                yield f"Export '{one.name}' has been {word}{_suffix(one)}"
    for one in found:
        if one.change in order:
            what = "CRC" if one.change == Change.CRC else "type"
            yield f"Export '{one.name}' changed {what} from '{one.old}' to '{one.new}'{_suffix(one)}"


def _suffix(one: ChangedExport) -> str:
    if one.tolerated:
        return " (tolerated by rules)"
    return " (implicitly tolerated)" if one.change in (Change.ADDED, Change.OPENED) else ""
