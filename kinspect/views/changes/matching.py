"""Two kernels matched: their functions and data in pairs, and what the instructions of all functions refer to."""

from typing import NamedTuple, Self

from kinspect.views.changes.causes.banner import Stamps
from kinspect.views.changes.functions import FunctionPairs
from kinspect.views.changes.pairing import Paired, paired
from kinspect.views.changes.renaming import Renamed
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import Targets
from kinspect.views.tables.raw_exports import readable_exports

_Pairs = list[tuple[int, int]]


class Matching(NamedTuple):
    """Functions of two kernels in pairs, with those that only one has, and pairs of places of data.

    `targets` knows which addresses are the same thing, `comparison` what differs in the functions.
    """

    functions: Paired
    objects: _Pairs
    places: _Pairs
    targets: Targets
    comparison: FunctionPairs

    def with_renamed(self, names: list[Renamed]) -> Self:
        """The same, with functions of another name in pairs as well."""
        pairs = [(name.old_offset, name.new_offset) for name in names]
        if not pairs:
            return self
        ours, theirs = {one for one, _ in pairs}, {other for _, other in pairs}
        functions = Paired(
            sorted(self.functions.pairs + pairs),
            [offset for offset in self.functions.removed if offset not in ours],
            [offset for offset in self.functions.added if offset not in theirs],
        )
        self.comparison.add(pairs)
        return self._replace(functions=functions, targets=self.targets.with_pairs(functions.pairs + self.places))


def matched(old: KernelSide, new: KernelSide, marks: Stamps, bounds: bool) -> Matching:
    """Two kernels matched; with `bounds` also where tables of exports begin and end: code refers to that."""
    functions = paired(old, new, old.functions, new.functions)
    objects = paired(old, new, old.objects, new.objects).pairs
    places = objects + export_bounds(old, new) if bounds else objects
    targets = Targets(old, new, functions.pairs + places, marks)
    comparison = FunctionPairs(old, new, targets.pairs)
    comparison.add(functions.pairs)
    return Matching(functions, objects, places, targets, comparison)


def export_bounds(old: KernelSide, new: KernelSide) -> _Pairs:
    """Offsets that are the same in both kernels: where the tables of exports that both have begin and end."""
    found = []
    for side in (old, new):
        tables = readable_exports(side.image).tables
        found.append({table.name: (table.offset, table.offset + len(table.exports) * table.row) for table in tables})
    both = [name for name in found[0] if name in found[1]]
    return sorted({pair for name in both for pair in zip(found[0][name], found[1][name], strict=True)})
