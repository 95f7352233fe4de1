"""The nodes of a device tree: all of them, or those from one path on."""

from typing import NamedTuple

from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.dtb.structure import Node
from kinspect.errors import MalformedError
from kinspect.schemas.fdt import ReserveEntry


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
        raise MalformedError("no such node", dtb.at(node))
    subtree = (found._replace(parent=max(found.parent - number, -1)) for found in dtb.subtree(number))
    return DtbTreeFacts(dtb.path, node, (), tuple(subtree))
