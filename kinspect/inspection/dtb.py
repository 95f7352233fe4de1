"""Device trees: their facts and checks, and their nodes."""

from typing import TYPE_CHECKING

from kinspect.artifacts.kinds import open_as
from kinspect.inspection.report import Path, Report, run_checks, with_file_type

if TYPE_CHECKING:
    from kinspect.artifacts.dtb.blob import DtbFacts
    from kinspect.views.dtb.nodes import DtbTreeFacts


def dtb(path: Path) -> "Report[DtbFacts]":
    """The facts of a device tree and the findings of its checks. Raises KinspectError."""
    from kinspect.artifacts.dtb.blob import Dtb

    artifact = open_as(Dtb, path)
    return Report((with_file_type(artifact.facts, artifact),)) + run_checks(
        (artifact,), "dtb.blob", "dtb.fit", "dtb.structure", "dtb.tree"
    )


def tree(path: Path, node: str | None = None) -> "Report[DtbTreeFacts]":
    """All nodes of a device tree, or the node at a path and its descendants. Raises KinspectError."""
    from kinspect.artifacts.dtb.blob import Dtb
    from kinspect.views.dtb.nodes import tree_facts

    return Report((tree_facts(open_as(Dtb, path), node),))
