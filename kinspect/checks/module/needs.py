"""Checks of what modules need from each other and from the kernel: symbols, their CRCs, licences and namespaces.

The kernel may be a vmlinux, a raw Image, or the lines of `vmlinux` in a Module.symvers. Modules and the kernel export
symbols in the same way: one function checks both.
"""

from collections.abc import Callable, Iterator
from functools import partial

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.module.exports import (
    Faults,
    Offers,
    kernel_offers,
    licence_faults,
    module_offers,
    namespace_faults,
    version_faults,
)
from kinspect.checks.wording import counted, impact, summarized
from kinspect.errors import Location
from kinspect.views.depmod.tree import depmod_of, path_of, vermagics


def _faulty(tree: ModuleTree, offers: Offers, faults: Faults, phrase: str) -> Iterator[Evidence]:
    """One finding for each module with such faults."""
    return capped(_each(tree, offers, faults, phrase), "modules", tree.location(""))


def _each(tree: ModuleTree, offers: Offers, faults: Faults, phrase: str) -> Iterator[Callable[[], Evidence]]:
    def evidence(module: ModuleSummary, found: list[tuple[str, str]]) -> Evidence:
        at = (tree.location(module.path), *_provider(tree, offers[found[0][0]].module))
        fault = f"{module.name} {phrase.format(counted(len(found), 'symbol'))}"
        symbols = summarized([symbol for _, symbol in found])
        return Evidence(f"{fault}: {symbols}; it will not load, and {impact(tree, module.name)}", at)

    for module in depmod_of(tree).modules:
        found = list(faults(module, offers))
        if found:
            yield partial(evidence, module, found)


def _provider(tree: ModuleTree, name: str) -> tuple[Location, ...]:
    return () if name == KERNEL else (tree.location(path_of(tree, name)),)


def _beyond_modules(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Offers:
    """What the kernel exports and modules do not."""
    modules = tree.cached(module_offers)
    return {name: offer for name, offer in kernel.cached(kernel_offers).items() if name not in modules}


_LAYOUT = "module_layout"
_OTHER_CRC = "does not have the exporter's CRC of {}"
_FOR_GPL = "has no GPL-compatible licence, but uses {} exported with EXPORT_SYMBOL_GPL"
_NOT_IMPORTED = "uses {} from namespaces that it does not import"


@check(Severity.ERROR)
def module_versions_are_those_of_other_modules(tree: ModuleTree) -> Iterator[Evidence]:
    """The CRCs in a module's `__versions` are those of the modules that export the symbols.

    Otherwise the modules come from different builds, and the kernel refuses the module (`disagrees about version of
    symbol`). Build it again, with the Module.symvers of the modules that it uses.
    Source: kernel/module/version.c, check_version().
    """
    return _faulty(tree, tree.cached(module_offers), version_faults, _OTHER_CRC)


@check(Severity.ERROR)
def module_versions_are_those_of_the_kernel(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """The CRCs in a module's `__versions` are those of the kernel's exports.

    Otherwise module and kernel come from different builds, and the kernel refuses the module (`disagrees about version
    of symbol`). Build the module for this kernel, or install the kernel that it was built for.
    Source: kernel/module/version.c, check_version().
    """
    offers = _beyond_modules(tree, kernel)
    layout = offers.get(_LAYOUT)
    modules = depmod_of(tree).modules
    other = [module.name for module in modules if layout and module.versions.get(_LAYOUT, layout.crc) != layout.crc]
    # The modules of another build all have another struct module, most often.
    if layout and layout.crc is not None and len(other) > 1 and 2 * len(other) > len(modules):
        message = f"not the same build: {counted(len(other), 'module')} with a different CRC of {_LAYOUT}"
        yield Evidence(f"{message}: {summarized(other)}; they will not load", (tree.location(""), kernel.at()))
    else:
        yield from _faulty(tree, offers, version_faults, _OTHER_CRC)


@check(Severity.ERROR)
def symbols_for_the_gpl_of_modules_are_used_under_it(tree: ModuleTree) -> Iterator[Evidence]:
    """A module without a GPL-compatible licence uses no EXPORT_SYMBOL_GPL symbol of another module.

    The kernel does not resolve the symbol and refuses the module (`Unknown symbol`). Use other interfaces, or license
    the module under the GPL.
    Source: kernel/module/main.c, find_exported_symbol_in_section().
    """
    return _faulty(tree, tree.cached(module_offers), licence_faults, _FOR_GPL)


@check(Severity.ERROR)
def symbols_for_the_gpl_of_the_kernel_are_used_under_it(
    tree: ModuleTree, kernel: Symvers | Vmlinux | Image
) -> Iterator[Evidence]:
    """A module without a GPL-compatible licence uses no EXPORT_SYMBOL_GPL symbol of the kernel.

    The kernel does not resolve the symbol and refuses the module (`Unknown symbol`). Use other interfaces, or license
    the module under the GPL.
    Source: kernel/module/main.c, find_exported_symbol_in_section().
    """
    return _faulty(tree, _beyond_modules(tree, kernel), licence_faults, _FOR_GPL)


@check(Severity.ERROR)
def namespaces_of_modules_are_imported(tree: ModuleTree) -> Iterator[Evidence]:
    """A module imports the namespaces of the symbols that it uses from other modules.

    Otherwise the kernel refuses it (`uses symbol from namespace ..., but does not import it`). Add MODULE_IMPORT_NS().
    A namespace `module:a,b-*` is not imported: it lists the modules that may use the symbol; all others may not.
    Source: kernel/module/main.c, verify_namespace_is_imported().
    """
    return _faulty(tree, tree.cached(module_offers), namespace_faults, _NOT_IMPORTED)


@check(Severity.ERROR)
def namespaces_of_the_kernel_are_imported(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """A module imports the namespaces of the symbols that it uses from the kernel.

    Otherwise the kernel refuses it (`uses symbol from namespace ..., but does not import it`). Add MODULE_IMPORT_NS().
    A namespace `module:a,b-*` is not imported: it lists the modules that may use the symbol; all others may not.
    Source: kernel/module/main.c, verify_namespace_is_imported().
    """
    return _faulty(tree, _beyond_modules(tree, kernel), namespace_faults, _NOT_IMPORTED)


@check(Severity.INFO)
def imported_namespaces_are_exported(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """Every namespace that a module imports has an export in the kernel or in a module.

    An import of a namespace without exports does no harm, and real kernels have some. It may be misspelled, or left
    over from code that was removed: correct or remove the MODULE_IMPORT_NS().
    Source: include/linux/module.h, MODULE_IMPORT_NS().
    """
    known = {
        offer.namespace
        for offers in (tree.cached(module_offers), kernel.cached(kernel_offers))
        for offer in offers.values()
    }
    users: dict[str, list[str]] = {}
    for module in depmod_of(tree).modules:
        for namespace in module.values("import_ns"):
            if namespace not in known:
                users.setdefault(namespace, []).append(module.path)
    for namespace, paths in sorted(users.items()):
        message = f"the imported namespace {namespace} has no exports; imported by {summarized(paths)}"
        yield Evidence(message, (tree.location(paths[0]),))


def _unresolved(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Callable[[], Evidence]]:
    def evidence(module: str, symbols: list[str]) -> Evidence:
        at = (tree.location(path_of(tree, module)), kernel.at())
        message = f"{module} needs {counted(len(symbols), 'symbol')} that nothing exports: {summarized(symbols)}"
        return Evidence(f"{message}; it will not load, and {impact(tree, module)}", at)

    found: dict[str, list[str]] = {}
    lost = tree.cached(_lost)
    for one in depmod_of(tree).unresolved(kernel.cached(kernel_offers).keys()):
        if not one.weak and one.module not in lost:
            found.setdefault(one.module, []).append(one.symbol)
    return (partial(evidence, module, symbols) for module, symbols in found.items())


def _weak(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """One finding for each weak symbol."""
    users: dict[str, list[str]] = {}
    lost = tree.cached(_lost)
    for one in depmod_of(tree).unresolved(kernel.cached(kernel_offers).keys()):
        if one.weak and one.module not in lost:
            users.setdefault(one.symbol, []).append(one.module)
    for symbol, modules in users.items():
        message = f"weak symbol {symbol} is not exported by anything (allowed): used by {summarized(modules)}"
        yield Evidence(message, (tree.location(path_of(tree, modules[0])), kernel.at()))


def _lost(tree: ModuleTree) -> frozenset[str]:
    """The modules that, according to modules.dep, need one that is missing or corrupt: another check reports these."""
    modules, rows = depmod_of(tree).modules, tree.dep.by_path if tree.dep else {}
    sound = {module.path for module in modules if not module.errors}
    listed = (module for module in modules if module.path in rows)
    return frozenset(module.name for module in listed if not sound.issuperset(rows[module.path].needs))


@check(Severity.ERROR)
def needed_symbols_are_exported(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """Every symbol that a module needs is exported by a module or by the kernel.

    Otherwise the kernel refuses the module (`Unknown symbol`). The module that exports the symbol is not installed, or
    the kernel was built without an option that the module depends on. Weak symbols may stay unresolved.
    Source: kernel/module/main.c, simplify_symbols().
    """
    return capped(_unresolved(tree, kernel), "modules", tree.location(""))


@check(Severity.INFO)
def weak_symbols_are_exported(tree: ModuleTree, kernel: Symvers | Vmlinux | Image) -> Iterator[Evidence]:
    """Every weak symbol that a module refers to is exported.

    A module also works without its weak symbols, so this is allowed. It may lack a feature that it has on a kernel with
    the symbol.
    Source: kernel/module/main.c, simplify_symbols().
    """
    return capped(_weak(tree, kernel), "symbols", tree.location(""))


@check(Severity.ERROR)
def modules_do_not_export_what_the_kernel_exports(
    tree: ModuleTree, kernel: Symvers | Vmlinux | Image
) -> Iterator[Evidence]:
    """No module exports a symbol that the kernel itself exports.

    The kernel refuses the module (`exports duplicate symbol ... (owned by kernel)`). The code is built in as well: the
    module is left over from an earlier configuration, and can be deleted.
    Source: kernel/module/main.c, verify_exported_symbols().
    """
    offers = kernel.cached(kernel_offers)
    found: dict[str, list[str]] = {}
    for name, offer in tree.cached(module_offers).items():
        if name in offers:
            found.setdefault(offer.module, []).append(name)
    for module, names in found.items():
        message = f"{module} exports {counted(len(names), 'symbol')} that the kernel exports too: {summarized(names)}"
        at = (tree.location(path_of(tree, module)), kernel.at())
        yield Evidence(f"{message}; it will not load, and {impact(tree, module)}", at)


@check(Severity.ERROR)
def vermagic_is_the_kernels(tree: ModuleTree, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """The vermagic of the modules is the kernel's; the release may differ if the modules have CRCs.

    The kernel compares the two (without the release if both have MODVERSIONS) and refuses a module with a different one
    (`version magic ... should be ...`). Build the modules for this kernel. kinspect finds the kernel's vermagic by
    searching its bytes.
    Source: kernel/module/main.c, check_modinfo().
    """
    # Another check reports modules whose vermagic is not that of most.
    for vermagic, count in vermagics(tree).most_common(1):
        modules = (one for one in depmod_of(tree).modules if one.values("vermagic")[:1] == [vermagic])
        versioned = "modversions" in vermagic.split() and all(one.versions for one in modules)
        compared = vermagic[vermagic.find(" ") :] if versioned else vermagic
        text = compared.encode("utf-8", "surrogateescape") + b"\0"
        if next(kernel.source.find(text), None) is None:
            pronoun = "it" if count == 1 else "they"
            message = f"the vermagic of {counted(count, 'module')} is not that of the kernel: {pronoun} will not load"
            yield Evidence(message, (tree.location(""), kernel.at()), actual=vermagic.strip())
