"""Why the ABI changed: the types behind the exports that changed, in two kernels."""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from kinspect.views.abi.comparison import ExportTypes, TypeComparison
from kinspect.views.abi.members import MemberChange, definition_pair, member_changes, size_in
from kinspect.views.abi.reach import path_to


class Basis(StrEnum):
    """What decides whether an export changed."""

    CRC = "CRC"
    TYPES = "types"  # without MODVERSIONS


class TypeChange(NamedTuple):
    """A type that changed by itself.

    Sizes in bytes, None where a kernel does not define it. `exports` is the number of changed exports that reach it,
    `path` the shortest way from one of them: the export, then types, the last of which is this one. `knock_ons` are the
    types whose size or offsets changed because they contain it.
    """

    type: str
    old_size: int | None
    new_size: int | None
    members: tuple[MemberChange, ...]
    exports: int
    path: tuple[str, ...]
    knock_ons: tuple[str, ...]
    tolerated: bool


class PrototypeChange(NamedTuple):
    """An exported function whose prototype changed."""

    export: str
    old: str
    new: str


class Unexplained(NamedTuple):
    """A changed export without a cause in the types."""

    export: str
    reason: str


class AbiCauses(NamedTuple):
    """The causes of the changes between the exports of two kernels.

    `changed` is the number of common exports that changed, by CRC or, without MODVERSIONS, by their types;
    `kept` the number of exports whose CRC is the same although a type that they reach changed. `left_out` is the number
    of changed types that were not asked for.
    """

    old: str
    new: str
    basis: Basis
    changed: int
    kept: int
    types: tuple[TypeChange, ...]
    prototypes: tuple[PrototypeChange, ...]
    unexplained: tuple[Unexplained, ...]
    left_out: int = 0


class ChangedFunctions(NamedTuple):
    """The exports of one comparison, with what changed of their types: of the kernel, or of one module."""

    comparison: TypeComparison
    changed: dict[str, ExportTypes | None]
    kept: int


def type_change(
    comparison: TypeComparison, name: str, exports: int, path: tuple[str, ...], tolerated: bool
) -> TypeChange:
    """What changed in a type."""
    before, after = definition_pair(comparison.old, comparison.new, name)
    found = member_changes(comparison.old, before, comparison.new, after)
    sizes = size_in(comparison.old, before), size_in(comparison.new, after)
    knock_ons = tuple(sorted(knock for knock, roots in comparison.knock_ons.items() if name in roots))
    return TypeChange(name, *sizes, found, exports, path, knock_ons, tolerated)


def causes(
    paths_of_sides: tuple[str, str],
    basis: Basis,
    groups: list[ChangedFunctions],
    reason: Callable[[str], str],
    tolerates: Callable[[str], bool],
) -> AbiCauses:
    """The causes of some changed exports. `reason` says why an export has none; `tolerates` takes a type."""
    counts: Counter[str] = Counter()
    owners: dict[str, TypeComparison] = {}
    paths: dict[str, tuple[str, ...]] = {}
    prototypes, unexplained = [], []
    for comparison, changed, _ in groups:
        sets = Counter(found.causes for found in changed.values() if found)
        for names, count in sets.items():
            counts.update(dict.fromkeys(names, count))
        fresh = sorted(set().union(*sets) - owners.keys())
        owners.update(dict.fromkeys(fresh, comparison))
        if fresh:
            shortest = comparison.paths(sorted(name for name, found in changed.items() if found and found.causes))
            paths.update((name, path_to(name, shortest)) for name in fresh)
        for name, found in sorted(changed.items()):
            if found and found.prototypes:
                prototypes.append(PrototypeChange(name, *found.prototypes))
            elif not found or not found.causes:
                unexplained.append(Unexplained(name, reason(name) if found is None else "no type that it uses changed"))
    order = sorted(counts, key=lambda name: (-counts[name], len(paths.get(name, ())), name))
    types = [type_change(owners[name], name, counts[name], paths.get(name, ()), tolerates(name)) for name in order]
    number = sum(len(changed) for _, changed, _ in groups)
    kept = sum(group.kept for group in groups)
    return AbiCauses(*paths_of_sides, basis, number, kept, tuple(types), tuple(prototypes), tuple(unexplained))
