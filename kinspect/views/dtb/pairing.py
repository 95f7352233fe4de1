"""Overlays and the device trees beside them: which overlay applies to none, and why not to the likeliest one."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kinspect.artifacts.dtb.blob import Dtb, DtbKind
from kinspect.errors import KinspectError
from kinspect.views.dtb.merging import KEEPS_PHANDLES, merged
from kinspect.views.dtb.overlay import OverlayProblem

MOST_TRIED = 3
"""Bases with all labels and paths of an overlay to which it is applied: if not to these, then not to the others."""
MOST_BEFORE = 3
"""Overlays that define the labels of another, and are applied before it."""


class UnpairedOverlay(NamedTuple):
    """An overlay that applies to none of the device trees. `problem` is that of the likeliest one, at `base`."""

    path: str
    base: str
    problem: OverlayProblem


class UnpairedOverlays(NamedTuple):
    """The overlays among some files that apply to none of the `bases` device trees there."""

    overlays: tuple[UnpairedOverlay, ...]
    bases: int


def unpaired_overlays(trees: Iterable[Dtb]) -> UnpairedOverlays:
    """The overlays that apply to no device tree among `trees`, alone or after others there that have their labels.

    What cannot be read is left out: the checks report it.
    """
    bases: list[_Labelled] = []
    overlays: list[_Labelled] = []
    for dtb in trees:
        if dtb.form == DtbKind.OVERLAY:
            overlays.append(_Labelled(dtb))
        elif dtb.form == DtbKind.TREE:
            bases.append(_Labelled(dtb))
    defined = {label: overlay for overlay in overlays for label in overlay.labels}
    found = (_unpaired(overlay, bases, defined) for overlay in overlays) if bases else iter(())
    return UnpairedOverlays(tuple(filter(None, found)), len(bases))


class _Labelled:
    """A tree with its labels, the labels that it needs, and the paths that it needs."""

    def __init__(self, dtb: Dtb) -> None:
        self.dtb = dtb
        self.labels = frozenset(self._names("__symbols__"))
        self.needs = frozenset(self._names("__fixups__"))
        contents = (node.parent for node in dtb.nodes if node.depth == 2 and node.name == "__overlay__")
        targets = (dtb.nodes[number].property("target-path") for number in contents)
        self.paths = frozenset(target.texts[0] for target in targets if target and target.texts)

    def _names(self, table: str) -> Iterator[str]:
        number = self.dtb.number_of(f"/{table}")
        yield from (prop.name for prop in self.dtb.nodes[number].properties) if number is not None else ()

    def lacks(self, overlay: "_Labelled", before: "Sequence[_Labelled]") -> int:
        """How many labels and paths of an overlay are missing here, after others were applied."""
        labels = self.labels.union(*(one.labels for one in before))
        paths = 0 if before else sum(self.dtb.number_of(path) is None for path in overlay.paths)
        return len(overlay.needs - labels) + paths


def _unpaired(overlay: _Labelled, bases: list[_Labelled], defined: "dict[str, _Labelled]") -> UnpairedOverlay | None:
    labels = frozenset().union(*(base.labels for base in bases))
    definers = {defined[label] for label in overlay.needs - labels if label in defined} - {overlay}
    before = sorted(definers, key=lambda one: one.dtb.path) if len(definers) <= MOST_BEFORE else []
    ranked = sorted(bases, key=lambda base: base.lacks(overlay, before))
    unpaired = None
    for base in ranked[:MOST_TRIED]:
        try:
            facts, _ = merged(base.dtb, [*(one.dtb for one in before), overlay.dtb], KEEPS_PHANDLES)
        except KinspectError:
            return None
        problem = next((one.problem for one in facts.overlays if one.problem), None)
        if problem is None:
            return None
        unpaired = unpaired or UnpairedOverlay(overlay.dtb.path, base.dtb.path, problem)
    return unpaired
