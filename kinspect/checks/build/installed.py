"""Checks of installed modules against those in the folder of the build."""

import os
from collections.abc import Iterator

from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.artifacts.raw.notes import build_id_of
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted, summarized
from kinspect.errors import KinspectError

_INSTALLED = "kernel/"
_FROM_BUILD = ("modules.builtin", "modules.builtin.modinfo")


@check(Severity.ERROR)
def installed_modules_are_those_built(tree: ModuleTree, built: ModuleTree) -> Iterator[Evidence]:
    """The installed modules of the kernel are exactly those in the folder of the build (O=).

    Modules with a different build id were installed before they were built again. Modules outside of `kernel/`, such as
    those in `updates/`, come from elsewhere and are not compared. Run `make modules_install` again, into an empty
    folder if there are too many modules.
    Source: scripts/Makefile.modinst; the note .note.gnu.build-id, which signing, stripping and compressing keep.
    """
    if tree.of_a_build or tree.flat or not built.of_a_build or built.release != tree.release:
        return
    theirs = {_title(file.path): file.path for file in tree.files if file.path.startswith(_INSTALLED)}
    ours = {_title(file.path): file.path for file in built.files}
    at = tree.location(""), built.location("")
    if gone := sorted(ours.keys() - theirs.keys()):
        yield Evidence(f"{counted(len(gone), 'module')} built but not installed: {summarized(gone)}", at)
    if more := sorted(theirs.keys() - ours.keys()):
        yield Evidence(f"{counted(len(more), 'module')} installed but not in the build: {summarized(more)}", at)
    other = [
        title
        for title in sorted(ours.keys() & theirs.keys())
        if _differ(_build_id(tree, theirs[title]), _build_id(built, ours[title]))
    ]
    if other:
        places = tree.location(theirs[other[0]]), built.location(ours[other[0]])
        message = f"{counted(len(other), 'installed module')} from a different build: {summarized(other)}"
        yield Evidence(message, places)


def _title(path: str) -> str:
    """A module's path in the build, without an extension."""
    inside = path.removeprefix(_INSTALLED)
    return inside[: inside.rfind(".ko")]


def _build_id(tree: ModuleTree, path: str) -> bytes | None:
    """A module's build id; None when it has none or cannot be read, which another check reports."""
    try:
        return build_id_of(Module(os.path.join(tree.root, path)).section(b".note.gnu.build-id"))
    except KinspectError:
        return None


def _differ(one: bytes | None, other: bytes | None) -> bool:
    return one is not None and other is not None and one != other


@check(Severity.ERROR)
def installed_lists_are_those_of_the_build(tree: ModuleTree, built: ModuleTree) -> Iterator[Evidence]:
    """The installed modules.builtin and modules.builtin.modinfo are those in the folder of the build.

    modprobe and the tools that make an initramfs read from them what is built in: with those of another build, they
    leave out modules that are needed. Run `make modules_install` again.
    Source: scripts/Makefile.modinst.
    """
    if tree.of_a_build or tree.flat or not built.of_a_build or built.release != tree.release:
        return
    for name in _FROM_BUILD:
        theirs, ours = tree.text(name), built.text(name)
        if ours is not None and theirs != ours:
            problem = "is missing" if theirs is None else "differs from that of the build"
            yield Evidence(f"{name} {problem}", (tree.location(name), built.location(name)))
