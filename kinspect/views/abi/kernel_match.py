"""Module.symvers held against what really exports: the kernel, or modules. One comparison serves both."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.exports import Export
from kinspect.views.tables.raw_exports import kernel_exports

FEW = 20
"""So many exports may differ, and of many exports one in so many, in what still looks like one build."""


class MismatchKind(StrEnum):
    """In what a line and an export differ."""

    MISSING = "missing"  # an export without a line
    EXTRA = "extra"  # a line without an export
    MODULE = "module"
    CRC = "CRC"
    LICENCE = "licence"
    NAMESPACE = "namespace"


class Mismatch(NamedTuple):
    """One difference. `module` exports the name, or should; `line` is None where no line has it.

    `expected` is what the binary says, `actual` what Module.symvers says.
    """

    what: MismatchKind
    name: str
    module: str
    line: int | None
    expected: str
    actual: str


class Match(NamedTuple):
    """Module.symvers held against some exports: how many there are on either side, and what differs."""

    exports: int
    rows: int
    mismatches: tuple[Mismatch, ...]

    def of(self, *what: MismatchKind) -> list[Mismatch]:
        """The differences of some kinds."""
        return [mismatch for mismatch in self.mismatches if mismatch.what in what]

    @property
    def differing(self) -> int:
        """How many names differ in any way."""
        return len({mismatch.name for mismatch in self.mismatches})

    @property
    def one_build(self) -> bool:
        """Whether the two can be of one build, with some faults at most."""
        return self.differing <= max(FEW, max(self.exports, self.rows) // FEW)


class AgainstFacts(NamedTuple):
    """A comparison in numbers: of each kind of difference how many; `tables` with their numbers of exports."""

    symvers: str
    other: str
    exports: int
    rows: int
    tables: tuple[tuple[str, int], ...]
    differences: tuple[tuple[str, int], ...]
    one_build: bool


def against_kernel(symvers: Symvers, kernel: Vmlinux | Image) -> Match:
    """The lines of vmlinux compared with the exports of a kernel. Raises as `kernel_exports` does."""
    return kernel.cached(_against_symvers, symvers)


def _against_symvers(kernel: Vmlinux | Image, symvers: Symvers) -> Match:
    found = kernel_exports(kernel)
    return _compared(symvers, [(KERNEL, found.exports)], found.licensed, True)


def against_modules(symvers: Symvers, modules: Iterable[tuple[str, Iterable[Export]]]) -> Match:
    """The lines of modules held against what they export, each with its path as Module.symvers has it.

    That is relative to the build, and without `.ko`: `drivers/net/tun`.
    """
    return _compared(symvers, modules, True, False)


def against_facts(symvers: Symvers, kernel: Vmlinux | Image) -> AgainstFacts:
    """The comparison with a kernel in numbers. Raises as `kernel_exports` does."""
    found = against_kernel(symvers, kernel)
    return AgainstFacts(
        symvers.path,
        kernel.path,
        found.exports,
        found.rows,
        tuple((table.name, len(table.exports)) for table in kernel_exports(kernel).tables),
        tuple((what.value, len(found.of(what))) for what in MismatchKind),
        found.one_build,
    )


def _compared(
    symvers: Symvers, provided: Iterable[tuple[str, Iterable[Export]]], licensed: bool, kernel: bool
) -> Match:
    rows, index = symvers.rows, symvers.index
    broken = {line.fields[1] for line in symvers.broken if len(line.fields) > 1}
    found: list[Mismatch] = []
    elsewhere: list[tuple[str, str, int]] = []
    seen: set[str] = set()
    exports = 0
    for module, exported in provided:
        for export in exported:
            exports += 1
            at = index.get(export.name)
            # A line that cannot be read, or has no module, is a finding of its own.
            if at is None:
                if export.name not in broken:
                    found.append(Mismatch(MismatchKind.MISSING, export.name, module, None, "a line", "none"))
            elif rows.modules[at] != module:
                if rows.modules[at]:
                    elsewhere.append((export.name, module, at))
            else:
                seen.add(export.name)
                _compare(symvers, export, module, at, licensed, found)
    # A name that several export has its line for one of them; that there are several is not for here.
    for name, module, at in elsewhere:
        if name not in seen:
            seen.add(name)
            found.append(Mismatch(MismatchKind.MODULE, name, module, rows.numbers[at], module, rows.modules[at]))
    scope = [at for name, at in index.items() if name and (rows.modules[at] == KERNEL) == kernel]
    found += (
        Mismatch(MismatchKind.EXTRA, rows.names[at], rows.modules[at], rows.numbers[at], "no line", "a line")
        for at in scope
        if rows.names[at] not in seen and rows.modules[at]
    )
    return Match(exports, len(scope), tuple(found))


def _compare(symvers: Symvers, export: Export, module: str, at: int, licensed: bool, found: list[Mismatch]) -> None:
    """The differences between an export and its line. What cannot be read in the line is a finding of its own."""
    rows = symvers.rows
    crc, wanted = rows.crcs[at], export.crc or 0
    if crc is not None and crc != wanted:
        found.append(
            Mismatch(MismatchKind.CRC, export.name, module, rows.numbers[at], f"{wanted:#010x}", f"{crc:#010x}")
        )
    if licensed and symvers.gpl[at] != export.gpl and rows.types[at] in symvers.known_types:
        words = ("EXPORT_SYMBOL_GPL" if export.gpl else "EXPORT_SYMBOL", rows.types[at])
        found.append(Mismatch(MismatchKind.LICENCE, export.name, module, rows.numbers[at], *words))
    if rows.namespaces[at] != export.namespace:
        words = (export.namespace or "none", rows.namespaces[at] or "none")
        found.append(Mismatch(MismatchKind.NAMESPACE, export.name, module, rows.numbers[at], *words))
