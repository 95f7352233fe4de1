"""The kernel itself: image, vmlinux and its tables, symbols, diff."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kinspect.artifacts.kinds import open_artifact, open_as
from kinspect.errors import KinspectError, WrongKindError
from kinspect.inspection.package.taken import KERNEL, WITH_SYMBOLS, Packages
from kinspect.inspection.report import WRAPPING_CHECKS, Path, Report, run_checks, trees_report, verified_report

# Each function imports what it needs, so that a command pays only for its own work.
if TYPE_CHECKING:
    from kinspect.artifacts.boot.image import Image, ImageFacts
    from kinspect.artifacts.elf.vmlinux import Vmlinux, VmlinuxFacts
    from kinspect.views.android.avb import VbmetaFacts
    from kinspect.views.boot.coverage import CoverageFacts
    from kinspect.views.boot.placement import PlacementFacts
    from kinspect.views.changes.facts import KernelDifference
    from kinspect.views.diff.facts import DiffFacts
    from kinspect.views.kernel.listed_symbols import PlacedFacts, SymbolsFacts
    from kinspect.views.signing.authenticode import ImageSignatures
    from kinspect.views.signing.fit import FitSignatures
    from kinspect.views.tables.entries import TableFacts
    from kinspect.views.tables.listing import TablesFacts


def image(
    path: Path, certificates: Sequence[Path] = (), address: int | None = None
) -> "Report[ImageFacts | ImageSignatures | FitSignatures | CoverageFacts | PlacementFacts | VbmetaFacts]":
    """The facts of an Image, raw or wrapped, and the findings on it and on its wrappings. Raises KinspectError.

    A package is taken for the Image in it. With `certificates`, its signature must verify against one of them: that of
    a FIT image, or the Secure Boot signature of the outermost EFI program. With an `address`, it must be able to start
    there.
    """
    with Packages() as packages:
        return packages.named(_image_report(packages.file(path, *KERNEL[:2]), certificates, address))


def _image_report(
    path: Path, certificates: Sequence[Path], address: int | None
) -> "Report[ImageFacts | ImageSignatures | FitSignatures | CoverageFacts | PlacementFacts | VbmetaFacts]":
    from kinspect.artifacts.boot.image import Image
    from kinspect.inspection.signing.image import signatures_report
    from kinspect.views.boot.loaders import loader_verdicts
    from kinspect.views.filetype.line import description

    artifact = open_as(Image, path)
    topics = (*(WRAPPING_CHECKS if artifact.wrapped_in else ()), "boot.header", "boot.ending", "boot.pe")
    # To file(1) "-" is the standard input.
    name = "./-" if artifact.path == "-" else artifact.path
    facts = artifact.facts._replace(file_type=description(name, follow=True), loaders=loader_verdicts(artifact))
    report: Report[ImageFacts | ImageSignatures | FitSignatures | CoverageFacts | PlacementFacts | VbmetaFacts]
    report = Report((facts,)) + run_checks((artifact, *artifact.wrappings), *topics)
    if address is not None:
        report += _placement(artifact, address)
    report += trees_report((artifact, *artifact.wrappings))
    if artifact.wrappings:
        from kinspect.inspection.build.ramdisks import ramdisks_report

        report += ramdisks_report(artifact.wrappings, artifact)
    verified = verified_report(artifact.wrappings)
    return report + verified + signatures_report(artifact, certificates)


def _placement(image: "Image", address: int) -> "Report[PlacementFacts]":
    """What an Image needs at an address, and whether it can start there."""
    from kinspect.views.boot.placement import placement_facts

    facts = placement_facts(image, address)
    return Report((facts,)) + run_checks((facts,), "boot.placement")


def vmlinux(path: Path) -> "Report[VmlinuxFacts | TablesFacts]":
    """The facts of a vmlinux, perhaps in a package, and the findings on it. Raises KinspectError."""
    with Packages() as packages:
        return packages.named(_vmlinux_report(packages.file(path, "vmlinux")))


def _vmlinux_report(path: Path) -> "Report[VmlinuxFacts | TablesFacts]":
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.tables.listing import tables_facts

    artifact = open_as(Vmlinux, path)
    if artifact.is_debug_file:
        return Report((artifact.facts,)) + run_checks((artifact,), "elf.layout")
    return (
        Report((artifact.facts,))
        + Report((tables_facts(artifact),))
        + run_checks((artifact,), "elf.vmlinux", "elf.layout")
    )


def table(kernel: Path, name: str) -> "Report[TableFacts]":
    """The entries of one table of a vmlinux, or of an Image; of one in a package, too. Raises KinspectError."""
    with Packages() as packages:
        return packages.named(_table_report(packages.file(kernel, *WITH_SYMBOLS), name))


def _table_report(kernel: Path, name: str) -> "Report[TableFacts]":
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.tables.entries import table_facts

    found = vmlinux_or_image(kernel)
    if isinstance(found, Vmlinux):
        return Report((table_facts(found, name),))
    from kinspect.views.rebuilt.table import image_table_facts

    return Report((image_table_facts(found, name),))


def symbols(
    path: Path,
    match: str | None = None,
    addresses: Sequence[int] | None = None,
    base: int | None = None,
    by_name: bool = False,
) -> "Report[SymbolsFacts | PlacedFacts]":
    """The symbols of an Image (compressed or not), a vmlinux or a module; with `addresses`, those that cover them.

    `match` is a glob or a regular expression for their names, `base` the address of `_text` if the kernel runs at
    another than it was linked at, or that is not known. They are sorted by address, or by name. A package is taken for
    the vmlinux or Image in it. Raises KinspectError.
    """
    with Packages() as packages:
        return packages.named(_symbols_report(packages.file(path, *WITH_SYMBOLS), match, addresses, base, by_name))


def _symbols_report(
    path: Path, match: str | None, addresses: Sequence[int] | None, base: int | None, by_name: bool
) -> "Report[SymbolsFacts | PlacedFacts]":
    from kinspect.views.kernel.listed_symbols import placed_facts, symbols_facts

    artifact = open_artifact(path)
    if addresses is not None:
        return Report((placed_facts(artifact, addresses, base),))
    return Report((symbols_facts(artifact, match, base, by_name),))


def vmlinux_or_image(path: Path) -> "Vmlinux | Image":
    """The vmlinux in a file, or the Image. WrongKindError when it is neither, as if it should be a vmlinux."""
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux

    try:
        artifact = open_artifact(path)
    except KinspectError:
        return open_as(Vmlinux, path)
    return artifact if isinstance(artifact, Image | Vmlinux) else open_as(Vmlinux, path)


def with_code(vmlinux: "Vmlinux") -> "Vmlinux":
    """A vmlinux that an Image can be made from."""
    if vmlinux.is_debug_file:
        from kinspect.artifacts.elf.debug_file import DebugFile

        problem, actual = "give the vmlinux that it belongs to, which finds it", DebugFile(vmlinux.source).title
        raise WrongKindError(problem, vmlinux.at(), expected="a vmlinux with code", actual=actual)
    if not vmlinux.has_code:
        problem = "a stub without code: take the vmlinux of the debug package"
        raise WrongKindError(problem, vmlinux.at(), expected="executable sections", actual="none")
    return vmlinux


def vmlinux_and_image(vmlinux: Path, image: Path) -> "tuple[Vmlinux, Image]":
    """Both of a pair, which may be given in either order. WrongKindError when one is of another kind."""
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux

    try:
        linked = open_as(Vmlinux, vmlinux)
    except WrongKindError as error:
        try:
            return with_code(open_as(Vmlinux, image)), open_as(Image, vmlinux)
        except KinspectError:
            raise error from None
    return with_code(linked), open_as(Image, image)


def diff(vmlinux: Path, image: Path, most: int = 10) -> "Report[DiffFacts | KernelDifference]":
    """Whether an Image is objcopy of a vmlinux; if not, where and why, with the first `most` ranges one by one.

    The two files may be in either order. Two Images, or two vmlinux, are compared by function, the old one first.
    Packages are taken for the kernels in them. Raises KinspectError.
    """
    with Packages() as packages:
        return packages.named(_diff_report(packages.file(vmlinux, *KERNEL), packages.file(image, *KERNEL), most))


def _diff_report(vmlinux: Path, image: Path, most: int) -> "Report[DiffFacts | KernelDifference]":
    from kinspect.views.diff.facts import diff_facts

    try:
        pair = vmlinux_and_image(vmlinux, image)
    except WrongKindError as error:
        return _two_kernels(vmlinux, image, error)
    return Report((diff_facts(*pair, most),)) + run_checks(pair, "boot.vmlinux")


def two_kernels(
    old: Path, new: Path, error: WrongKindError | None = None
) -> "tuple[Image, Image] | tuple[Vmlinux, Vmlinux]":
    """Two kernels of one kind. Raises KinspectError: WrongKindError, or `error`, when they are not."""
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.inspection.build.opening import open_kernel

    def opened(path: Path) -> "Image | Vmlinux":
        try:
            return open_kernel(path)
        except WrongKindError as other:
            raise (error if error and error.at.path == os.fsdecode(path) else other) from None

    ours, theirs = opened(old), opened(new)
    if isinstance(ours, Image) and isinstance(theirs, Image):
        return ours, theirs
    if isinstance(ours, Vmlinux) and isinstance(theirs, Vmlinux):
        return with_code(ours), with_code(theirs)
    expected, actual = "two Images, or two vmlinux", f"{ours.kind} and {theirs.kind}"
    raise error or WrongKindError("not two kernels of one kind", theirs.at(), expected=expected, actual=actual)


def _two_kernels(old: Path, new: Path, error: WrongKindError) -> "Report[KernelDifference]":
    """Two kernels of one kind compared; raises the error when they are not."""
    kernels = two_kernels(old, new, error)
    from kinspect.views.changes.facts import kernel_difference

    facts = kernel_difference(*kernels)
    return Report((facts,)) + run_checks((facts,), "changes.kernels")
