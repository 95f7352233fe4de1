"""The references of an overlay, resolved as libfdt does before it merges: phandles, labels, targets.

Source: dtc, libfdt/fdt_overlay.c.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from kinspect.artifacts.dtb.blob import LONGEST_SHOWN, Dtb
from kinspect.errors import Location, Value
from kinspect.views.dtb.editable import EditableTree
from kinspect.views.dtb.overlay import OverlayProblem
from kinspect.views.dtb.tokens import EditableNode, EditableProperty

LARGEST_PHANDLE = 0xFFFFFFFE


class RefusedError(Exception):
    """The overlay does not apply."""

    def __init__(self, message: str, at: Location, error: str, *values: Value | None) -> None:
        super().__init__(message)
        self.problem = OverlayProblem(message, at, f"FDT_ERR_{error}", *values)


class Resolution:
    """An overlay whose references become those of a base. `later` has the overlays that are applied after it."""

    def __init__(self, tree: EditableTree, overlay: EditableTree, later: Sequence[Dtb]) -> None:
        self.tree, self.overlay, self._later = tree, overlay, later

    def resolve(self, keeps_phandles: bool) -> None:
        """Resolve all references. Raises RefusedError."""
        delta = max((node.phandle for node in self.tree.every_node()), default=0)
        self._shift_phandles(delta)
        self._shift_references(lambda value: value + delta)
        self._resolve()
        if keeps_phandles:
            self._keep_phandles()

    def check_tables(self) -> None:
        """Raise RefusedError when the tables of references are broken: no base can help."""
        self._shift_references(lambda value: value)
        for at, entry in self._fixups():
            for text in self._references(entry, at):
                self._resolve_one(text, 0, at)

    def _shift_phandles(self, delta: int) -> None:
        """Phandles of the overlay are made larger than those of the base."""
        for node in self.overlay.every_node():
            for name in ("phandle", "linux,phandle"):
                found = node.prop(name)
                if found is None:
                    continue
                at, value = self.overlay.place(node, found), found.cell(0)
                if found.size != 4 or value is None:
                    raise RefusedError("a phandle is not 4 bytes long", at, "BADPHANDLE", 4, found.size)
                if value + delta > LARGEST_PHANDLE:
                    problem = f"the phandle does not fit behind those of the base, up to {delta:#x}"
                    raise RefusedError(problem, at, "NOPHANDLES", None, f"{value:#x}")
                found.set_cell(0, value + delta)

    def _shift_references(self, shifted: Callable[[int], int]) -> None:
        """The references inside the overlay, which `__local_fixups__` lists, follow."""
        fixups = self.overlay.root.child("__local_fixups__")
        open_nodes = [(self.overlay.root, fixups)] if fixups else []
        while open_nodes:
            node, listed = open_nodes.pop()
            for entry in listed.properties:
                at = self.overlay.place(listed, entry)
                found = node.prop(entry.name)
                if found is None or entry.size % 4:
                    problem = "__local_fixups__ is broken: " + ("no such property" if not found else "not cells")
                    raise RefusedError(problem, at, "BADOVERLAY")
                for index in range(0, entry.size, 4):
                    offset = entry.cell(index) or 0
                    value = found.cell(offset)
                    if value is None:
                        problem = "__local_fixups__ is broken: an offset is outside of the property"
                        expected = f"at most {max(found.size - 4, 0):,}"
                        raise RefusedError(problem, at, "BADOVERLAY", expected, f"{offset:,}")
                    found.set_cell(offset, shifted(value))
            pairs = [(node.child(below.name), below) for below in listed.nodes]
            for child, below in pairs:
                if child is None:
                    at = self.overlay.place(below)
                    raise RefusedError("__local_fixups__ is broken: no such node", at, "BADOVERLAY")
            open_nodes += [(child, below) for child, below in reversed(pairs) if child]

    def _resolve(self) -> None:
        """References to labels of the base, which `__fixups__` lists, become phandles."""
        known: dict[str, int] = {}
        for at, entry in self._fixups():
            if entry.name not in known:
                known[entry.name] = self._phandle_of(entry.name, at)
            for text in self._references(entry, at):
                self._resolve_one(text, known[entry.name], at)

    def _fixups(self) -> Iterator[tuple[Location, EditableProperty]]:
        """The entries of `__fixups__`: a label, and the places of its references."""
        fixups = self.overlay.root.child("__fixups__")
        if fixups is not None:
            yield from ((self.overlay.place(fixups, entry), entry) for entry in fixups.properties)

    def _references(self, entry: EditableProperty, at: Location) -> list[str]:
        if not entry.value.endswith(b"\0"):
            raise RefusedError("__fixups__ is broken: no list of strings", at, "BADOVERLAY")
        return entry.value[:-1].decode("utf-8", "surrogateescape").split("\0")

    def _resolve_one(self, text: str, phandle: int, at: Location) -> None:
        path, _, rest = text.partition(":")
        name, colon, offset = rest.partition(":")
        if not path or not name or not colon or not offset.isdecimal() or len(offset) > 10:
            raise RefusedError("__fixups__ is broken", at, "BADOVERLAY", "PATH:PROPERTY:OFFSET", text[:LONGEST_SHOWN])
        node = self.overlay.find(path)
        found = node.prop(name) if node else None
        if found is None or found.cell(int(offset)) is None:
            error, missing = ("NOTFOUND", "property") if node else ("BADOVERLAY", "node")
            missing = "offset" if found else missing
            problem = f"__fixups__ is broken: the overlay has no such {missing}"
            raise RefusedError(problem, at, error if not found else "NOSPACE", None, text[:LONGEST_SHOWN])
        found.set_cell(int(offset), phandle)

    def _phandle_of(self, label: str, at: Location) -> int:
        """The phandle of the node of the base that has a label."""
        shown = label[:LONGEST_SHOWN]
        symbols = self.tree.root.child("__symbols__")
        if symbols is None:
            problem = f"the base has no labels, and so no {shown}: compile it with `dtc -@`"
            raise RefusedError(problem, at, "NOTFOUND")
        found = symbols.prop(label)
        if found is None:
            problem = f"the base has no label {shown}{self._defined_later(label)}"
            raise RefusedError(problem, at, "NOTFOUND")
        node, path = self.tree.find(found.text), found.text[:LONGEST_SHOWN]
        if node is None:
            error = "NOTFOUND" if path.startswith("/") else "BADPATH"
            raise RefusedError(f"the label {shown} of the base leads to no node: {path}", at, error)
        if not node.phandle:
            problem = f"{path}, which has the label {shown} in the base, has no phandle: compile the base with `dtc -@`"
            raise RefusedError(problem, at, "NOTFOUND")
        return node.phandle

    def _defined_later(self, label: str) -> str:
        for overlay in self._later:
            number = overlay.number_of("/__symbols__")
            if number is not None and overlay.nodes[number].property(label):
                return f"; {overlay.path} defines it: apply that one first"
        return ""

    def fragments(self) -> Iterator[tuple[EditableNode, EditableNode]]:
        """The fragments that take effect, with the node in each that is merged."""
        for fragment in self.overlay.root.nodes:
            contents = fragment.child("__overlay__")
            if contents is not None:
                yield fragment, contents

    def target_of(self, fragment: EditableNode) -> EditableNode:
        """The node of the base that a fragment changes."""
        target, path = fragment.prop("target"), fragment.prop("target-path")
        phandle = target.cell(0) if target else 0
        if target is not None and (target.size != 4 or phandle == 0xFFFFFFFF):
            at = self.overlay.place(fragment, target)
            problem = "not resolved: __fixups__ does not list it" if target.size == 4 else "not a phandle"
            raise RefusedError(f"the target of the fragment is {problem}", at, "BADPHANDLE")
        if phandle:
            node = self.tree.owner(phandle)
            if node is None:
                at = self.overlay.place(fragment, target)
                raise RefusedError(
                    "no node of the base has the phandle of the target", at, "NOTFOUND", None, f"{phandle:#x}"
                )
            return node
        if path is None:
            raise RefusedError("the fragment has no target", self.overlay.place(fragment), "BADOVERLAY")
        node = self.tree.find(path.text)
        if node is None:
            self._refuse_path(path.text, self.overlay.place(fragment, path))
        return node

    def _refuse_path(self, path: str, at: Location) -> NoReturn:
        shown = path[:LONGEST_SHOWN]
        if not path.startswith("/"):
            alias = path.partition("/")[0]
            table = self.tree.root.child("aliases")
            if not (table and table.prop(alias)):
                problem = f"the base has no alias {alias[:LONGEST_SHOWN]}, with which the target {shown} starts"
                raise RefusedError(problem, at, "BADPATH")
        node, there = self.tree.root, ""
        for name in filter(None, path.split("/")) if path.startswith("/") else ():
            below = node.child(name)
            if below is None:
                there = f": {node.path} has no {name[:LONGEST_SHOWN]}" if node.parent else ""
                break
            node = below
        raise RefusedError(f"the base has no node {shown}, the target of the fragment{there}", at, "NOTFOUND")

    def _keep_phandles(self) -> None:
        """A node of the base keeps its phandle; references inside the overlay follow.

        Source: overlay_prevent_phandle_overwrite(), since 1.7.1.
        """
        renumbered: dict[int, int] = {}
        for fragment, contents in self.fragments():
            try:
                open_nodes = [(self.target_of(fragment), contents)]
            except RefusedError as refused:
                if refused.problem.error == "FDT_ERR_NOTFOUND":
                    continue
                raise
            while open_nodes:
                node, other = open_nodes.pop()
                mine, theirs = node.phandle, other.phandle
                if mine and theirs:
                    renumbered[theirs] = mine
                    for name in ("phandle", "linux,phandle"):
                        found = other.prop(name)
                        if found is not None and found.size == 4:
                            found.set_cell(0, mine)
                pairs = [(node.child(below.name), below) for below in other.nodes]
                open_nodes += [(child, below) for child, below in reversed(pairs) if child]
        if renumbered:
            self._shift_references(lambda value: renumbered.get(value, value))


def broken_tables(overlay: Dtb) -> OverlayProblem | None:
    """Why no base takes an overlay: its tables of references are broken. Raises KinspectError when it is unreadable."""
    tree = EditableTree(overlay)
    try:
        Resolution(tree, tree, ()).check_tables()
    except RefusedError as refused:
        return refused.problem
    return None
