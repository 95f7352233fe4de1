"""Device trees: what they are, and the tree itself."""

from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.kinds import open_as
from kinspect.errors import MalformedError
from kinspect.inspection.report import Path, Report, run_checks

if TYPE_CHECKING:
    from kinspect.artifacts.dtb.structure import Node
    from kinspect.schemas.fdt import ReserveEntry


class DtbTreeFacts(NamedTuple):
    """The nodes of a device tree, depth first, and its reserved memory; or one node and those below it.

    `node` is the path that was asked for, None for the whole tree. Parents are numbers in `nodes`, -1 the first one's.
    """

    path: str
    node: str | None
    reservations: "tuple[ReserveEntry, ...]"
    nodes: "tuple[Node, ...]"


def dtb(path: Path) -> Report:
    """A device tree and the verdict on it. Raises KinspectError."""
    from kinspect.artifacts.dtb.blob import Dtb

    artifact = open_as(Dtb, path)
    return Report((artifact.facts,)) + run_checks((artifact,), "dtb.blob", "dtb.structure", "dtb.tree")


def tree(path: Path, node: str | None = None) -> Report:
    """All nodes of a device tree, or those at a path and below. Raises KinspectError."""
    from kinspect.artifacts.dtb.blob import Dtb

    artifact = open_as(Dtb, path)
    nodes = artifact.tree
    if node is None:
        reserved = artifact.reservations
        if reserved.last is None:
            raise MalformedError("the memory reservations do not end", artifact.field("off_mem_rsvmap"))
        return Report((DtbTreeFacts(artifact.path, None, reserved.entries, nodes),))
    number = artifact.number_of(node)
    if number is None:
        raise MalformedError("no such node", artifact.at(node))
    below = tuple(one._replace(parent=max(one.parent - number, -1)) for one in artifact.subtree(number))
    return Report((DtbTreeFacts(artifact.path, node, (), below),))
