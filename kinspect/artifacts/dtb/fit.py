"""The contents of a FIT image: its images with their data and hash nodes, and its configurations.

Source: the Flat Image Tree specification; U-Boot, boot/image-fit.c.
"""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.dtb.blob import Dtb, DtbKind
from kinspect.artifacts.dtb.structure import Node

REFERENCES = ("kernel", "fdt", "ramdisk", "loadables", "firmware", "fpga", "script", "setup", "standalone")
"""Properties of a configuration that name images."""


class DataRange(NamedTuple):
    """Where the data of an image is, in bytes. `name` is the property that says so."""

    name: str
    start: int
    size: int


class FitImage(NamedTuple):
    """An image of a FIT, with its hash nodes. `data` is its own data, `external` that behind the tree."""

    node: Node
    data: bytes | None
    external: DataRange | None
    hashes: tuple[Node, ...]


class Configuration(NamedTuple):
    """A configuration, and the images that it names, each with its property."""

    node: Node
    images: tuple[tuple[str, str], ...]


def _children(dtb: Dtb, name: str) -> list[tuple[int, Node]]:
    """The children of a node below the root, with their numbers."""
    parent = next((number for number, node in enumerate(dtb.nodes) if node.depth == 1 and node.name == name), None)
    return [(number, node) for number, node in enumerate(dtb.nodes) if node.parent == parent and parent is not None]


def _number(node: Node, name: str) -> int | None:
    found = node.property(name)
    return found.cells[-1] if found and found.cells else None


def fit_images(dtb: Dtb) -> Iterator[FitImage]:
    """The images of a FIT; none of another tree."""
    if dtb.form != DtbKind.FIT:
        return
    hashes: dict[int, list[Node]] = {}
    for node in dtb.nodes:
        if node.depth == 3 and node.name.startswith("hash"):
            hashes.setdefault(node.parent, []).append(node)
    for number, node in _children(dtb, "images"):
        data = node.property("data")
        external = None if data else _external(dtb, node)
        yield FitImage(node, data.value if data else None, external, tuple(hashes.get(number, ())))


def signatures(dtb: Dtb) -> Iterator[tuple[Node, Node]]:
    """The signature nodes of a FIT, each after the image or the configuration that it signs."""
    if dtb.form == DtbKind.FIT:
        for node in dtb.nodes:
            if node.depth == 3 and node.name.startswith("signature"):
                yield dtb.nodes[node.parent], node


def _external(dtb: Dtb, node: Node) -> DataRange | None:
    size = _number(node, "data-size")
    position, offset = _number(node, "data-position"), _number(node, "data-offset")
    if position is not None:
        return DataRange("data-position", position, size or 0)
    if offset is not None:
        return DataRange("data-offset", (dtb.header.totalsize + 3 & ~3) + offset, size or 0)
    return None


def configurations(dtb: Dtb) -> Iterator[Configuration]:
    """The configurations of a FIT; none of another tree."""
    if dtb.form == DtbKind.FIT:
        for _, node in _children(dtb, "configurations"):
            named = ((name, node.property(name)) for name in REFERENCES)
            yield Configuration(node, tuple((name, text) for name, found in named if found for text in found.texts))


def default_configuration(dtb: Dtb) -> str | None:
    """The name of the default configuration; None without one."""
    parent = next((node for node in dtb.nodes if node.depth == 1 and node.name == "configurations"), None)
    found = parent.property("default") if parent else None
    return found.texts[0] if found and found.texts else None
