"""Module.symvers compared with the exports of the kernel, or of modules. One comparison serves both."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.exports import Export
from kinspect.views.tables.raw_exports import kernel_exports

TOLERANCE = 20
"""Two files still count as one build when at most 20 exports differ, or one export in 20."""


class Difference(StrEnum):
    """How a line of Module.symvers and an export differ."""

    MISSING = "missing"  # an export without a line
    EXTRA = "extra"  # a line without an export
    MODULE = "module"
    CRC = "CRC"
    LICENCE = "licence"
    NAMESPACE = "namespace"


class DifferingExport(NamedTuple):
    """One difference. `module` exports the name, or should; `line` is None when no line has the name.

    `expected` is the value in the binary, `actual` the one in Module.symvers.
    """

    difference: Difference
    name: str
    module: str
    line: int | None
    expected: str
    actual: str


class ExportComparison(NamedTuple):
    """Module.symvers compared with some exports: the number of exports, of lines for them, and every difference."""

    exports: int
    rows: int
    differences: tuple[DifferingExport, ...]

    def of(self, *kinds: Difference) -> list[DifferingExport]:
        """The differences of some kinds."""
        return [found for found in self.differences if found.difference in kinds]

    @property
    def differing(self) -> int:
        """How many names differ in any way."""
        return len({found.name for found in self.differences})

    @property
    def one_build(self) -> bool:
        """Whether both can come from one build, apart from a few faults."""
        return self.differing <= max(TOLERANCE, max(self.exports, self.rows) // TOLERANCE)


class KernelMatchFacts(NamedTuple):
    """How a Module.symvers matches a kernel. `tables` with their number of exports, `differences` with their count."""

    symvers: str
    other: str
    exports: int
    rows: int
    tables: tuple[tuple[str, int], ...]
    differences: tuple[tuple[str, int], ...]
    one_build: bool


def against_kernel(symvers: Symvers, kernel: Vmlinux | Image) -> ExportComparison:
    """The lines of vmlinux compared with the exports of a kernel; those of an external module differ in nothing.

    Raises as `kernel_exports` does.
    """
    return kernel.cached(_against_symvers, symvers)


def _against_symvers(kernel: Vmlinux | Image, symvers: Symvers) -> ExportComparison:
    found = kernel_exports(kernel)
    if symvers.external:
        return ExportComparison(len(found.exports), 0, ())
    return _compared(symvers, [(KERNEL, found.exports)], found.licensed, True)


def against_modules(symvers: Symvers, modules: Iterable[tuple[str, Iterable[Export]]]) -> ExportComparison:
    """The lines of modules compared with the exports of each, given with its path as Module.symvers writes it.

    That path is relative to the build, and without `.ko`: `drivers/net/tun`.
    """
    return _compared(symvers, modules, True, False)


def kernel_match_facts(symvers: Symvers, kernel: Vmlinux | Image) -> KernelMatchFacts:
    """The comparison with a kernel in numbers. Raises as `kernel_exports` does."""
    found = against_kernel(symvers, kernel)
    return KernelMatchFacts(
        symvers.path,
        kernel.path,
        found.exports,
        found.rows,
        tuple((table.name, len(table.exports)) for table in kernel_exports(kernel).tables),
        tuple((kind.value, len(found.of(kind))) for kind in Difference),
        found.one_build,
    )


def _compared(
    symvers: Symvers, exporters: Iterable[tuple[str, Iterable[Export]]], licensed: bool, kernel: bool
) -> ExportComparison:
    rows, index = symvers.rows, symvers.index
    broken = {line.fields[1] for line in symvers.broken if len(line.fields) > 1}
    found: list[DifferingExport] = []
    elsewhere: list[tuple[str, str, int]] = []
    seen: set[str] = set()
    exports = 0
    for module, exported in exporters:
        for export in exported:
            exports += 1
            at = index.get(export.name)
            # A line that cannot be read, or that has no module, is a finding of its own.
            if at is None:
                if export.name not in broken:
                    found.append(DifferingExport(Difference.MISSING, export.name, module, None, "a line", "none"))
            elif rows.modules[at] != module:
                if rows.modules[at]:
                    elsewhere.append((export.name, module, at))
            else:
                seen.add(export.name)
                found += _differences(symvers, export, module, at, licensed)
    # A name that several modules export has a line for one of them; duplicates are another check's matter.
    for name, module, at in elsewhere:
        if name not in seen:
            seen.add(name)
            line = rows.numbers[at]
            found.append(DifferingExport(Difference.MODULE, name, module, line, module, rows.modules[at]))
    scope = [at for name, at in index.items() if name and (rows.modules[at] == KERNEL) == kernel]
    found += (
        DifferingExport(Difference.EXTRA, rows.names[at], rows.modules[at], rows.numbers[at], "no line", "a line")
        for at in scope
        if rows.names[at] not in seen and rows.modules[at]
    )
    return ExportComparison(exports, len(scope), tuple(found))


def _differences(symvers: Symvers, export: Export, module: str, at: int, licensed: bool) -> list[DifferingExport]:
    """The differences between an export and its line. A field that cannot be read is a finding of its own."""
    rows = symvers.rows
    found: list[tuple[Difference, str, str]] = []
    crc, expected_crc = rows.crcs[at], export.crc or 0
    if crc is not None and crc != expected_crc:
        found.append((Difference.CRC, f"{expected_crc:#010x}", f"{crc:#010x}"))
    if licensed and symvers.gpl[at] != export.gpl and rows.types[at] in symvers.known_types:
        found.append((Difference.LICENCE, "EXPORT_SYMBOL_GPL" if export.gpl else "EXPORT_SYMBOL", rows.types[at]))
    if rows.namespaces[at] != export.namespace:
        found.append((Difference.NAMESPACE, export.namespace or "none", rows.namespaces[at] or "none"))
    return [
        DifferingExport(kind, export.name, module, rows.numbers[at], expected, actual)
        for kind, expected, actual in found
    ]
