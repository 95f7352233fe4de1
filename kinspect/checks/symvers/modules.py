"""Checks of a Module.symvers against the modules of its build."""

from collections.abc import Iterator
from itertools import groupby, pairwise

from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.symvers.kernel import build_evidence, evidence_of
from kinspect.checks.wording import counted, summarized
from kinspect.views.abi.kernel_match import Difference, ExportComparison, against_modules
from kinspect.views.depmod.tree import depmod_of, order_of

_INSTALLED = "kernel/"


def _title(path: str) -> str:
    """A module's path as Module.symvers has it: in the build, without an extension."""
    return path.removeprefix(_INSTALLED)[: path.removeprefix(_INSTALLED).rfind(".ko")]


def _paths(tree: ModuleTree) -> dict[str, str]:
    """The paths of the readable modules by their title; of those in the folder `kernel` when there is one.

    A module that is not in modules.dep is reported by another check.
    """
    dep = tree.dep
    modules = (module for module in depmod_of(tree).modules if not module.errors)
    paths = [module.path for module in modules if dep is None or module.path in dep.by_path]
    installed = [path for path in paths if path.startswith(_INSTALLED)]
    return {_title(path): path for path in installed or paths}


def _titles(tree: ModuleTree, symvers: Symvers) -> dict[str, str]:
    """The same; where the folders of the build are gone, with the only path that Module.symvers has for the name."""
    if symvers.external:
        return _external_titles(tree, symvers)
    paths = tree.cached(_paths)
    if not tree.flat:
        return paths
    known: dict[str, list[str]] = {}
    for module in dict.fromkeys(symvers.rows.modules):
        known.setdefault(module.rsplit("/", 1)[-1], []).append(module)
    names = {title: known.get(title.rsplit("/", 1)[-1], []) for title in paths}
    return {names[title][0] if len(names[title]) == 1 else title: path for title, path in paths.items()}


def _external_titles(tree: ModuleTree, symvers: Symvers) -> dict[str, str]:
    """The paths of an external module's files, wherever it was installed, by its path in Module.symvers."""
    by_name = {module.name: module.path for module in depmod_of(tree).modules if not module.errors}
    listed = ((module, by_name.get(module_name(module))) for module in dict.fromkeys(symvers.rows.modules))
    return {module: path for module, path in listed if path}


def _comparable(tree: ModuleTree, symvers: Symvers) -> bool:
    """Whether there are modules, and lines of modules: an installed kernel may have a list of its own exports only."""
    return bool(tree.files) and (tree.of_a_build or any(module != KERNEL for module in symvers.rows.modules))


def _comparison(tree: ModuleTree, symvers: Symvers) -> ExportComparison:
    if not _comparable(tree, symvers):
        return ExportComparison(0, 0, ())
    paths = tree.cached(_titles, symvers)
    by_path = {module.path: module.exports for module in depmod_of(tree).modules}
    found = against_modules(symvers, ((title, by_path[path]) for title, path in paths.items()))
    # What a module exports is unknown when it is corrupt, or missing from the tree or from modules.dep.
    everything = {*by_path, *(file.path for file in tree.files), *(tree.dep.by_path if tree.dep else ())}
    if tree.of_a_build:
        everything |= order_of(tree).keys()
    lost = set(map(_title, everything)) - paths.keys()
    if tree.flat or symvers.external:
        lost |= set(symvers.rows.modules) - paths.keys()
    kept = (one for one in found.differences if one.difference != Difference.EXTRA or one.module not in lost)
    return found._replace(differences=tuple(kept))


def _evidence(tree: ModuleTree, symvers: Symvers, *kinds: Difference) -> Iterator[Evidence]:
    paths = tree.cached(_titles, symvers)
    comparison = tree.cached(_comparison, symvers)
    return evidence_of(symvers, comparison, lambda found: tree.location(paths.get(found.module, "")), *kinds)


@check(Severity.ERROR)
def symvers_is_of_the_build_of_the_modules(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """Module.symvers and the modules come from one build.

    If more than one export in twenty differs, this finding replaces those on single exports. Modules that are built
    with such a Module.symvers are refused when these modules are loaded (`disagrees about version of symbol`). Take
    both from one build.
    Source: scripts/Makefile.modpost.
    """
    return build_evidence(symvers, tree.cached(_comparison, symvers), tree.location(""))


@check(Severity.INFO)
def modules_of_external_symvers_are_there(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """The external modules in a Module.symvers are among the modules.

    The file of modules that were built with M= lists only their exports: it is compared with the installed modules of
    these names, wherever they are. Without them there is nothing to compare.
    Source: Documentation/kbuild/modules.rst, "Module.symvers".
    """
    if symvers.external:
        listed = dict.fromkeys(filter(None, symvers.rows.modules))
        missing = [module for module in listed if module not in tree.cached(_titles, symvers)]
        if missing:
            message = f"not compared: {counted(len(missing), 'external module')} not among the modules"
            yield Evidence(f"{message}: {summarized(missing)}", (symvers.at(), tree.location("")))


@check(Severity.ERROR)
def symvers_lists_the_exports_of_the_modules(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """Module.symvers has a line with the module's path for every export of the modules, and no others.

    A module that uses an export without a line cannot be built (`"..." undefined!`). A module that uses a line without
    an export can be built, but is refused when it is loaded (`Unknown symbol`). Take both from one build.
    Source: scripts/mod/modpost.c, write_dump().
    """
    return _evidence(tree, symvers, Difference.MISSING, Difference.EXTRA, Difference.MODULE)


@check(Severity.WARNING)
def symvers_follows_modules_order(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """The modules in Module.symvers are in the order of modules.order.

    modpost writes them in this order since 5.19: it reads the list from which modules.order is made. Otherwise the two
    come from different builds, or one of them was edited. Build the modules again to regenerate both. A Module.symvers
    in which the lines of a module are not together is not checked.
    Source: scripts/mod/modpost.c, write_dump(); scripts/Makefile.modpost.
    """
    rows, text = symvers.rows, tree.text("modules.order")
    order = {_title(line): place for place, line in enumerate((text or b"").decode(errors="replace").splitlines())}
    groups = [(module, next(run)) for module, run in groupby(range(len(rows.modules)), rows.modules.__getitem__)]
    # Another check reports lines that are not together; in older kernels they are in no order.
    if len(groups) != len({module for module, _ in groups}):
        return
    known = [(module, at) for module, at in groups if module in order]
    for (before, _), (module, at) in pairwise(known):
        if order[module] < order[before]:
            line, other = symvers.line(rows.numbers[at], rows.names[at]), tree.location("modules.order")
            yield Evidence(f"{module} comes after {before}, unlike in modules.order", (line, other))
            return


@check(Severity.ERROR)
def symvers_crcs_are_those_of_the_modules(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """Every export of a module has the same CRC in the module and in Module.symvers (zero if it has none).

    A module gets its CRCs from Module.symvers, and the kernel refuses the module if the exporting module has different
    ones (`disagrees about version of symbol`). Take both from one build.
    Source: kernel/module/version.c, check_version().
    """
    return _evidence(tree, symvers, Difference.CRC)


@check(Severity.ERROR)
def symvers_licences_are_those_of_the_modules(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """Every export has the same type, EXPORT_SYMBOL or EXPORT_SYMBOL_GPL, in the module and in Module.symvers.

    modpost lets a proprietary module use what is EXPORT_SYMBOL in Module.symvers. If the symbol is EXPORT_SYMBOL_GPL in
    the exporting module, the kernel refuses the proprietary one (`Unknown symbol`). Take both from one build.
    Source: kernel/module/main.c, find_symbol().
    """
    return _evidence(tree, symvers, Difference.LICENCE)


@check(Severity.ERROR)
def symvers_namespaces_are_those_of_the_modules(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """Every export of a module is in the same namespace in the module and in Module.symvers.

    modpost requires a module to import the namespace in Module.symvers; the kernel refuses a module that does not
    import the exporting module's namespace (`uses symbol from namespace ..., but does not import it`). Take both from
    one build.
    Source: kernel/module/main.c, verify_namespace_is_imported().
    """
    return _evidence(tree, symvers, Difference.NAMESPACE)
