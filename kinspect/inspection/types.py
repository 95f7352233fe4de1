"""The types of a kernel or module."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kinspect.artifacts.kinds import open_artifact
from kinspect.inspection.kernel import open_kernel
from kinspect.inspection.report import Path, Report, run_checks

if TYPE_CHECKING:
    from kinspect.artifacts.btf.table import Btf, BtfFacts
    from kinspect.views.btf.layout import TypeFacts
    from kinspect.views.btf.search import MemberFacts


def open_types(path: Path, base: Path | None = None) -> "Btf":
    """The types in a kernel, a module or a file of BTF; `base` is the kernel of a module. Raises KinspectError."""
    from kinspect.views.btf.kernel import kernel_types, types_of

    return types_of(open_artifact(path), None if base is None else kernel_types(open_kernel(base)))


def types(
    path: Path, names: Sequence[str] = (), base: Path | None = None, member: str | None = None
) -> "Report[BtfFacts | TypeFacts | MemberFacts]":
    """The types of some names, or those that have a member; without either, their number, and the findings on them.

    `path` is a kernel, a module or a file of BTF; a module needs its kernel, `base`. Raises KinspectError.
    """
    from kinspect.views.btf.search import member_facts, types_by_name

    found = open_types(path, base)
    if member is not None:
        return Report((member_facts(found, member),))
    if names:
        return Report(tuple(types_by_name(found, names)))
    return Report((found.facts,)) + run_checks((found,), "btf.table")


def raw_types(path: Path, base: Path | None = None) -> Iterator[str]:
    """All types as `bpftool btf dump file FILE format raw` prints them, line by line. Raises KinspectError."""
    from kinspect.views.btf.raw import raw_lines

    return raw_lines(open_types(path, base))
