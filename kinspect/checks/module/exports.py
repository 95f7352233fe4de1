"""What modules and the kernel export, and which of these exports a module uses wrongly."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.views.depmod.tree import depmod_of
from kinspect.views.loader.verdict import GPL_COMPATIBLE, MODULE_NAMESPACE, listed
from kinspect.views.tables.raw_exports import kernel_exports


class Offer(NamedTuple):
    """An export as its users see it; `crc` is None without MODVERSIONS."""

    module: str
    crc: int | None
    gpl: bool
    namespace: str


Offers = Mapping[str, Offer]
Faults = Callable[[ModuleSummary, Offers], Iterator[tuple[str, str]]]
"""The symbols that a module uses wrongly, each with a description."""


def module_offers(tree: ModuleTree) -> Offers:
    """The exports of all modules, by name."""
    return {
        export.name: Offer(module.name, export.crc, export.gpl, export.namespace)
        for module in depmod_of(tree).modules
        for export in module.exports
    }


def kernel_offers(kernel: Symvers | Vmlinux | Image) -> Offers:
    """The exports of the kernel itself, by name. Raises as `Symvers.rows` and `kernel_exports` do."""
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
    """Symbols of which a module has another CRC than the exporter."""
    for symbol in _offered(module.versions, offers):
        crc, offer = module.versions[symbol], offers[symbol]
        if offer.crc is not None and offer.crc != crc:
            yield symbol, f"{symbol} of {offer.module} ({offer.crc:#010x}, not {crc:#010x})"


def _offered(names: dict[str, Any], offers: Offers) -> Iterator[str]:
    """The names that are exported, in their order."""
    shared = names.keys() & offers.keys()
    return filter(shared.__contains__, names) if shared else iter(())


def licence_faults(module: ModuleSummary, offers: Offers) -> Iterator[tuple[str, str]]:
    """EXPORT_SYMBOL_GPL symbols that a module uses without a compatible licence."""
    if not module.errors and "".join(module.values("license")[:1]) not in GPL_COMPATIBLE:
        for symbol, weak in module.needs.items():
            if not weak and (offer := offers.get(symbol)) and offer.gpl:
                yield symbol, f"{symbol} of {offer.module}"


def namespace_faults(module: ModuleSummary, offers: Offers) -> Iterator[tuple[str, str]]:
    """Symbols in namespaces that a module neither imports nor is named in."""
    imported = module.values("import_ns")
    # The imports of a corrupt module are unknown.
    for symbol in () if module.errors else _offered(module.needs, offers):
        offer = offers[symbol]
        if offer.namespace and offer.namespace not in imported:
            if not offer.namespace.startswith(MODULE_NAMESPACE):
                yield symbol, f"{symbol} of {offer.module} (in {offer.namespace})"
            elif not listed(module.name, offer.namespace):
                yield symbol, f"{symbol} of {offer.module} (only for {offer.namespace})"
