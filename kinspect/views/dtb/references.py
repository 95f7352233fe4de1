"""Which nodes of a device tree refer to which: the properties whose phandles can be told from the numbers after them.

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
"""Lists of phandles, each followed by as many numbers as this property of the node that it names says."""
_OPTIONAL = {"#msi-cells"}
_TABLES = {"__symbols__", "__fixups__", "__local_fixups__", "aliases"}
"""Nodes whose properties have names that others gave them."""
_U32 = struct.Struct(">I")
_NONE = (0, 0xFFFFFFFF)


class Broken(NamedTuple):
    """A reference that leads nowhere, or not to what it needs."""

    node: Node
    property: str
    message: str
    expected: str | None = None
    actual: str | None = None


class Owner(NamedTuple):
    """A node with a phandle, and how many numbers follow its phandle, by the property that says so."""

    node: Node
    counts: dict[str, int]


def phandles(dtb: Dtb) -> dict[int, Owner]:
    """The first node of each phandle."""
    found: dict[int, Owner] = {}
    for node in dtb.nodes:
        phandle = node.property("phandle")
        if phandle and len(phandle.value) == 4:
            counts = {
                one.name: one.cells[0]
                for one in reversed(node.properties)
                if one.name.endswith("-cells") and len(one.value) == 4
            }
            found.setdefault(phandle.cells[0], Owner(node, counts))
    return found


def broken_references(dtb: Dtb) -> Iterator[Broken]:
    """The references of a tree that lead nowhere, in the order of the tree."""
    owners = phandles(dtb)
    for node in dtb.nodes:
        if node.depth == 1 and node.name in _TABLES:
            continue
        hog = any(one.name == "gpio-hog" for one in node.properties)
        for one in node.properties:
            if one.name == "interrupt-parent":
                yield from _parent(node, one, owners)
            elif one.name in PROVIDERS:
                yield from _list(node, one, PROVIDERS[one.name], owners)
            elif one.name.endswith(("gpio", "gpios")) and _is_gpio(one.name) and not hog:
                yield from _list(node, one, "#gpio-cells", owners)


def _is_gpio(name: str) -> bool:
    return not name.endswith(",nr-gpios") and (name.endswith(("-gpio", "-gpios")) or name in ("gpio", "gpios"))


def _parent(node: Node, one: Property, owners: dict[int, Owner]) -> Iterator[Broken]:
    if len(one.value) != 4:
        yield Broken(node, one.name, "not a phandle", "4 bytes", f"{len(one.value):,}")
    elif one.cells[0] not in owners:
        yield Broken(node, one.name, "no node has this phandle", None, f"{one.cells[0]:#x}")


def _list(node: Node, one: Property, offered: str, owners: dict[int, Owner]) -> Iterator[Broken]:
    if len(one.value) % 4:
        yield Broken(node, one.name, "no list of numbers", "a multiple of 4 bytes", f"{len(one.value):,}")
        return
    count, at = len(one.value) // 4, 0
    while at < count:
        (phandle,), follow = _U32.unpack_from(one.value, 4 * at), 0
        if phandle not in _NONE:
            if phandle not in owners:
                yield Broken(node, one.name, f"cell {at} is no node's phandle", None, f"{phandle:#x}")
                return
            said = owners[phandle].counts.get(offered, 0 if offered in _OPTIONAL else None)
            if said is None:
                name = owners[phandle].node.name[:LONGEST_SHOWN] or "/"
                yield Broken(node, one.name, f"cell {at} names a node without {offered}", None, name)
                return
            follow = said
        at += 1 + follow
    if at > count:
        yield Broken(node, one.name, "too few numbers", f"{at:,}", f"{count:,}")
