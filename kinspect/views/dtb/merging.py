"""Overlays merged into a device tree, byte for byte as fdtoverlay does it.

Source: dtc, libfdt/fdt_overlay.c, fdt_overlay_apply().
"""

from collections.abc import Sequence

from kinspect.artifacts.dtb.blob import LARGEST_BLOCK, Dtb
from kinspect.errors import Location, UnsupportedError
from kinspect.views.dtb.editable import EditableTree
from kinspect.views.dtb.overlay import AppliedOverlay, OverlayChange, OverlayFacts, OverlayProblem
from kinspect.views.dtb.resolution import RefusedError, Resolution
from kinspect.views.dtb.tokens import EditableNode, EditableProperty

MOST_CHANGES = 10_000
"""Changes of an overlay that are listed; all are counted."""
DTC = (1, 6, 1)
"""The version of fdtoverlay that is imitated unless another is given: older ones refuse more."""
KEEPS_PHANDLES = (1, 7, 1)
"""The version of dtc since which an overlay does not change the phandle of a node of the base."""


def merged(base: Dtb, overlays: Sequence[Dtb], dtc: tuple[int, ...] = DTC) -> tuple[OverlayFacts, bytes]:
    """What overlays do to a base, one after the other, and the merged tree; empty when one does not apply.

    `dtc` is the version of fdtoverlay to imitate. Raises KinspectError when a tree cannot be read.
    """
    tree = EditableTree(base)
    tree.check_room()
    done: list[AppliedOverlay] = []
    for number, overlay in enumerate(overlays):
        if done and not done[-1].applied:
            done.append(AppliedOverlay(overlay.path, False))
            continue
        merge = _Merge(tree, EditableTree(overlay), overlays[number + 1 :])
        done.append(merge.applied(dtc >= KEEPS_PHANDLES))
    blob = tree.blob() if all(overlay.applied for overlay in done) else b""
    return OverlayFacts(base.path, tuple(done), len(blob) or None), blob


class _Merge(Resolution):
    """One overlay while it is applied."""

    def __init__(self, tree: EditableTree, overlay: EditableTree, later: Sequence[Dtb]) -> None:
        super().__init__(tree, overlay, later)
        self._nodes = self._added = self._changed = 0
        self._changes: list[OverlayChange] = []
        self._replaced: list[tuple[Location, int, int]] = []
        self._new: set[EditableNode] = set()
        self._symbol_bytes = 0

    def applied(self, keeps_phandles: bool) -> AppliedOverlay:
        """Apply the overlay. Nothing more can be done with the tree when that fails."""
        try:
            self.resolve(keeps_phandles)
            for fragment, contents in self.fragments():
                self._add(self.target_of(fragment), contents)
            self._update_symbols()
        except RefusedError as refused:
            return AppliedOverlay(self.overlay.path, False, self._explained(refused.problem, keeps_phandles))
        counts = (self._nodes, self._added, self._changed)
        return AppliedOverlay(self.overlay.path, True, None, *counts, tuple(self._changes), tuple(self._replaced))

    def _explained(self, problem: OverlayProblem, keeps_phandles: bool) -> OverlayProblem:
        for place, before, now in () if keeps_phandles else self._replaced:
            if problem.actual == f"{before:#x}":
                what = f"the overlay changes the phandle of its target {place.part} from {before:#x} to {now:#x}"
                more = "and does not find it again; fdtoverlay since dtc 1.7.1 keeps the phandle (--dtc 1.7.1)"
                return problem._replace(message=f"{what}, {more}", actual=None)
        return problem

    def _add(self, target: EditableNode, contents: EditableNode) -> None:
        """Merge a node of the overlay into one of the base."""
        open_nodes: list[tuple[EditableNode, EditableNode, bool]] = [(target, contents, True)]
        while open_nodes:
            node, other, there = open_nodes.pop()
            if not there:
                parent, found = node, node.child(other.name)
                node = found or self.tree.add_node(parent, other.name)
                if not found:
                    self._new.add(node)
                    self._nodes += 1
                    self._note(node)
            for entry in other.properties:
                self._set(node, entry)
            open_nodes += [(node, below, False) for below in reversed(list(other.nodes))]

    def _set(self, node: EditableNode, entry: EditableProperty) -> None:
        before, value = node.phandle, entry.value
        old = self.tree.set_property(node, entry.name, value)
        if old is None:
            self._added += 1
        elif old != value:
            self._changed += 1
        if old != value:
            self._note(node, entry.name, old, value)
        if before and node.phandle != before:
            self._replaced.append((self.tree.place(node), before, node.phandle))

    def _note(self, node: EditableNode, name: str | None = None, old: bytes | None = None, new: bytes = b"") -> None:
        # What is inside a new node is new, too.
        if len(self._changes) < MOST_CHANGES and (name is None or node not in self._new):
            self._changes.append(OverlayChange(node.path, name, old, new if name else None))

    def _update_symbols(self) -> None:
        """The labels of the overlay become labels of the merged tree."""
        symbols = self.overlay.root.child("__symbols__")
        if symbols is None:
            return
        table = self.tree.root.child("__symbols__") or self.tree.add_node(self.tree.root, "__symbols__")
        starts: dict[EditableNode, str] = {}
        for entry in symbols.properties:
            at, value = self.overlay.place(symbols, entry), entry.value
            if not value.endswith(b"\0") or value.count(0) > 1 or not value.startswith(b"/"):
                raise RefusedError("a label of the overlay is no path", at, "BADVALUE")
            name, slash, rest = entry.text[1:].partition("/")
            inside, _, below = rest.partition("/")
            if not slash or inside != "__overlay__":
                continue
            fragment = self.overlay.root.child(name)
            if fragment is None or fragment.child("__overlay__") is None:
                raise RefusedError("a label of the overlay leads to no fragment", at, "BADOVERLAY")
            if fragment not in starts:
                target, path = self.target_of(fragment), fragment.prop("target-path")
                phandle = fragment.prop("target")
                by_path = path is not None and not (phandle and phandle.cell(0))
                starts[fragment] = path.text if by_path and path else target.whole_path()
            start = starts[fragment]
            label = f"{start if len(start) > 1 else ''}/{below}".encode("utf-8", "surrogateescape") + b"\0"
            self._symbol_bytes += len(label)
            if self._symbol_bytes > LARGEST_BLOCK:
                expected = f"at most {LARGEST_BLOCK:,} bytes"
                raise UnsupportedError("the labels of the merged tree are too long", at, expected=expected)
            self.tree.set_property(table, entry.name, label)
