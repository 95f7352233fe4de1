"""The way from modules and what belongs to them to a verdict, as `inspection` is for the kernel itself."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.kinds import open_artifact
from kinspect.errors import Location, MalformedError, UnsupportedError, WrongKindError
from kinspect.inspection.report import Path, Report, run_checks

if TYPE_CHECKING:
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.artifacts.module.tree import ModuleTree, OnProgress

NEWEST_KMOD = 34
MODULE_TOPICS = ("module.tree", "module.members", "module.needs")
"""The checks of the modules in a folder, whatever lies beside them."""
TREE_TOPICS = (
    "depmod.modules_dep",
    "depmod.files",
    "depmod.indexes",
    "depmod.modules_order",
    *MODULE_TOPICS,
    "symvers.modules",
)
"""The checks of a folder of modules, alone and with what belongs to it; what a kernel would say of them is one more."""


def kernel(path: Path) -> "Vmlinux | Image":
    """The vmlinux or Image in a file. WrongKindError when it is neither."""
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux

    found = open_artifact(path)
    if isinstance(found, Vmlinux | Image):
        return found
    hint = f" ({found.hint})" if found.hint else ""
    raise WrongKindError(f"no kernel{hint}", found.at(), expected="a vmlinux or an Image", actual=found.kind)


def module(path: Path, providers: dict[str, str] | None = None) -> Report:
    """A module and the verdict on it; `providers` tells who exports a symbol. Raises KinspectError."""
    from kinspect.artifacts.module.description import module_facts
    from kinspect.artifacts.module.ko import Module

    artifact = Module(path)
    return Report((module_facts(artifact, providers),)) + run_checks(
        (artifact,), "module.ko", "module.sections", "module.signature"
    )


def symvers(path: Path, against: Path | None = None, modules: Path | None = None) -> Report:
    """A Module.symvers and the verdict on it: alone, against a vmlinux or Image, against a folder of modules.

    Raises KinspectError.
    """
    from kinspect.artifacts.build.symvers import Symvers
    from kinspect.artifacts.module.tree import ModuleTree

    artifact = Symvers(path)
    report = Report((artifact.facts,)) + run_checks((artifact,), "symvers.exports", "symvers.text")
    if against is not None:
        from kinspect.views.abi.kernel_match import kernel_match_facts

        other = kernel(against)
        found = run_checks((artifact, other), "symvers.kernel", "symvers.image")
        # An Image without exports is what a check says.
        told = () if found.exit_code == 2 else (kernel_match_facts(artifact, other),)
        report += Report(told) + found
    if modules is not None:
        report += run_checks((artifact, ModuleTree(modules)), "symvers.modules")
    return report


def abi(old: Path, new: Path, rules: Path | None = None) -> Report:
    """What changed between the exports of two kernels, and whether modules notice. Raises KinspectError."""
    from kinspect.artifacts.build.symvers import Symvers
    from kinspect.views.abi.changes import compare
    from kinspect.views.abi.rules import AbiRules

    facts = compare(Symvers(old), Symvers(new), AbiRules.of(rules) if rules is not None else None)
    return Report((facts,)) + run_checks((facts,), "symvers.abi")


def ksymvers(old: Path, new: Path, rules: Path | None = None) -> Iterator[str]:
    """The same in the words of SUSE's ksymvers. Raises KinspectError."""
    from kinspect.artifacts.build.symvers import Symvers
    from kinspect.views.abi.changes import ksymvers_lines
    from kinspect.views.abi.rules import AbiRules

    return ksymvers_lines(Symvers(old), Symvers(new), AbiRules.of(rules) if rules is not None else None)


def modules(
    folder: Path,
    symvers: Path | None = None,
    against: Path | None = None,
    on_progress: "OnProgress | None" = None,
    config: Sequence[str] = (),
) -> Report:
    """A folder of modules and the verdict on it; with a Module.symvers, and with a vmlinux or Image, also together.

    `on_progress` is called with the number of modules read so far and of all; `config` are files and folders of
    depmod.d. Raises KinspectError.
    """
    from kinspect.artifacts.build.symvers import Symvers
    from kinspect.artifacts.module.tree import ModuleTree

    tree = ModuleTree(folder, config)
    given: list[Artifact] = [tree]
    if symvers is not None:
        given.append(Symvers(symvers))
    if against is not None:
        given.append(kernel(against))
    if against is None:
        tree.read(on_progress)
    else:
        _read_for(tree, given[-1], on_progress)
    asked = TREE_TOPICS if against is None else (*TREE_TOPICS, "loader.verdict")
    return Report((tree.facts,)) + run_checks(tuple(given), *asked)


def _read_for(tree: "ModuleTree", kernel: Artifact, on_progress: "OnProgress | None") -> None:
    """Read a folder for a kernel: what that would say of the modules is told while their bytes are held."""
    from kinspect.views.loader.tree import tree_verdicts

    try:
        tree_verdicts(tree, cast("Vmlinux | Image", kernel), on_progress)
    except (MalformedError, UnsupportedError):
        # What a kernel does not tell is for the checks to say.
        tree.read(on_progress)


def depmod(
    folder: Path,
    out: Path | None = None,
    kmod: int = NEWEST_KMOD,
    on_progress: "OnProgress | None" = None,
    config: Sequence[str] = (),
) -> Report:
    """Write what depmod would, into the folder or `out`, and judge the modules. Raises KinspectError, OSError.

    Each file is written whole or not at all.
    """
    from kinspect.artifacts.module.tree import ModuleTree
    from kinspect.inspection.writing import write_in_folder
    from kinspect.views.depmod.files import Depmod
    from kinspect.views.depmod.written import WrittenFacts

    tree = ModuleTree(folder, config)
    tree.read(on_progress)
    target = _inside(tree) if out is None else os.fspath(out)
    os.makedirs(target, exist_ok=True)
    work = Depmod(tree, kmod)
    contents = {name: work.contents(name) for name in work.names}
    for name, data in contents.items():
        write_in_folder(target, name, [data])
    sizes = tuple((name, len(data)) for name, data in contents.items())
    return Report((WrittenFacts(target, len(work.modules), sizes),)) + run_checks((tree,), *MODULE_TOPICS)


def _inside(tree: "ModuleTree") -> str:
    """The folder of a tree's release. UnsupportedError when a link in the tree leads out of it."""
    top, root = os.path.realpath(tree.path), os.path.realpath(tree.root)
    if os.path.commonpath((top, root)) != top:
        problem = "leads out of the folder: nothing is written there (name it, or use --out)"
        raise UnsupportedError(problem, Location(tree.root), actual=root)
    return tree.root
