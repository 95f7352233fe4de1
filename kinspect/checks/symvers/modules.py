"""What must hold between a Module.symvers and the modules of its build."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby, pairwise

from kinspect.artifacts.build.symvers import Symvers
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.depmod.modules_order import order_of
from kinspect.checks.module.tree import depmod_of
from kinspect.checks.symvers.kernel import build_evidence, evidence_of
from kinspect.views.abi.kernel_match import Difference, ExportComparison, against_modules

_INSTALLED = "kernel/"


def _title(path: str) -> str:
    """A module's path as Module.symvers has it: in the build, without an extension."""
    return path.removeprefix(_INSTALLED)[: path.removeprefix(_INSTALLED).rfind(".ko")]


@lru_cache(maxsize=1)
def _paths(tree: ModuleTree) -> dict[str, str]:
    """The paths of the sound modules by their title; where there is a folder `kernel`, of those in it.

    A module that modules.dep does not have is a finding of its own.
    """
    dep = tree.dep
    modules = (module for module in depmod_of(tree).modules if not module.errors)
    paths = [module.path for module in modules if dep is None or module.path in dep.by_path]
    installed = [path for path in paths if path.startswith(_INSTALLED)]
    return {_title(path): path for path in installed or paths}


@lru_cache(maxsize=1)
def _comparison(tree: ModuleTree, symvers: Symvers) -> ExportComparison:
    paths = _paths(tree)
    by_path = {module.path: module.exports for module in depmod_of(tree).modules}
    found = against_modules(symvers, ((title, by_path[path]) for title, path in paths.items()))
    # What a module exports that is corrupt, or that either the tree or modules.dep does not have, is not known.
    everything = {*by_path, *(file.path for file in tree.files), *(tree.dep.by_path if tree.dep else ())}
    if tree.of_a_build:
        everything |= order_of(tree).keys()
    lost = set(map(_title, everything)) - paths.keys()
    kept = (one for one in found.differences if one.difference != Difference.EXTRA or one.module not in lost)
    return found._replace(differences=tuple(kept))


def _evidence(tree: ModuleTree, symvers: Symvers, *what: Difference) -> Iterator[Evidence]:
    paths = _paths(tree)
    comparison = _comparison(tree, symvers)
    return evidence_of(symvers, comparison, lambda found: tree.location(paths.get(found.module, "")), *what)


@check(Severity.ERROR)
def symvers_is_of_the_build_of_the_modules(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """Module.symvers and the modules are of one build.

    When more than one export in twenty differs they are not, and no export is named.
    Source: scripts/Makefile.modpost.
    """
    return build_evidence(symvers, _comparison(tree, symvers), tree.location(""))


@check(Severity.ERROR)
def symvers_lists_the_exports_of_the_modules(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """Module.symvers has a line for every export of the modules, with the module's path, and for nothing else.

    A module that uses a symbol without a line is not built; one that uses a line without a symbol is built and does not
    load.
    Source: scripts/mod/modpost.c, write_dump().
    """
    return _evidence(tree, symvers, Difference.MISSING, Difference.EXTRA, Difference.MODULE)


@check(Severity.WARNING)
def symvers_follows_modules_order(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """The modules of Module.symvers come in the order of modules.order, where the lines of each are together.

    So modpost writes them since 5.19: it reads the list that modules.order is made of. Otherwise the two are of other
    builds, or one of them was edited.
    Source: scripts/mod/modpost.c, write_dump(); scripts/Makefile.modpost.
    """
    rows, text = symvers.rows, tree.text("modules.order")
    order = {_title(line): place for place, line in enumerate((text or b"").decode(errors="replace").splitlines())}
    groups = [(module, next(run)) for module, run in groupby(range(len(rows.modules)), rows.modules.__getitem__)]
    # Lines that are not together are a finding of their own, or those of an older kernel, in no order.
    if len(groups) != len({module for module, _ in groups}):
        return
    known = [(module, at) for module, at in groups if module in order]
    for (before, _), (module, at) in pairwise(known):
        if order[module] < order[before]:
            line, other = symvers.line(rows.numbers[at], rows.names[at]), tree.location("modules.order")
            yield Evidence(f"{module} comes after {before}", (line, other), expected="the order of modules.order")
            return


@check(Severity.ERROR)
def symvers_crcs_are_those_of_the_modules(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """Every export of a module has the same CRC there and in Module.symvers; zero where the module has none.

    A module takes the CRC of Module.symvers, and the kernel refuses it when the exporter's is another.
    Source: kernel/module/version.c, check_version().
    """
    return _evidence(tree, symvers, Difference.CRC)


@check(Severity.ERROR)
def symvers_licences_are_those_of_the_modules(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """Every export of a module is for all or for the GPL alone as Module.symvers has it.

    modpost lets a proprietary module use what Module.symvers allows; the kernel then refuses the symbol.
    Source: kernel/module/main.c, find_symbol().
    """
    return _evidence(tree, symvers, Difference.LICENCE)


@check(Severity.ERROR)
def symvers_namespaces_are_those_of_the_modules(tree: ModuleTree, symvers: Symvers) -> Iterator[Evidence]:
    """Every export of a module is in the namespace that Module.symvers has it in.

    A module imports the namespaces of Module.symvers, and the kernel refuses it when it does not import its own.
    Source: kernel/module/main.c, verify_namespace_is_imported().
    """
    return _evidence(tree, symvers, Difference.NAMESPACE)
