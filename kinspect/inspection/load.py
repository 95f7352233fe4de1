"""Predict what a kernel does with modules: the verdicts of `kinspect load`."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.kinds import open_artifact, plausible, refuse_other_kinds
from kinspect.errors import Location, MalformedError, WrongKindError
from kinspect.inspection.build.opening import open_kernel
from kinspect.inspection.package.taken import KERNEL, Packages
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.source import Source

if TYPE_CHECKING:
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.loader.facts import LoadFacts
    from kinspect.views.loader.kernel import TargetKernel
    from kinspect.views.loader.verdict import Verdict
    from kinspect.workers import OnProgress

_LARGEST_TEXT = 16 << 20


def load_report(
    image: Path,
    modules: Sequence[Path],
    *,
    order: Path | None = None,
    config: Path | None = None,
    cmdline: str = "",
    certificates: Sequence[Path] = (),
    on_progress: "OnProgress | None" = None,
) -> "Report[LoadFacts]":
    """The verdicts of a kernel on modules and folders of modules, and the findings. Raises KinspectError.

    `order` is a file that names the modules to load, one per line; without it each comes after those that it needs. A
    package is taken for the kernel or the modules in it.
    """
    with Packages() as packages:
        folders = [packages.folder(path) for path in modules]
        kernel = _kernel(packages.file(image, *KERNEL), config, cmdline, certificates)
        return packages.named(_loaded(kernel, folders, order, on_progress))


def _loaded(
    kernel: "TargetKernel", modules: Sequence[Path], order: Path | None, on_progress: "OnProgress | None"
) -> "Report[LoadFacts]":
    from kinspect.artifacts.module.tree import ModuleTree
    from kinspect.views.loader.facts import load_facts
    from kinspect.views.loader.tree import Candidates, in_given_order, in_load_order, verdicts

    names = ""
    if order is not None:
        names = _contents(order, "the names of modules, one per line").decode("utf-8", "surrogateescape")
    found = Candidates(kernel)
    candidates = []
    tree: Artifact | None = None
    for path in modules:
        tree = open_artifact(path) if os.path.isdir(path) else None
        if isinstance(tree, ModuleTree):
            candidates += found.of_tree(tree, on_progress)
        else:
            candidates.append(found.of_file(os.fsdecode(path)))
    alone = tree if isinstance(tree, ModuleTree) and len(modules) == 1 else None
    ordered = (
        in_load_order(candidates, alone) if order is None else in_given_order(candidates, names, os.fsdecode(order))
    )
    facts = load_facts(kernel, verdicts(kernel, ordered))
    return Report((facts,)) + run_checks((facts, kernel.kernel), "loader.verdict")


def load(
    image: Path,
    modules: Path | Sequence[Path],
    *,
    order: Path | None = None,
    config: Path | None = None,
    cmdline: str = "",
    certificates: Sequence[Path] = (),
) -> "list[Verdict]":
    """The verdicts of a kernel (an Image or a vmlinux) on modules, in the order of loading.

    Raises KinspectError when a file cannot be read, or the kernel's bytes do not show which modules it takes.
    """
    given = (modules,) if isinstance(modules, str | os.PathLike) else modules
    report = load_report(image, given, order=order, config=config, cmdline=cmdline, certificates=certificates)
    return [verdict for facts in report.facts for verdict in facts.verdicts]


def _kernel(image: Path, config: Path | None, cmdline: str, certificates: Sequence[Path]) -> "TargetKernel":
    from kinspect.artifacts.build.kernel_config import KernelConfig
    from kinspect.artifacts.crypto.x509 import certificates_of_file
    from kinspect.views.loader.kernel import TargetKernel

    options = None if config is None else plausible(KernelConfig(config)).options
    if config is not None and not options:
        raise MalformedError("no option is set", Location(os.fsdecode(config)), expected="a .config")
    trusted = []
    for path in certificates:
        trusted += certificates_of_file(_contents(path, "a certificate, PEM or DER"), os.fsdecode(path))
    return TargetKernel(_first(image), options, cmdline, trusted)


def _first(image: Path) -> "Vmlinux | Image":
    try:
        return open_kernel(image)
    except WrongKindError as error:
        problem = f"{error.problem}; the kernel comes first, then the modules"
        raise WrongKindError(problem, error.at, expected=error.expected, actual=error.actual) from error


def _contents(path: Path, expected: str) -> bytes:
    source = Source(path)
    refuse_other_kinds(source, expected)
    return source.read(0, min(source.size, _LARGEST_TEXT))
