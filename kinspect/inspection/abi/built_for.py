"""Modules on a kernel, with the kernel that they were built for: which types differ."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.inspection.build.opening import open_kernel
from kinspect.inspection.package.taken import KERNEL, Packages
from kinspect.inspection.report import Path, Report, run_checks

if TYPE_CHECKING:
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.artifacts.module.ko import Module
    from kinspect.views.abi.built_for import BuiltForFacts
    from kinspect.views.abi.causes import AbiCauses


def built_for(kernel: Path, modules: Sequence[Path], original: Path) -> "Report[BuiltForFacts]":
    """Which types modules, or folders of modules, would see with another layout on a kernel than on the `original`.

    UnsupportedError when one of the kernels has no type information; raises KinspectError otherwise.
    """
    with Packages() as packages:
        given = packages.file(kernel, *KERNEL), list(map(packages.folder, modules)), packages.file(original, *KERNEL)
        return packages.named(_built_for_report(*given))


def _built_for_report(kernel: Path, modules: Sequence[Path], original: Path) -> "Report[BuiltForFacts]":
    from kinspect.views.abi.built_for import built_for_facts
    from kinspect.views.abi.comparison import TypeComparison
    from kinspect.views.abi.definitions import Definitions
    from kinspect.views.btf.kernel import kernel_types

    old, new = open_kernel(original), open_kernel(kernel)
    crcs = _crcs(new)
    types = kernel_types(old), kernel_types(new)
    comparison = TypeComparison(Definitions(types[0]), Definitions(types[1]), by_crc=bool(crcs))
    facts = built_for_facts((old.path, new.path), comparison, _modules(modules), crcs, _crcs(old))
    if facts.modules and facts.foreign == facts.modules:
        problem = f"not the kernel that {'these modules were' if facts.modules > 1 else 'this module was'} built for"
        raise MalformedError(f"{problem} (the CRCs differ)", Location("--built-for"), actual=old.path)
    return Report((facts,)) + run_checks((facts,), "module.built_for")


def _crcs(kernel: "Vmlinux | Image") -> dict[str, int]:
    """The CRCs of the exports of a kernel; none without MODVERSIONS."""
    from kinspect.views.tables.raw_exports import kernel_exports

    try:
        return {export.name: export.crc for export in kernel_exports(kernel).exports if export.crc}
    except UnsupportedError:
        return {}  # a vmlinux with nothing but types


def _modules(paths: Sequence[Path]) -> "Iterator[Module]":
    from kinspect.artifacts.module.ko import Module
    from kinspect.artifacts.module.tree import ModuleTree

    for path in paths:
        if os.path.isdir(path):
            tree = ModuleTree(path)
            yield from (Module(os.path.join(tree.root, file.path)) for file in tree.files)
        else:
            yield Module(path)


def symvers_built_for(symvers: Path, kernel: Path, original: Path) -> "Report[AbiCauses]":
    """Why the CRCs of a Module.symvers differ from those of a kernel. Its types are in the `original` kernel.

    Raises KinspectError.
    """
    from kinspect.artifacts.build.symvers import Symvers
    from kinspect.inspection.abi.comparison import compared_sides
    from kinspect.views.abi.causes import AbiCauses
    from kinspect.views.abi.sides import AbiSide
    from kinspect.views.btf.kernel import kernel_types

    old, new = open_kernel(original), open_kernel(kernel)
    # Without types there is nothing to explain.
    for side in (old, new):
        kernel_types(side)
    table, crcs = Symvers(symvers), _crcs(old)
    pairs = zip(table.rows.names, table.rows.crcs, strict=True)
    if any(crc and crcs.get(name, crc) != crc for name, crc in pairs):
        problem = "not the kernel that this Module.symvers belongs to (the CRCs differ)"
        raise MalformedError(problem, Location("--built-for"), actual=old.path)
    report = compared_sides(AbiSide(os.fspath(symvers), table, old), AbiSide(new.path, None, new))
    return Report(tuple(report.facts_of(AbiCauses)))
