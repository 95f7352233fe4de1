"""References between the nodes of a device tree: properties in which it is known which cells are phandles.

Source: dtc, checks.c; the kernel's bindings, Documentation/devicetree/bindings.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.dtb.blob import LONGEST_SHOWN, Dtb
from kinspect.artifacts.dtb.structure import Node, Property

PROVIDERS = {
    "clocks": "#clock-cells",
    "cooling-device": "#cooling-cells",
    "dmas": "#dma-cells",
    "hwlocks": "#hwlock-cells",
    "interrupts-extended": "#interrupt-cells",
    "io-channels": "#io-channel-cells",
    "iommus": "#iommu-cells",
    "mboxes": "#mbox-cells",
    "msi-parent": "#msi-cells",
    "mux-controls": "#mux-control-cells",
    "phys": "#phy-cells",
    "power-domains": "#power-domain-cells",
    "pwms": "#pwm-cells",
    "resets": "#reset-cells",
    "sound-dai": "#sound-dai-cells",
    "thermal-sensors": "#thermal-sensor-cells",
}
"""Lists of phandles, and the property of the node referred to that says how many cells follow its phandle."""
_OPTIONAL = {"#msi-cells"}
_TABLES = {"__symbols__", "__fixups__", "__local_fixups__", "aliases"}
"""Nodes whose property names are arbitrary: labels, aliases and paths."""
_PARENT, _GPIO = "interrupt-parent", "#gpio-cells"
_U32 = struct.Struct(">I")
_NONE = (0, 0xFFFFFFFF)


class Broken(NamedTuple):
    """A broken reference: to no node, or to a node that lacks a needed property."""

    node: Node
    property: str
    message: str
    expected: str | None = None
    actual: str | None = None


def with_phandles(dtb: Dtb) -> list[tuple[Node, Property]]:
    """The nodes with a phandle, and that property."""
    return [(node, found) for node in dtb.nodes if (found := node.property("phandle"))]


def phandles(dtb: Dtb) -> dict[int, Node]:
    """The first node with each phandle."""
    found: dict[int, Node] = {}
    for node, phandle in dtb.cached(with_phandles):
        if len(phandle.value) == 4:
            found.setdefault(phandle.cells[0], node)
    return found


class _PhandleOwners:
    """The nodes with phandles, and the values of their `#...-cells` properties."""

    def __init__(self, dtb: Dtb) -> None:
        self.nodes = dtb.cached(phandles)
        self._counts: dict[int, dict[str, int]] = {}

    def counts(self, phandle: int) -> dict[str, int]:
        """The first value of each such property of a node."""
        if phandle not in self._counts:
            self._counts[phandle] = {
                prop.name: prop.cells[0]
                for prop in reversed(self.nodes[phandle].properties)
                if prop.name.endswith("-cells") and len(prop.value) == 4
            }
        return self._counts[phandle]


def broken_references(dtb: Dtb) -> Iterator[Broken]:
    """The broken references of a tree, in the order of the tree."""
    owners = _PhandleOwners(dtb)
    # The same few names are in every node.
    kinds = {name: kind for name in dtb.property_names if (kind := _cells_of(name))}
    for node in dtb.nodes:
        if node.depth == 1 and node.name in _TABLES:
            continue
        referring = [prop for prop in node.properties if prop.name in kinds]
        # The lines of a hog are not references. Looked up once a node: a node may have thousands of properties.
        hog = bool(referring) and node.property("gpio-hog") is not None
        for prop in referring:
            cells_name = kinds[prop.name]
            if cells_name == _PARENT:
                yield from _parent(node, prop, owners)
            elif cells_name != _GPIO or not hog:
                yield from _list(node, prop, cells_name, owners)


def _cells_of(name: str) -> str:
    """The property of a provider with the number of cells after its phandle; empty for one without phandles."""
    if name in (_PARENT, *PROVIDERS):
        return PROVIDERS.get(name, _PARENT)
    return _GPIO if name.endswith(("gpio", "gpios")) and _is_gpio(name) else ""


def _is_gpio(name: str) -> bool:
    return not name.endswith(",nr-gpios") and (name.endswith(("-gpio", "-gpios")) or name in ("gpio", "gpios"))


def _parent(node: Node, prop: Property, owners: _PhandleOwners) -> Iterator[Broken]:
    if len(prop.value) != 4:
        yield Broken(node, prop.name, "not a phandle", "4 bytes", f"{len(prop.value):,}")
    elif prop.cells[0] not in owners.nodes:
        yield Broken(node, prop.name, "no node has this phandle", None, f"{prop.cells[0]:#x}")


def _list(node: Node, prop: Property, cells_name: str, owners: _PhandleOwners) -> Iterator[Broken]:
    if len(prop.value) % 4:
        yield Broken(node, prop.name, "not a list of cells", "a multiple of 4 bytes", f"{len(prop.value):,}")
        return
    count, at = len(prop.value) // 4, 0
    while at < count:
        (phandle,), following = _U32.unpack_from(prop.value, 4 * at), 0
        if phandle not in _NONE:
            if phandle not in owners.nodes:
                yield Broken(node, prop.name, f"cell {at} is not the phandle of a node", None, f"{phandle:#x}")
                return
            counts = owners.counts(phandle)
            if cells_name not in counts and cells_name not in _OPTIONAL:
                name = owners.nodes[phandle].name[:LONGEST_SHOWN] or "/"
                yield Broken(node, prop.name, f"cell {at} refers to {name}, which has no {cells_name}")
                return
            following = counts.get(cells_name, 0)
        at += 1 + following
    if at > count:
        yield Broken(node, prop.name, "too few cells", f"{at:,}", f"{count:,}")
