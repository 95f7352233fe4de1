"""The way from a kernel and modules to verdicts: what would the kernel say of them?"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.kinds import open_artifact
from kinspect.errors import Location, MalformedError
from kinspect.inspection.modules import kernel as kernel_in
from kinspect.inspection.report import Path, Report
from kinspect.source import Source

if TYPE_CHECKING:
    from kinspect.artifacts.module.tree import OnProgress
    from kinspect.views.loader.kernel import TargetKernel
    from kinspect.views.loader.verdict import Verdict

_LARGEST_TEXT = 16 << 20


class Trusted(NamedTuple):
    """A certificate that the kernel trusts: whose it is, and its serial number."""

    subject: str
    serial: str


class LoadingFacts(NamedTuple):
    """A kernel, and what it would say of modules in the order in which they are loaded.

    `enforced` says whether modules must be signed; it is None when that is not known.
    """

    kernel: str
    vermagic: str
    modversions: bool
    enforced: bool | None
    locked_down: bool
    certificates: tuple[Trusted, ...]
    verdicts: "tuple[Verdict, ...]"


def _text(path: Path) -> bytes:
    source = Source(path)
    return source.read(0, min(source.size, _LARGEST_TEXT))


def _kernel(image: Path, config: Path | None, cmdline: str, certificates: Sequence[Path]) -> "TargetKernel":
    from kinspect.artifacts.crypto.x509 import certificates_of_file
    from kinspect.views.loader.kernel import TargetKernel, config_of

    options = None if config is None else config_of(_text(config).decode("utf-8", "surrogateescape"))
    if config is not None and not options:
        raise MalformedError("no .config", Location(os.fsdecode(config)), expected="lines CONFIG_NAME=value")
    trusted = [one for path in certificates for one in certificates_of_file(_text(path), os.fsdecode(path))]
    return TargetKernel(kernel_in(image), options, cmdline, trusted)


def loading(
    image: Path,
    modules: Sequence[Path],
    *,
    order: Path | None = None,
    config: Path | None = None,
    cmdline: str = "",
    certificates: Sequence[Path] = (),
    on_progress: "OnProgress | None" = None,
) -> Report:
    """What a kernel would say of modules and folders of them, as a report. Raises KinspectError.

    `order` is a file that names the modules to load, a line each; without it each comes after those that it needs.
    """
    from kinspect.artifacts.module.tree import ModuleTree
    from kinspect.checks.loader.verdict import loading_findings
    from kinspect.views.loader.tree import Candidates, in_given_order, in_load_order, verdicts

    kernel = _kernel(image, config, cmdline, certificates)
    found = Candidates(kernel)
    candidates = []
    for path in modules:
        given: Artifact | None = open_artifact(path) if os.path.isdir(path) else None
        candidates += (
            found.of_tree(given, on_progress) if isinstance(given, ModuleTree) else [found.of_file(os.fsdecode(path))]
        )
    if order is None:
        candidates = in_load_order(candidates)
    else:
        text = _text(order).decode("utf-8", "surrogateescape")
        candidates = in_given_order(candidates, text, os.fsdecode(order))
    said = tuple(verdicts(kernel, candidates))
    trusted = tuple(Trusted(one.subject_text, one.serial_text) for one in kernel.certificates)
    about = kernel.vermagic, kernel.modversions, kernel.enforced, kernel.locked_down
    facts = LoadingFacts(kernel.kernel.path, *about, trusted, said)
    return Report((facts,), tuple(loading_findings(said)), ("modules-are-loaded",))


def load(
    image: Path,
    modules: Path | Sequence[Path],
    *,
    order: Path | None = None,
    config: Path | None = None,
    cmdline: str = "",
    certificates: Sequence[Path] = (),
) -> "list[Verdict]":
    """What a kernel (an Image or a vmlinux) would say of modules: a verdict each, in the order of loading.

    Raises KinspectError when a file cannot be read, or the kernel does not tell what it takes.
    """
    given = (modules,) if isinstance(modules, str | os.PathLike) else modules
    report = loading(image, given, order=order, config=config, cmdline=cmdline, certificates=certificates)
    return [verdict for facts in report.facts_of(LoadingFacts) for verdict in facts.verdicts]
