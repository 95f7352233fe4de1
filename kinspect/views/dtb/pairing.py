"""Overlays and the device trees beside them: which overlay applies to none, and why not to the likeliest one."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kinspect.artifacts.dtb.blob import Dtb, DtbKind
from kinspect.errors import KinspectError
from kinspect.views.dtb.merging import KEEPS_PHANDLES, merged
from kinspect.views.dtb.overlay import OverlayProblem
from kinspect.workers import results

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


class TreeNames(NamedTuple):
    """What pairs a tree with others.

    Of an overlay: the labels that it defines, and the labels and paths that it needs. Of a base: those labels and paths
    that it has, among all that overlays need.
    """

    form: DtbKind
    labels: frozenset[str]
    needs: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()


class NeededNames(NamedTuple):
    """The labels and paths that some overlays need."""

    labels: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()


NO_NAMES = NeededNames()


def names_of(dtb: Dtb, needed: NeededNames) -> TreeNames:
    """The names in a tree. Raises as `Dtb.nodes` does."""
    labels = frozenset(_labels(dtb, "__symbols__"))
    if dtb.form == DtbKind.TREE:
        there = frozenset(path for path in needed.paths if dtb.number_of(path) is not None)
        return TreeNames(dtb.form, labels & needed.labels, paths=there)
    contents = (node.parent for node in dtb.nodes if node.depth == 2 and node.name == "__overlay__")
    targets = (dtb.nodes[number].property("target-path") for number in contents)
    paths = frozenset(target.texts[0] for target in targets if target and target.texts)
    return TreeNames(dtb.form, labels, frozenset(_labels(dtb, "__fixups__")), paths)


def _labels(dtb: Dtb, table: str) -> Iterator[str]:
    number = dtb.number_of(f"/{table}")
    yield from (prop.name for prop in dtb.nodes[number].properties) if number is not None else ()


def needed_by(trees: Iterable[TreeNames]) -> NeededNames:
    """What the overlays among some trees need."""
    overlays = [names for names in trees if names.form == DtbKind.OVERLAY]
    needs, paths = ([names[field] for names in overlays] for field in (2, 3))
    return NeededNames(frozenset().union(*needs), frozenset().union(*paths))


class NamedTree(NamedTuple):
    """A tree and its names."""

    dtb: Dtb
    names: TreeNames

    def lacks(self, overlay: TreeNames, before: "Sequence[NamedTree]") -> int:
        """How many labels and paths of an overlay are missing here, after others were applied."""
        labels = self.names.labels.union(*(one.names.labels for one in before))
        return len(overlay.needs - labels) + (0 if before else len(overlay.paths - self.names.paths))


def completed(trees: Sequence[NamedTree], searched: Iterable[NeededNames]) -> Sequence[NamedTree]:
    """The trees, with all names that their overlays need; `searched` are those that were looked for before."""
    needed = needed_by(tree.names for tree in trees)
    if all(needed.labels <= names.labels and needed.paths <= names.paths for names in searched):
        return trees

    def work(tree: NamedTree) -> TreeNames:
        # The tree itself is not to be kept, unless it is in memory anyway.
        dtb = tree.dtb if tree.dtb.wrapped_in else Dtb(tree.dtb.path)
        return names_of(dtb, needed) if tree.names.form == DtbKind.TREE else tree.names

    names = results(work, trees)
    return [NamedTree(tree.dtb, found) for tree, found in zip(trees, names, strict=True)]


def unpaired_overlays(trees: Iterable[Dtb]) -> UnpairedOverlays:
    """The overlays that apply to no device tree among `trees`, alone or after others there that have their labels.

    What cannot be read is left out: the checks report it.
    """
    given = list(trees)
    needed = needed_by(names_of(dtb, NO_NAMES) for dtb in given)
    return unpaired_among([NamedTree(dtb, names_of(dtb, needed)) for dtb in given])


def unpaired_among(trees: Sequence[NamedTree]) -> UnpairedOverlays:
    """The same for trees whose names are known. The tree of a base is read only to apply overlays to it."""
    bases = [tree for tree in trees if tree.names.form == DtbKind.TREE]
    overlays = [tree for tree in trees if tree.names.form == DtbKind.OVERLAY]
    defined = {label: overlay for overlay in overlays for label in overlay.names.labels}
    labels = frozenset().union(*(base.names.labels for base in bases))

    def unpaired(overlay: NamedTree) -> UnpairedOverlay | None:
        return _unpaired(overlay, bases, defined, labels)

    found = results(unpaired, overlays) if bases else []
    return UnpairedOverlays(tuple(filter(None, found)), len(bases))


def _unpaired(
    overlay: NamedTree, bases: list[NamedTree], defined: dict[str, NamedTree], labels: frozenset[str]
) -> UnpairedOverlay | None:
    needs = overlay.names.needs - labels
    definers = {id(found): found for label in needs if (found := defined.get(label)) and found is not overlay}
    before = sorted(definers.values(), key=lambda one: one.dtb.path) if len(definers) <= MOST_BEFORE else []
    ranked = sorted(bases, key=lambda base: base.lacks(overlay.names, before))
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
