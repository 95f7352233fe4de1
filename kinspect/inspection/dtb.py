"""Device trees: their facts and checks, their nodes, and overlays applied to them."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kinspect.artifacts.kinds import open_as
from kinspect.inspection.report import Path, Report, run_checks, tree_checks, with_file_type

if TYPE_CHECKING:
    from kinspect.artifacts.dtb.blob import Dtb, DtbFacts, DtbKind
    from kinspect.views.dtb.nodes import DtbTreeFacts
    from kinspect.views.dtb.overlay import OverlayFacts

DTC = "1.6.1"
"""The version of dtc whose fdtoverlay is imitated: that of Debian 12. Later ones accept more."""


def dtb(path: Path) -> "Report[DtbFacts]":
    """The facts of a device tree and the findings of its checks. Raises KinspectError."""
    from kinspect.artifacts.boot.appended import trees_of
    from kinspect.artifacts.dtb.blob import Dtb

    artifact = open_as(Dtb, path)
    return Report((with_file_type(artifact.facts, artifact),)) + tree_checks((artifact, *trees_of(artifact)))


def tree(path: "Path | Dtb", node: str | None = None) -> "Report[DtbTreeFacts]":
    """All nodes of a device tree, or the node at a path and its descendants. Raises KinspectError."""
    from kinspect.artifacts.dtb.blob import Dtb
    from kinspect.views.dtb.nodes import tree_facts

    return Report((tree_facts(open_as(Dtb, path), node),))


def overlay(base: Path, overlays: Sequence[Path], out: Path | None = None, dtc: str = DTC) -> "Report[OverlayFacts]":
    """What overlays do to a base, one after the other, or why one does not apply.

    `out` is the file to which the merged tree is written, unless there is an error; `dtc` the version of fdtoverlay to
    imitate. Raises KinspectError, OSError.
    """
    from kinspect.inspection.writing import write_whole

    report, blob = merged(base, overlays, dtc)
    if out is None or not blob:
        return report
    target = os.fsdecode(out)
    write_whole(target, [blob], (base, *overlays))
    return report.replaced(facts=tuple(facts._replace(written=target) for facts in report.facts))


def merged(base: Path, overlays: Sequence[Path], dtc: str = DTC) -> "tuple[Report[OverlayFacts], bytes]":
    """The report of `overlay`, and the merged tree; empty when an overlay does not apply. Raises KinspectError."""
    from kinspect.artifacts.dtb.blob import DtbKind
    from kinspect.views.dtb.merging import merged as merged_tree

    below = _of_form(base, DtbKind.TREE)
    facts, blob = merged_tree(below, [_of_form(path, DtbKind.OVERLAY) for path in overlays], _version(dtc))
    return Report((facts,)) + run_checks((facts,), "dtb.overlay"), blob


def merged_nodes(base: Path, overlays: Sequence[Path], node: str | None, dtc: str = DTC) -> Report:
    """The nodes of the merged tree; the report of `overlay` when an overlay does not apply. Raises KinspectError."""
    from kinspect.artifacts.dtb.blob import Dtb
    from kinspect.source import Source

    report, blob = merged(base, overlays, dtc)
    return tree(Dtb(Source(base, blob)), node) if blob else report


def _of_form(path: Path, form: "DtbKind") -> "Dtb":
    from kinspect.artifacts.dtb.blob import Dtb
    from kinspect.errors import WrongKindError

    artifact = open_as(Dtb, path)
    if artifact.form != form:
        expected, actual = f"a {form}", f"a {artifact.form}"
        raise WrongKindError("wrong kind of device tree", artifact.at(), expected=expected, actual=actual)
    return artifact


def _version(text: str) -> tuple[int, ...]:
    from kinspect.errors import Location, MalformedError

    numbers = text.split(".")
    if not all(number.isdecimal() and number.isascii() and len(number) < 4 for number in numbers):
        raise MalformedError("not a version", Location("--dtc"), expected="a version such as 1.7.1", actual=text)
    return tuple(map(int, numbers))
