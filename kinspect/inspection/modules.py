"""Modules, their folders and exports: module, symvers, modules, depmod."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.kinds import plausible, refuse_folder
from kinspect.errors import Location, MalformedError, UnsupportedError, WrongKindError
from kinspect.inspection.build.opening import open_kernel
from kinspect.inspection.package.taken import KERNEL, Packages, is_package
from kinspect.inspection.report import Path, Report, run_checks

if TYPE_CHECKING:
    from typing import Never

    from kinspect.artifacts.build.symvers import SymversFacts
    from kinspect.artifacts.module.facts import ModuleFacts
    from kinspect.artifacts.module.tree import ModuleTree, ModuleTreeFacts
    from kinspect.views.abi.kernel_match import KernelMatchFacts
    from kinspect.views.depmod.written import WrittenFacts
    from kinspect.workers import OnProgress

NEWEST_KMOD = 34
_MANY_MODULES = 500
MODULE_TOPICS = ("module.tree", "module.members", "module.needs")
"""The checks of the modules in a folder."""
TREE_TOPICS = (
    "depmod.modules_dep",
    "depmod.files",
    "depmod.indexes",
    "depmod.modules_order",
    *MODULE_TOPICS,
    "symvers.modules",
)
"""The checks of a folder of modules, also with a Module.symvers and a kernel, but for what the kernel would load."""


def module(path: Path, providers: dict[str, str] | None = None) -> "Report[ModuleFacts]":
    """The facts of a module and the findings on it. `providers` maps symbols to the modules that export them.

    Raises KinspectError.
    """
    from kinspect.artifacts.elf.debug_file import debug_file_at
    from kinspect.artifacts.module.description import module_facts
    from kinspect.artifacts.module.ko import Module

    artifact = Module(path)
    refuse_folder(artifact.source, artifact.kind)
    if debug := debug_file_at(artifact.source):
        problem, expected = "give the module that it belongs to", "a module with code"
        raise WrongKindError(problem, artifact.at(), expected=expected, actual=debug.title)
    return Report((module_facts(artifact, providers),)) + run_checks(
        (artifact,), "module.ko", "module.sections", "module.signature"
    )


def symvers(
    path: Path, kernel: Path | None = None, modules: Path | None = None
) -> "Report[SymversFacts | KernelMatchFacts]":
    """The facts of a Module.symvers and the findings on it: alone, with a vmlinux or Image, with a folder of modules.

    A package is taken for any of these. Raises KinspectError.
    """
    with Packages() as packages:
        listed, opened = packages.file(path, "Module.symvers"), packages.file(kernel, *KERNEL)
        tree = None if modules is None else packages.folder(modules)
        return packages.named(_symvers_report(listed, opened, tree))


def _symvers_report(path: Path, kernel: Path | None, modules: Path | None) -> "Report[SymversFacts | KernelMatchFacts]":
    from kinspect.artifacts.build.symvers import Symvers
    from kinspect.artifacts.module.tree import ModuleTree
    from kinspect.inspection.build.folding import folded
    from kinspect.inspection.build.whole import found_pieces

    artifact = plausible(Symvers(path))
    compared: list[Artifact] = [artifact]
    report: Report[SymversFacts | KernelMatchFacts] = Report((artifact.facts,))
    report += run_checks((artifact,), "symvers.exports", "symvers.text")
    if kernel is not None:
        from kinspect.views.abi.kernel_match import kernel_match_facts

        opened = open_kernel(kernel)
        compared.append(opened)
        findings = run_checks((artifact, opened), "symvers.kernel", "symvers.image")
        # A check reports an Image whose exports cannot be read.
        if findings.exit_code != 2 and not artifact.external:
            report += Report((kernel_match_facts(artifact, opened),))
        report += findings
    if modules is not None:
        tree = ModuleTree(modules)
        _ = tree.root
        compared.append(tree)
        report += run_checks((artifact, tree), "symvers.modules")
    return report.replaced(findings=folded(report.findings, found_pieces(compared)))


def modules(
    folder: Path,
    symvers: Path | None = None,
    kernel: Path | None = None,
    on_progress: "OnProgress | None" = None,
    config: Sequence[str] = (),
) -> "Report[ModuleTreeFacts]":
    """The facts of a folder of modules and the findings on it: alone, with a Module.symvers, with a vmlinux or Image.

    A package is taken for any of these. `on_progress` is called with the number of modules read so far and of all;
    `config` are files and folders of depmod.d. Raises KinspectError.
    """
    with Packages() as packages:
        given = packages.folder(folder), packages.file(symvers, "Module.symvers"), packages.file(kernel, *KERNEL)
        return packages.named(_modules_report(*given, on_progress, config))


def _modules_report(
    folder: Path, symvers: Path | None, kernel: Path | None, on_progress: "OnProgress | None", config: Sequence[str]
) -> "Report[ModuleTreeFacts]":
    from kinspect.artifacts.build.symvers import Symvers
    from kinspect.artifacts.module.tree import ModuleTree
    from kinspect.inspection.build.folding import folded
    from kinspect.inspection.build.reading import read_modules
    from kinspect.inspection.build.whole import found_pieces

    tree = ModuleTree(folder, config)
    _refuse_empty(tree)
    given: list[Artifact] = [tree]
    listed = plausible(Symvers(symvers)) if symvers is not None else None
    external = listed is not None and listed.external
    if listed is not None and not external:
        given.append(listed)
    checks: tuple[str, ...] = TREE_TOPICS
    opened = open_kernel(kernel) if kernel is not None else None
    if opened is not None:
        given.append(opened)
        checks += ("loader.verdict",)
    read_modules(tree, opened, on_progress)
    report = run_checks(tuple(given), *checks)
    if listed is not None and external:
        # It says nothing of what the kernel exports.
        given.append(listed)
        report += run_checks((tree, listed), "symvers.modules")
    return Report((tree.facts,)) + report.replaced(findings=folded(report.findings, found_pieces(given)))


def _refuse_empty(tree: "ModuleTree") -> None:
    if not tree.files and not tree.facts.others:
        raise MalformedError("no modules are in this folder", tree.at())


def depmod(
    folder: Path,
    out: Path | None = None,
    kmod: int = NEWEST_KMOD,
    on_progress: "OnProgress | None" = None,
    config: Sequence[str] = (),
) -> "Report[WrittenFacts]":
    """Write what depmod would, into the folder or `out`, and check the modules. Raises KinspectError.

    Each file is written whole or not at all. A package needs `out`.
    """
    with Packages() as packages:
        if out is None and is_package(folder):
            problem, expected = "depmod's files cannot be written into a package", "--out FOLDER"
            raise UnsupportedError(problem, Location(os.fsdecode(folder)), expected=expected)
        return packages.named(_depmod_report(packages.folder(folder), out, kmod, on_progress, config))


def _depmod_report(
    folder: Path, out: Path | None, kmod: int, on_progress: "OnProgress | None", config: Sequence[str]
) -> "Report[WrittenFacts]":
    from kinspect.artifacts.module.tree import ModuleTree
    from kinspect.inspection.writing import make_folder, write_in_folder
    from kinspect.views.depmod.tree import depmod_of
    from kinspect.views.depmod.written import WrittenFacts
    from kinspect.workers import results

    tree = ModuleTree(folder, config)
    _refuse_empty(tree)
    tree.read(on_progress)
    target = _inside(tree) if out is None else os.fspath(out)
    make_folder(target)
    work = depmod_of(tree, kmod)
    # One is as much work as many modules.
    fewest = len(work.names) if len(work.modules) >= _MANY_MODULES else None
    contents = dict(zip(work.names, results(work.contents, work.names, fewest=fewest), strict=True))
    for name, data in contents.items():
        write_in_folder(target, name, [data])
    sizes = tuple((name, len(data)) for name, data in contents.items())
    return Report((WrittenFacts(target, len(work.modules), sizes),)) + run_checks((tree,), *MODULE_TOPICS)


def depmod_texts(
    folder: Path,
    kmod: int = NEWEST_KMOD,
    on_progress: "OnProgress | None" = None,
    config: Sequence[str] = (),
) -> "tuple[bytes, Report[Never]]":
    """The text files that depmod would write, one after the other as `depmod -n` prints them, and the findings.

    Raises KinspectError.
    """
    with Packages() as packages:
        return packages.named(_depmod_texts(packages.folder(folder), kmod, on_progress, config))


def _depmod_texts(
    folder: Path, kmod: int, on_progress: "OnProgress | None", config: Sequence[str]
) -> "tuple[bytes, Report[Never]]":
    from kinspect.artifacts.module.tree import ModuleTree
    from kinspect.views.depmod.tree import depmod_of

    tree = ModuleTree(folder, config)
    _refuse_empty(tree)
    tree.read(on_progress)
    work = depmod_of(tree, kmod)
    texts = b"".join(work.contents(name) for name in work.names if not name.endswith(".bin"))
    return texts, run_checks((tree,), *MODULE_TOPICS)


def _inside(tree: "ModuleTree") -> str:
    """The folder of a tree's release. UnsupportedError when a link in the tree leads out of it."""
    top, root = os.path.realpath(tree.path), os.path.realpath(tree.root)
    if os.path.commonpath((top, root)) != top:
        problem = "leads out of the folder: nothing is written there (name it, or use --out)"
        raise UnsupportedError(problem, Location(tree.root), actual=root)
    return tree.root
