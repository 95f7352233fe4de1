"""The two kernels that are compared: their exports, and the types of kernel and modules where these are at hand."""

import os
from collections.abc import Iterable
from functools import cached_property

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.dwarf.variables import VariableType, variable_types
from kinspect.artifacts.elf.debug_file import has_dwarf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.exports import Export
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.errors import UnsupportedError
from kinspect.source import Source
from kinspect.views.abi.causes import ChangedFunctions
from kinspect.views.abi.comparison import ExportTypes, TypeComparison
from kinspect.views.abi.definitions import Definitions
from kinspect.views.btf.kernel import kernel_types, types_of
from kinspect.views.tables.raw_exports import kernel_exports

Kernel = Vmlinux | Image


class AbiSide:
    """One kernel: its exports, and the kernel and modules that are at hand for their types."""

    def __init__(
        self, path: str, symvers: Symvers | None, kernel: Kernel | None = None, tree: ModuleTree | None = None
    ) -> None:
        self.path, self.kernel, self.tree = path, kernel, tree
        self._symvers = symvers

    @property
    def kernel_alone(self) -> bool:
        """Whether the exports are those of the kernel itself: only a Module.symvers lists those of modules."""
        return self._symvers is None

    @cached_property
    def symvers(self) -> Symvers:
        """The exports. Without a Module.symvers those in the kernel; raises as `kernel_exports` does."""
        if self._symvers is not None:
            return self._symvers
        assert self.kernel is not None, self.path
        # Up to 5.10, __memcpy and others are exported twice.
        exports = {export.name: export for export in kernel_exports(self.kernel).exports}
        text = "".join(map(_line, exports.values()))
        found = Symvers(Source(self.path, text.encode("ascii", "surrogateescape")))
        found.from_kernel = True
        return found

    @cached_property
    def types(self) -> Definitions | None:
        """The types of the kernel; None when it is not at hand, or contains none."""
        try:
            return Definitions(kernel_types(self.kernel)) if self.kernel else None
        except UnsupportedError:
            return None

    @cached_property
    def _modules(self) -> dict[str, str]:
        """The path of each module by its name as Module.symvers writes it, without folders and suffix."""
        if self.tree is None:
            return {}
        return {file.name: os.path.join(self.tree.root, file.path) for file in self.tree.files}

    def of_module(self, module: str) -> Definitions | None:
        """The types of a module, named as in Module.symvers; None when it is not at hand, or contains none."""
        path = self._modules.get(module.rpartition("/")[2].replace("-", "_"))
        if path is None or self.types is None:
            return None
        try:
            return Definitions(types_of(Module(path), self.types.types), self.types)
        except UnsupportedError:
            return None


def _types_of_variables(vmlinux: Vmlinux, names: list[str]) -> dict[str, VariableType]:
    addresses = ((vmlinux.symbols.value(name), name) for name in names)
    return variable_types(vmlinux, {address: name for address, name in addresses if address is not None})


def _line(export: Export) -> str:
    """The line of an export in a Module.symvers."""
    kind = "EXPORT_SYMBOL_GPL" if export.gpl else "EXPORT_SYMBOL"
    return f"{export.crc or 0:#010x}\t{export.name}\t{KERNEL}\t{kind}\t{export.namespace}\n"


class AbiTypes:
    """What changed of the types of exports between two kernels."""

    def __init__(self, old: AbiSide, new: AbiSide) -> None:
        self.old, self.new = old, new
        self._of_modules: dict[str, TypeComparison | None] = {}
        self._found: dict[str, ExportTypes | None] = {}

    @cached_property
    def kernel(self) -> TypeComparison | None:
        """The types of the kernels; None when one has none."""
        if self.old.types is None or self.new.types is None:
            return None
        by_crc = self.old.symvers.versioned and self.new.symvers.versioned
        return TypeComparison(self.old.types, self.new.types, by_crc=by_crc)

    def comparison(self, module: str) -> TypeComparison | None:
        """The types behind the exports of a module, or of the kernel."""
        if module == KERNEL or self.kernel is None:
            return self.kernel
        if module not in self._of_modules:
            old, new = self.old.of_module(module), self.new.of_module(module)
            self._of_modules[module] = TypeComparison(old, new, self.kernel) if old and new else None
        return self._of_modules[module]

    def of(self, name: str, module: str) -> ExportTypes | None:
        """What changed for an export; None when its types are not known."""
        if name not in self._found:
            comparison = self.comparison(module)
            found = comparison.of_export(name) if comparison else None
            if found is None and self.kernel and module == KERNEL:
                old, new = (variables.get(name) for variables in self._variables)
                found = self.kernel.of_variable(name, old, new) if old and new else None
            self._found[name] = found
        return self._found[name]

    @cached_property
    def _variables(self) -> tuple[dict[str, VariableType], dict[str, VariableType]]:
        """The types of the exported variables that may have changed, where both kernels have DWARF."""
        sides = self.old, self.new
        kernels = [side.kernel for side in sides if isinstance(side.kernel, Vmlinux) and has_dwarf(side.kernel)]
        if len(kernels) < 2:
            return {}, {}
        old, new = self.old.symvers, self.new.symvers
        functions = [side.types.functions if side.types else {} for side in sides]
        names = [
            name
            for name, at in old.index.items()
            if name in new.index and old.rows.modules[at] == KERNEL and not any(name in known for known in functions)
            and (old.rows.crcs[at] != new.rows.crcs[new.index[name]] or not (old.versioned and new.versioned))
        ]  # fmt: skip
        found = [_types_of_variables(kernel, names) for kernel in kernels]
        return found[0], found[1]

    def reason(self, name: str) -> str:
        """Why the types of an export are not known."""
        symvers = self.old.symvers
        module = symvers.rows.modules[symvers.index[name]]
        if module != KERNEL and self.comparison(module) is None:
            return "exports of modules that are not at hand, or have no type information"
        if not any(self._variables):
            return "variables, or functions without type information (with a vmlinux that has DWARF, more is known)"
        return "variables and functions without type information"

    def groups(self, changed: Iterable[tuple[str, str]], kept: Iterable[tuple[str, str]]) -> list[ChangedFunctions]:
        """Some changed exports, (name, module), each with the comparison of its types.

        Of the others, `kept`, those are counted that reach a type that changed.
        """
        found: dict[str, dict[str, ExportTypes | None]] = {KERNEL: {}}
        for name, module in changed:
            found.setdefault(module if self.comparison(module) else KERNEL, {})[name] = self.of(name, module)
        unharmed = sum(bool(types and types.changed) for types in (self.of(*export) for export in kept))
        groups = []
        for module, exports in found.items():
            comparison = self.comparison(module)
            if comparison:
                groups.append(ChangedFunctions(comparison, exports, unharmed if module == KERNEL else 0))
        return groups
