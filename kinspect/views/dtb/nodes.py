"""The nodes of a device tree: all of them, or those from one path on."""

from typing import NamedTuple

from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.dtb.structure import Node
from kinspect.errors import MalformedError, did_you_mean
from kinspect.schemas.fdt import ReserveEntry

_MOST_PATHS, _LONGEST_PATH = 1000, 200
"""Of the paths that a wrong one is compared with."""


class DtbTreeFacts(NamedTuple):
    """The nodes of a device tree, depth first, and its reserved memory; or one node and its descendants.

    `node` is the path given by the user, None for the whole tree. A node's `parent` is an index into `nodes`, -1 for
    the first.
    """

    path: str
    node: str | None
    reservations: tuple[ReserveEntry, ...]
    nodes: tuple[Node, ...]


def tree_facts(dtb: Dtb, node: str | None = None) -> DtbTreeFacts:
    """All nodes, or the node at a path and its descendants.

    Raises MalformedError when there is no such node, or the tree or its memory reservations do not end.
    """
    nodes = dtb.tree
    if node is None:
        reserved = dtb.reservations
        if reserved.last is None:
            raise MalformedError("the memory reservations do not end", dtb.field("off_mem_rsvmap"))
        return DtbTreeFacts(dtb.path, None, reserved.entries, nodes)
    number = dtb.number_of(node)
    if number is None:
        near = did_you_mean(node, _paths(dtb, units="@" in node))
        raise MalformedError(f"no such node{near}", dtb.at(node))
    subtree = (found._replace(parent=max(found.parent - number, -1)) for found in dtb.subtree(number))
    return DtbTreeFacts(dtb.path, node, (), tuple(subtree))


def _paths(dtb: Dtb, units: bool) -> list[str]:
    """The paths of the first nodes, with or without unit addresses."""
    paths: list[str] = []
    for node in dtb.nodes[:_MOST_PATHS]:
        above = paths[node.parent] if node.parent >= 0 else ""
        name = node.name if units else node.name.partition("@")[0]
        paths.append(f"{above.rstrip('/')}/{name}"[:_LONGEST_PATH])
    return paths
