"""Who exports a symbol in a running kernel: the kernel itself, or modules that are loaded.

Source: kernel/module/main.c, find_symbol().
"""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.views.loader.kernel import KernelExport, TargetKernel
from kinspect.views.loader.preflight import PreparedModule


class LoadedModule(NamedTuple):
    """A module that is loaded (`sure`), or whose verdict is unknown."""

    module: PreparedModule
    taints: frozenset[str]
    sure: bool


class FoundExport(NamedTuple):
    """An export, and the module that it belongs to; None for the kernel."""

    export: KernelExport
    module: LoadedModule | None


class Exporters:
    """The exports of a kernel and of the modules that are loaded."""

    def __init__(self, kernel: TargetKernel) -> None:
        self.kernel = kernel
        self._modules: dict[str, list[LoadedModule]] = {}
        self.plain = {name: export.crc for name, export in kernel.exports.items() if self._is_plain(export)}
        """The CRCs of exports that any module may use that has the same CRC: those that are found first, in no
        namespace. Without MODVERSIONS the CRCs do not matter."""

    def _is_plain(self, export: KernelExport) -> bool:
        return not export.namespace and (export.crc is not None or not self.kernel.modversions)

    def add(self, loaded: LoadedModule) -> None:
        """Add the exports of a module."""
        for symbol, export in loaded.module.exports.items():
            # The kernel searches the newest module first.
            self._modules.setdefault(symbol, []).insert(0, loaded)
            if symbol in self.kernel.exports:
                continue
            if loaded.sure and self._is_plain(export):
                self.plain[symbol] = export.crc
            else:
                self.plain.pop(symbol, None)

    def remove(self, gone: LoadedModule) -> None:
        """Remove the exports of a module."""
        for symbol in gone.module.exports:
            self._modules[symbol] = [other for other in self._modules[symbol] if other is not gone]
            if symbol not in self.kernel.exports:
                self.plain.pop(symbol, None)

    def of(self, symbol: str) -> Iterator[FoundExport]:
        """The exports of that name, in the order in which the kernel searches."""
        export = self.kernel.exports.get(symbol)
        if export is not None:
            yield FoundExport(export, None)
        for loaded in self._modules.get(symbol, ()):
            yield FoundExport(loaded.module.exports[symbol], loaded)
