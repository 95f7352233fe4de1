"""Why one export changed."""

from typing import NamedTuple

from kinspect.views.abi.causes import TypeChange, type_change
from kinspect.views.abi.comparison import ExportTypes, TypeComparison
from kinspect.views.abi.reach import path_to


class ExportCauses(NamedTuple):
    """One changed export: its prototypes, and each type that changed by itself with the shortest way to it."""

    export: str
    old_prototype: str
    new_prototype: str
    changed: bool
    types: tuple[TypeChange, ...]
    reason: str


def export_causes(
    comparison: TypeComparison, export: str, found: ExportTypes | None, changed: bool, reason: str
) -> ExportCauses:
    """Why one export changed."""
    old, new = (
        side.prototype(side.functions[export], export) if export in side.functions else ""
        for side in (comparison.old, comparison.new)
    )
    shortest = comparison.paths([export])
    names = found.causes if found else ()
    types = [type_change(comparison, name, 1, path_to(name, shortest), False) for name in names]
    types.sort(key=lambda change: (len(change.path), change.type))
    return ExportCauses(export, old, new, changed, tuple(types), reason)
