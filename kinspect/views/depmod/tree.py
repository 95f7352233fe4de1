"""What depmod makes of a folder of modules, computed once for everything that needs it."""

from collections import Counter

from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.views.depmod.files import NEWEST, Depmod


def depmod_of(tree: ModuleTree, kmod: int = NEWEST) -> Depmod:
    """What the depmod of a kmod makes of a folder; it is kept with the folder."""
    return tree.cached(Depmod, kmod)


def path_of(tree: ModuleTree, name: str) -> str:
    """The path of the module of a name, below the folder."""
    return depmod_of(tree).paths[name]


def vermagics(tree: ModuleTree) -> Counter[str]:
    """The vermagics of the modules, with the number of modules that have each."""
    modules = depmod_of(tree).modules
    return Counter(value for module in modules for value in module.values("vermagic")[:1])


def vermagic_for(module: ModuleSummary, kernel: str) -> str:
    """The vermagic of a module as a kernel with another one compares it: where it has CRCs, with that one's release.

    Source: kernel/module/version.c, same_magic().
    """
    found = "".join(module.values("vermagic")[:1])
    (own, blank, options), (release, _, others) = found.partition(" "), kernel.partition(" ")
    versioned = module.versions and "modversions" in others.split()
    return f"{release if versioned and blank else own}{blank}{options}"


def order_of(tree: ModuleTree) -> dict[str, int]:
    """The paths of the modules that modules.order of a build's folder lists, with their lines.

    Older kernels put `kernel/` before each path, newer ones name objects.
    """
    text = tree.text("modules.order") or b""
    lines = enumerate(text.decode("utf-8", "surrogateescape").splitlines(), start=1)
    there = {file.path for file in tree.files}
    paths = ((line.removesuffix(".o") + ".ko" if line.endswith(".o") else line, number) for number, line in lines)
    return {path if path in there else path.removeprefix("kernel/"): number for path, number in paths}
