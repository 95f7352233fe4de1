"""What modules need of each other and of the kernel: symbols, their versions, licences and namespaces.

The kernel may be a vmlinux, a raw Image, or the lines of the kernel in a Module.symvers. What holds between modules
holds between a module and the kernel: one function serves both.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.module.tree import depmod_of, impact, path_of, vermagics
from kinspect.checks.wording import counted, summarized
from kinspect.errors import Location
from kinspect.views.loader.verdict import GPL_COMPATIBLE, MODULE_NAMESPACE, listed
from kinspect.views.tables.raw_exports import kernel_exports


class Offer(NamedTuple):
    """An export as those see it who need it; `crc` is None when there are no versions."""

    module: str
    crc: int | None
    gpl: bool
    namespace: str


Offers = Mapping[str, Offer]
Faults = Callable[[ModuleSummary, Offers], Iterator[tuple[str, str]]]
"""What is wrong with a module's needs: the symbol, and what is wrong in a few words."""


@lru_cache(maxsize=1)
def module_offers(tree: ModuleTree) -> Offers:
    """What the modules export."""
    return {
        export.name: Offer(module.name, export.crc, export.gpl, export.namespace)
        for module in depmod_of(tree).modules
        for export in module.exports
    }


@lru_cache(maxsize=2)
def kernel_offers(kernel: Symvers | Vmlinux | Image) -> Offers:
    """What the kernel itself exports. Raises as `Symvers.rows` and `kernel_exports` do."""
    if isinstance(kernel, Symvers):
        rows, versioned = kernel.rows, kernel.versioned
        columns = zip(rows.names, rows.modules, rows.crcs, kernel.gpl, rows.namespaces, strict=True)
        return {
            name: Offer(KERNEL, crc if versioned else None, gpl, namespace)
            for name, module, crc, gpl, namespace in columns
            if module == KERNEL
        }
    exports = kernel_exports(kernel)
    return {
        export.name: Offer(KERNEL, export.crc, export.gpl and exports.licensed, export.namespace)
        for export in exports.exports
    }


def version_faults(module: ModuleSummary, offers: Offers) -> Iterator[tuple[str, str]]:
    for symbol in _offered(module.versions, offers):
        crc, offer = module.versions[symbol], offers[symbol]
        if offer.crc is not None and offer.crc != crc:
            yield symbol, f"{symbol} of {offer.module} is {offer.crc:#010x}, not {crc:#010x}"


def _offered(names: dict[str, Any], offers: Offers) -> Iterator[str]:
    """Those of some names that are offered, in the order of the names."""
    shared = names.keys() & offers.keys()
    return filter(shared.__contains__, names) if shared else iter(())


def licence_faults(module: ModuleSummary, offers: Offers) -> Iterator[tuple[str, str]]:
    if not module.errors and "".join(module.values("license")[:1]) not in GPL_COMPATIBLE:
        for symbol, weak in module.needs.items():
            if not weak and (offer := offers.get(symbol)) and offer.gpl:
                yield symbol, f"{symbol} of {offer.module}"


def namespace_faults(module: ModuleSummary, offers: Offers) -> Iterator[tuple[str, str]]:
    imported = module.values("import_ns")
    # What a corrupt module imports is not known.
    for symbol in () if module.errors else _offered(module.needs, offers):
        offer = offers[symbol]
        if offer.namespace and offer.namespace not in imported:
            if not offer.namespace.startswith(MODULE_NAMESPACE):
                yield symbol, f"{symbol} of {offer.module} is in {offer.namespace}"
            elif not listed(module.name, offer.namespace):
                yield symbol, f"{symbol} of {offer.module} is for {offer.namespace} alone"


def _told(tree: ModuleTree, offers: Offers, faults: Faults, what: str) -> Iterator[Evidence]:
    """One finding for each module with such faults."""
    return capped(_each(tree, offers, faults, what), "modules", tree.location(""))


def _each(tree: ModuleTree, offers: Offers, faults: Faults, what: str) -> Iterator[Evidence]:
    for module in depmod_of(tree).modules:
        found = list(faults(module, offers))
        if found:
            at = (tree.location(module.path), *_provider(tree, offers[found[0][0]].module))
            message = f"{module.name} {what.format(counted(len(found), 'symbol'))}: it will not load, and "
            yield Evidence(message + impact(tree, module.name), at, actual=summarized([words for _, words in found]))


def _provider(tree: ModuleTree, name: str) -> tuple[Location, ...]:
    return () if name == KERNEL else (tree.location(path_of(tree, name)),)


def _beyond_modules(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Offers:
    """What the kernel exports and no module does."""
    modules = module_offers(tree)
    return {name: offer for name, offer in kernel_offers(kernel).items() if name not in modules}


_OTHER_CRC = "has other CRCs for {} than the exporter"
_FOR_GPL = "is not under the GPL and uses {} exported for the GPL alone"
_NOT_IMPORTED = "uses {} of namespaces that it does not import"


@check(Severity.ERROR)
def module_versions_are_those_of_other_modules(tree: ModuleTree) -> Iterator[Evidence]:
    """The CRCs that a module has in `__versions` are those of the modules that export the symbols.

    The kernel refuses the module (`disagrees about version of symbol`): the two come from different builds.
    Source: kernel/module/version.c, check_version().
    """
    return _told(tree, module_offers(tree), version_faults, _OTHER_CRC)


@check(Severity.ERROR)
def module_versions_are_those_of_the_kernel(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """The CRCs that a module has in `__versions` are those of the kernel's exports.

    The kernel refuses the module (`disagrees about version of symbol`): the two come from different builds.
    Source: kernel/module/version.c, check_version().
    """
    return _told(tree, _beyond_modules(tree, kernel), version_faults, _OTHER_CRC)


@check(Severity.ERROR)
def symbols_for_the_gpl_of_modules_are_used_under_it(tree: ModuleTree) -> Iterator[Evidence]:
    """A module that is not under a licence compatible with the GPL uses no symbol that a module exports for it alone.

    The kernel does not give it the symbol (`Unknown symbol`).
    Source: kernel/module/main.c, find_exported_symbol_in_section().
    """
    return _told(tree, module_offers(tree), licence_faults, _FOR_GPL)


@check(Severity.ERROR)
def symbols_for_the_gpl_of_the_kernel_are_used_under_it(
    tree: ModuleTree, kernel: Symvers | Vmlinux | Image
) -> Iterator[Evidence]:
    """A module that is not under a licence compatible with the GPL uses no symbol that the kernel exports for it alone.

    The kernel does not give it the symbol (`Unknown symbol`).
    Source: kernel/module/main.c, find_exported_symbol_in_section().
    """
    return _told(tree, _beyond_modules(tree, kernel), licence_faults, _FOR_GPL)


@check(Severity.ERROR)
def namespaces_of_modules_are_imported(tree: ModuleTree) -> Iterator[Evidence]:
    """A module imports the namespaces of the symbols of other modules that it uses.

    A namespace `module:a,b-*` lists the modules that may use the symbol; they need no import. The kernel refuses the
    module (`uses symbol from namespace ..., but does not import it`).
    Source: kernel/module/main.c, verify_namespace_is_imported().
    """
    return _told(tree, module_offers(tree), namespace_faults, _NOT_IMPORTED)


@check(Severity.ERROR)
def namespaces_of_the_kernel_are_imported(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """A module imports the namespaces of the kernel's symbols that it uses.

    A namespace `module:a,b-*` lists the modules that may use the symbol; they need no import. The kernel refuses the
    module (`uses symbol from namespace ..., but does not import it`).
    Source: kernel/module/main.c, verify_namespace_is_imported().
    """
    return _told(tree, _beyond_modules(tree, kernel), namespace_faults, _NOT_IMPORTED)


@check(Severity.INFO)
def imported_namespaces_are_exported(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """Somebody exports a symbol in every namespace that modules import.

    An import without exports does no harm; real kernels have some.
    Source: include/linux/module.h, MODULE_IMPORT_NS().
    """
    known = {offer.namespace for offers in (module_offers(tree), kernel_offers(kernel)) for offer in offers.values()}
    users: dict[str, list[str]] = {}
    for module in depmod_of(tree).modules:
        for namespace in module.values("import_ns"):
            if namespace not in known:
                users.setdefault(namespace, []).append(module.path)
    for namespace, paths in sorted(users.items()):
        message = f"nobody exports to the namespace {namespace}, which {counted(len(paths), 'module')} imported"
        yield Evidence(message, (tree.location(paths[0]),), actual=summarized(paths))


def _unresolved(tree: ModuleTree, kernel: Symvers | Vmlinux | Image, weak: bool) -> Iterator[Evidence]:
    found: dict[str, list[str]] = {}
    for one in depmod_of(tree).unresolved(kernel_offers(kernel).keys()):
        if one.weak == weak and one.module not in _lost(tree):
            found.setdefault(one.module, []).append(one.symbol)
    for module, symbols in found.items():
        words = "may do without" if weak else "needs"
        message = f"{module} {words} {counted(len(symbols), 'symbol')} that nobody exports"
        blast = "" if weak else f": it will not load, and {impact(tree, module)}"
        at = (tree.location(path_of(tree, module)), kernel.at())
        yield Evidence(message + blast, at, actual=summarized(symbols))


@lru_cache(maxsize=1)
def _lost(tree: ModuleTree) -> frozenset[str]:
    """The modules that, as modules.dep has it, need one that is gone or corrupt: that is a finding of its own."""
    modules, rows = depmod_of(tree).modules, tree.dep.by_path if tree.dep else {}
    sound = {module.path for module in modules if not module.errors}
    listed = (module for module in modules if module.path in rows)
    return frozenset(module.name for module in listed if not sound.issuperset(rows[module.path].needs))


@check(Severity.ERROR)
def needed_symbols_are_exported(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """Every symbol that a module needs is exported by a module or by the kernel.

    The kernel refuses the module (`Unknown symbol`). Weak symbols may stay unresolved.
    Source: kernel/module/main.c, simplify_symbols().
    """
    return capped(_unresolved(tree, kernel, False), "modules", tree.location(""))


@check(Severity.INFO)
def weak_symbols_are_exported(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """Every weak symbol that a module could use is exported.

    The module does without it.
    Source: kernel/module/main.c, simplify_symbols().
    """
    return capped(_unresolved(tree, kernel, True), "modules", tree.location(""))


@check(Severity.ERROR)
def modules_do_not_export_what_the_kernel_exports(
    tree: ModuleTree, kernel: Symvers | Vmlinux | Image
) -> Iterator[Evidence]:
    """No module exports a symbol that the kernel itself exports.

    The kernel refuses the module (`exports duplicate symbol ... (owned by kernel)`).
    Source: kernel/module/main.c, verify_exported_symbols().
    """
    offers = kernel_offers(kernel)
    found: dict[str, list[str]] = {}
    for name, offer in module_offers(tree).items():
        if name in offers:
            found.setdefault(offer.module, []).append(name)
    for module, names in found.items():
        message = f"{module} exports {counted(len(names), 'symbol')} of the kernel: it will not load, and "
        at = (tree.location(path_of(tree, module)), kernel.at())
        yield Evidence(message + impact(tree, module), at, actual=summarized(names))


@check(Severity.ERROR)
def vermagic_is_the_kernels(tree: ModuleTree, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """The vermagic of the modules is a string of the kernel.

    The kernel compares the two, without the release when there are versions, and refuses the module (`version magic ...
    should be ...`).
    Source: kernel/module/main.c, check_modinfo().
    """
    # A module that has another than most is a finding of its own.
    for vermagic, count in vermagics(tree).most_common(1):
        text = vermagic.encode("utf-8", "surrogateescape") + b"\0"
        if next(kernel.source.find(text), None) is None:
            message = f"the kernel has another vermagic than {counted(count, 'module')}: they will not load"
            yield Evidence(message, (tree.location(""), kernel.at()), expected=vermagic)
