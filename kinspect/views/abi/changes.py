"""Two Module.symvers compared: what changed for modules that were built for the old kernel."""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.errors import MalformedError
from kinspect.views.abi.comparison import ExportTypes
from kinspect.views.abi.rules import AbiRules

TypesOf = Callable[[str, str], ExportTypes | None]


class Change(StrEnum):
    """How an export changed."""

    REMOVED = "removed"
    CRC = "CRC changed"
    TYPES = "types changed"
    RESTRICTED = "now for the GPL alone"
    NAMESPACE = "namespace changed"
    MOVED = "moved to another module"
    OPENED = "no longer for the GPL alone"
    ADDED = "added"


LABELS = {Change.RESTRICTED: "now GPL-only", Change.OPENED: "no longer GPL-only"}
"""What text calls a change, where that is not its value in JSON."""
BREAKS = frozenset({Change.REMOVED, Change.CRC, Change.TYPES, Change.RESTRICTED, Change.NAMESPACE})
"""Modules that were built for the old kernel no longer load, or no longer build."""


class ChangedExport(NamedTuple):
    """One change of one export: old and new value, whether a rule tolerates it, and its lines, from 1 on; 0 is none.

    `module` is the old one; for an added export the new one. Where types changed, `new` is one of them, or the new
    prototype.
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
    """Which of the two kernels has MODVERSIONS. CRCs can be compared only if both have."""

    BOTH = "both"
    NEITHER = "neither"
    GONE = "gone"  # only the old one
    NEW = "new"  # only the new one


class AbiFacts(NamedTuple):
    """The exports of two kernels compared. `changes` are ordered by kind, then by name.

    If only one of the kernels has MODVERSIONS, every CRC differs: these changes are left out, and `incomparable` is
    the number of those that no rule tolerates. Unless both have MODVERSIONS, the types decide; without
    `types_compared`, only the names of the exports, their licences and namespaces were compared. `only` are the exports
    that were selected: `changes` has no others.
    """

    old: str
    new: str
    rules: str
    old_exports: int
    new_exports: int
    versions: Modversions
    incomparable: int
    changes: tuple[ChangedExport, ...]
    types_compared: bool = False
    only: tuple[str, ...] = ()

    @property
    def breaks(self) -> int:
        """The number of changes that break the interface; a change of MODVERSIONS counts as one."""
        return sum(change.breaks for change in self.changes) + bool(self.incomparable)

    @property
    def kept(self) -> bool:
        """Whether modules that were built for the old kernel work with the new one."""
        return not self.breaks

    @property
    def only_names(self) -> bool:
        """Whether nothing was compared but the names of the exports, their licences and namespaces."""
        return self.versions != Modversions.BOTH and not self.types_compared

    def of(self, change: Change) -> list[ChangedExport]:
        """The changes of one kind."""
        return [changed for changed in self.changes if changed.change == change]


def compare(
    old: Symvers,
    new: Symvers,
    rules: AbiRules | None = None,
    types: TypesOf | None = None,
    kernel_alone: bool = False,
) -> AbiFacts:
    """What changed between the exports of two kernels.

    `types` are what changed of the types of an export, by its name and module: they tell why a CRC changed, and
    unless both kernels have MODVERSIONS, whether the export did. With `kernel_alone` the exports of modules are left
    out.

    Raises as `Symvers.data` does, and MalformedError for a line that cannot be read.
    """
    order = list(Change)
    found = sorted(
        _changes(old, new, rules or AbiRules(), types or (lambda name, module: None), kernel_alone),
        key=lambda changed: (order.index(changed.change), changed.name),
    )
    versions = {
        (True, True): Modversions.BOTH,
        (False, False): Modversions.NEITHER,
        (True, False): Modversions.GONE,
        (False, True): Modversions.NEW,
    }[old.versioned, new.versioned]
    incomparable = 0
    if versions in (Modversions.GONE, Modversions.NEW):
        incomparable = sum(changed.change == Change.CRC and changed.breaks for changed in found)
        found = [changed for changed in found if changed.change != Change.CRC]
    counts = (len(_names(old, kernel_alone)), len(_names(new, kernel_alone)))
    return AbiFacts(
        old.path, new.path, rules.path if rules else "", *counts, versions, incomparable, tuple(found), bool(types)
    )


def _names(symvers: Symvers, kernel_alone: bool) -> set[str]:
    """The names of the exports; with `kernel_alone` those of the kernel itself."""
    if not kernel_alone:
        return set(symvers.index)
    return {name for name, at in symvers.index.items() if symvers.rows.modules[at] == KERNEL}


def _changes(
    old: Symvers, new: Symvers, rules: AbiRules, types: TypesOf, kernel_alone: bool = False
) -> Iterator[ChangedExport]:
    """All changes of all exports, in no order."""
    for symvers in (old, new):
        _demand_sound(symvers)
    before, after = _names(old, kernel_alone), _names(new, kernel_alone)

    def changed(
        change: Change, name: str, old_value: str = "", new_value: str = "", found: ExportTypes | None = None
    ) -> ChangedExport:
        # Rules are compared with the old kernel's module and namespace; for an added export with the new ones.
        symvers = old if name in before else new
        at, rows = symvers.index[name], symvers.rows
        tolerated = rules.tolerate(name, rows.modules[at], rows.namespaces[at])
        if found and found.causes and not found.prototypes:
            tolerated = tolerated or all(map(rules.tolerates_type, found.causes))
        known = ((old, name in before), (new, name in after))
        lines = (each.number_of(name) if there else 0 for each, there in known)
        return ChangedExport(change, name, rows.modules[at], old_value, new_value, tolerated, *lines)

    for name in before - after:
        yield changed(Change.REMOVED, name)
    for name in after - before:
        yield changed(Change.ADDED, name)
    for name in before & after:
        found = types(name, old.rows.modules[old.index[name]]) if _may_differ(old, new, name) else None
        for change, old_value, new_value in _common(old, new, name, found):
            of_types = found if change in (Change.CRC, Change.TYPES) else None
            yield changed(change, name, old_value, new_value, of_types)


def _may_differ(old: Symvers, new: Symvers, name: str) -> bool:
    """Whether the types of an export may have changed: not when both kernels have the same CRC of it."""
    crcs = old.rows.crcs[old.index[name]], new.rows.crcs[new.index[name]]
    return crcs[0] != crcs[1] or not (old.versioned and new.versioned)


def _common(old: Symvers, new: Symvers, name: str, types: ExportTypes | None) -> Iterator[tuple[Change, str, str]]:
    """The changes of an export of both kernels: the old and the new value."""
    at, to, one, other = old.index[name], new.index[name], old.rows, new.rows
    if one.crcs[at] != other.crcs[to]:
        yield Change.CRC, f"{one.crcs[at]:#010x}", f"{other.crcs[to]:#010x}"
    if types and types.changed and not (old.versioned and new.versioned):
        yield Change.TYPES, *(types.prototypes or ("", types.causes[0]))
    if old.gpl[at] != new.gpl[to]:
        change = Change.RESTRICTED if new.gpl[to] else Change.OPENED
        yield change, one.types[at], other.types[to]
    if one.namespaces[at] != other.namespaces[to]:
        yield Change.NAMESPACE, one.namespaces[at], other.namespaces[to]
    if one.modules[at] != other.modules[to]:
        yield Change.MOVED, one.modules[at], other.modules[to]


def _demand_sound(symvers: Symvers) -> None:
    """Raise MalformedError for a line that is not an export, a duplicate, or a file that is cut."""
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
        raise MalformedError("the last line has no newline: the file is truncated", symvers.line(len(symvers.lines)))


def _first(faults: Iterable[bool]) -> int:
    return next((at for at, fault in enumerate(faults) if fault), -1)


def ksymvers_lines(old: Symvers, new: Symvers, rules: AbiRules | None = None) -> Iterator[str]:
    """The lines that `ksymvers compare` of suse-kabi-tools prints, without newlines.

    Raises as `compare` does.
    """
    of_the_export = (Change.CRC, Change.RESTRICTED, Change.OPENED)
    found = sorted(
        _changes(old, new, rules or AbiRules(), lambda name, module: None),
        key=lambda changed: (changed.name, changed.change in of_the_export[1:]),
    )
    for change, verb in ((Change.ADDED, "added"), (Change.REMOVED, "removed")):
        for changed in found:
            if changed.change == change:
                yield f"Export '{changed.name}' has been {verb}{_suffix(changed)}"
    for changed in found:
        if changed.change in of_the_export:
            field = "CRC" if changed.change == Change.CRC else "type"
            yield f"Export '{changed.name}' changed {field} from '{changed.old}' to '{changed.new}'{_suffix(changed)}"


def _suffix(changed: ChangedExport) -> str:
    if changed.tolerated:
        return " (tolerated by rules)"
    return " (implicitly tolerated)" if changed.change in (Change.ADDED, Change.OPENED) else ""
