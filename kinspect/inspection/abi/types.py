"""The types of a kernel or module."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Never

from kinspect.artifacts.kinds import open_artifact, refuse_folder
from kinspect.errors import Location, MalformedError
from kinspect.inspection.build.opening import open_kernel
from kinspect.inspection.package.taken import KERNEL, Packages
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.source import Source

if TYPE_CHECKING:
    from kinspect.artifacts.btf.table import Btf, BtfFacts
    from kinspect.views.btf.layout import TypeFacts
    from kinspect.views.btf.search import MemberFacts


def open_types(path: Path, base: Path | None = None) -> "Btf":
    """The types in a kernel, a module or a file of BTF; `base` is the kernel of a module. Raises KinspectError."""
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.btf.kernel import kernel_types, types_of

    source = Source(path)
    refuse_folder(source, "a vmlinux, an Image or a module")
    artifact = open_artifact(source)
    if base is None:
        return types_of(artifact)
    if isinstance(artifact, Image | Vmlinux):
        raise MalformedError("only of a module", Location("--base"), actual=artifact.kind)
    return types_of(artifact, kernel_types(open_kernel(base)))


def types(
    path: Path, names: Sequence[str] = (), base: Path | None = None, member: str | None = None
) -> "Report[BtfFacts | TypeFacts | MemberFacts]":
    """The types of some names, or those that have a member; without either, their number, and the findings on them.

    `path` is a kernel, a module or a file of BTF; a module needs its kernel, `base`. A package is taken for the kernel
    in it. Raises KinspectError.
    """
    with Packages() as packages:
        given = packages.file(path, *KERNEL), packages.file(base, *KERNEL)
        return packages.named(_types_report(*given, names, member))


def _types_report(
    path: Path, base: Path | None, names: Sequence[str], member: str | None
) -> "Report[BtfFacts | TypeFacts | MemberFacts]":
    from kinspect.views.btf.search import member_facts, types_by_name

    found = open_types(path, base)
    if member is None and not names:
        return Report((found.facts,)) + run_checks((found,), "btf.table")
    # Types that continue those of another kernel would be shown with the wrong names and members.
    report: Report[Never] = run_checks((found,), "btf.table") if base is not None else Report()
    if not report.ok:
        return Report((found.facts,)) + report
    return Report((member_facts(found, member),) if member is not None else tuple(types_by_name(found, names)))


def raw_types(path: Path, base: Path | None = None) -> Iterator[str]:
    """All types as `bpftool btf dump file FILE format raw` prints them, line by line. Raises KinspectError."""
    from kinspect.views.btf.raw import raw_lines

    with Packages() as packages:
        yield from raw_lines(open_types(packages.file(path, *KERNEL), packages.file(base, *KERNEL)))
