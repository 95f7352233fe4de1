"""kinspect: inspect the output of a Linux arm64 kernel build.

    report = kinspect.inspect("vmlinux", "arch/arm64/boot/Image")
    report.raise_for_findings()

Every public name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# What a type checker sees, and below it what is imported at run time: a test compares the two.
if TYPE_CHECKING:
    from kinspect.artifacts.artifact import Artifact as Artifact
    from kinspect.artifacts.boot.compressed import Compressed as Compressed
    from kinspect.artifacts.boot.image import Image as Image
    from kinspect.artifacts.boot.image import ImageFacts as ImageFacts
    from kinspect.artifacts.boot.parts import BootContainer as BootContainer
    from kinspect.artifacts.boot.parts import ContainerFacts as ContainerFacts
    from kinspect.artifacts.boot.zboot import Zboot as Zboot
    from kinspect.artifacts.btf.table import Btf as Btf
    from kinspect.artifacts.btf.table import BtfFacts as BtfFacts
    from kinspect.artifacts.build.kernel_config import KernelConfig as KernelConfig
    from kinspect.artifacts.build.kernel_config import KernelConfigFacts as KernelConfigFacts
    from kinspect.artifacts.build.symvers import Symvers as Symvers
    from kinspect.artifacts.build.symvers import SymversFacts as SymversFacts
    from kinspect.artifacts.build.system_map import SystemMap as SystemMap
    from kinspect.artifacts.build.system_map import SystemMapFacts as SystemMapFacts
    from kinspect.artifacts.dtb.blob import Dtb as Dtb
    from kinspect.artifacts.dtb.blob import DtbFacts as DtbFacts
    from kinspect.artifacts.elf.vmlinux import Vmlinux as Vmlinux
    from kinspect.artifacts.elf.vmlinux import VmlinuxFacts as VmlinuxFacts
    from kinspect.artifacts.kinds import open_artifact
    from kinspect.artifacts.module.facts import ModuleFacts as ModuleFacts
    from kinspect.artifacts.module.ko import Module as Module
    from kinspect.artifacts.module.tree import ModuleTree as ModuleTree
    from kinspect.artifacts.module.tree import ModuleTreeFacts as ModuleTreeFacts
    from kinspect.checks.check import Check as Check
    from kinspect.checks.check import Evidence as Evidence
    from kinspect.checks.check import Finding as Finding
    from kinspect.checks.check import Severity as Severity
    from kinspect.errors import FindingsError as FindingsError
    from kinspect.errors import KinspectError as KinspectError
    from kinspect.errors import Location as Location
    from kinspect.errors import MalformedError as MalformedError
    from kinspect.errors import TruncatedError as TruncatedError
    from kinspect.errors import UncheckedError as UncheckedError
    from kinspect.errors import UnreadableError as UnreadableError
    from kinspect.errors import UnsupportedError as UnsupportedError
    from kinspect.errors import UnwritableError as UnwritableError
    from kinspect.errors import WrongKindError as WrongKindError
    from kinspect.inspection.abi.comparison import abi as abi
    from kinspect.inspection.abi.types import types as types
    from kinspect.inspection.build.initramfs import initramfs as initramfs
    from kinspect.inspection.check import check as check
    from kinspect.inspection.dtb import dtb as dtb
    from kinspect.inspection.dtb import overlay as overlay
    from kinspect.inspection.kernel import diff as diff
    from kinspect.inspection.kernel import image as image
    from kinspect.inspection.kernel import symbols as symbols
    from kinspect.inspection.load import load as load
    from kinspect.inspection.log import log as log
    from kinspect.inspection.modules import depmod as depmod
    from kinspect.inspection.modules import module as module
    from kinspect.inspection.modules import modules as modules
    from kinspect.inspection.modules import symvers as symvers
    from kinspect.inspection.report import Report as Report
    from kinspect.inspection.report import inspect as inspect
    from kinspect.inspection.size import savings as savings
    from kinspect.inspection.size import size as size
    from kinspect.inspection.symbols.elf import elf as elf
    from kinspect.inspection.symbols.function import function_diff as function_diff
    from kinspect.inspection.symbols.hardening import hardening as hardening
    from kinspect.inspection.symbols.trace import trace as trace
    from kinspect.inspection.unpack import config as config
    from kinspect.inspection.unpack import unpack as unpack
    from kinspect.views.abi.built_for import BuiltForFacts as BuiltForFacts
    from kinspect.views.abi.causes import AbiCauses as AbiCauses
    from kinspect.views.abi.changes import AbiFacts as AbiFacts
    from kinspect.views.abi.kernel_match import KernelMatchFacts as KernelMatchFacts
    from kinspect.views.abi.symbols import ExportCauses as ExportCauses
    from kinspect.views.android.avb import VbmetaFacts as VbmetaFacts
    from kinspect.views.boot.coverage import CoverageFacts as CoverageFacts
    from kinspect.views.boot.placement import PlacementFacts as PlacementFacts
    from kinspect.views.btf.layout import TypeFacts as TypeFacts
    from kinspect.views.btf.search import MemberFacts as MemberFacts
    from kinspect.views.build.inventory import BuildFacts as BuildFacts
    from kinspect.views.buildlog.facts import BuildLogFacts as BuildLogFacts
    from kinspect.views.buildlog.output_folder import BuiltFacts as BuiltFacts
    from kinspect.views.changes.facts import KernelDifference as KernelDifference
    from kinspect.views.depmod.written import WrittenFacts as WrittenFacts
    from kinspect.views.diff.facts import DiffFacts as DiffFacts
    from kinspect.views.disassembly.facts import FunctionDifference as FunctionDifference
    from kinspect.views.dtb.nodes import DtbTreeFacts as DtbTreeFacts
    from kinspect.views.dtb.overlay import OverlayFacts as OverlayFacts
    from kinspect.views.filetype.line import FileFacts as FileFacts
    from kinspect.views.hardening.facts import HardeningFacts as HardeningFacts
    from kinspect.views.initramfs.contents import InitramfsFacts as InitramfsFacts
    from kinspect.views.kernel.config import ConfigFacts as ConfigFacts
    from kinspect.views.kernel.listed_symbols import PlacedFacts as PlacedFacts
    from kinspect.views.kernel.listed_symbols import SymbolsFacts as SymbolsFacts
    from kinspect.views.kernel.unpacked import PartFacts as PartFacts
    from kinspect.views.kernel.unpacked import UnpackedFacts as UnpackedFacts
    from kinspect.views.loader.facts import LoadFacts as LoadFacts
    from kinspect.views.loader.verdict import Outcome as Outcome
    from kinspect.views.loader.verdict import Verdict as Verdict
    from kinspect.views.rebuilt.facts import ElfFacts as ElfFacts
    from kinspect.views.savings.facts import SavingsFacts as SavingsFacts
    from kinspect.views.signing.authenticode import ImageSignatures as ImageSignatures
    from kinspect.views.signing.fit import FitSignatures as FitSignatures
    from kinspect.views.size.account import Sizes as Sizes
    from kinspect.views.size.grouped import GroupedSizes as GroupedSizes
    from kinspect.views.tables.entries import TableFacts as TableFacts
    from kinspect.views.tables.listing import TablesFacts as TablesFacts
    from kinspect.views.trace.facts import TraceFacts as TraceFacts

    open = open_artifact  # noqa: A001

_NAMES = {
    "PlacedFacts": "views.kernel.listed_symbols",
    "PlacementFacts": "views.boot.placement",
    "SymbolsFacts": "views.kernel.listed_symbols",
    "HardeningFacts": "views.hardening.facts",
    "AbiCauses": "views.abi.causes",
    "AbiFacts": "views.abi.changes",
    "Artifact": "artifacts.artifact",
    "BootContainer": "artifacts.boot.parts",
    "Btf": "artifacts.btf.table",
    "BuiltForFacts": "views.abi.built_for",
    "BtfFacts": "artifacts.btf.table",
    "BuildFacts": "views.build.inventory",
    "BuildLogFacts": "views.buildlog.facts",
    "BuiltFacts": "views.buildlog.output_folder",
    "Check": "checks.check",
    "Compressed": "artifacts.boot.compressed",
    "ContainerFacts": "artifacts.boot.parts",
    "ConfigFacts": "views.kernel.config",
    "CoverageFacts": "views.boot.coverage",
    "DiffFacts": "views.diff.facts",
    "KernelDifference": "views.changes.facts",
    "Dtb": "artifacts.dtb.blob",
    "DtbFacts": "artifacts.dtb.blob",
    "DtbTreeFacts": "views.dtb.nodes",
    "ElfFacts": "views.rebuilt.facts",
    "Evidence": "checks.check",
    "ExportCauses": "views.abi.symbols",
    "FileFacts": "views.filetype.line",
    "Finding": "checks.check",
    "FindingsError": "errors",
    "FitSignatures": "views.signing.fit",
    "FunctionDifference": "views.disassembly.facts",
    "GroupedSizes": "views.size.grouped",
    "Image": "artifacts.boot.image",
    "ImageFacts": "artifacts.boot.image",
    "ImageSignatures": "views.signing.authenticode",
    "KernelConfig": "artifacts.build.kernel_config",
    "KernelConfigFacts": "artifacts.build.kernel_config",
    "KernelMatchFacts": "views.abi.kernel_match",
    "KinspectError": "errors",
    "InitramfsFacts": "views.initramfs.contents",
    "LoadFacts": "views.loader.facts",
    "Location": "errors",
    "MalformedError": "errors",
    "MemberFacts": "views.btf.search",
    "Module": "artifacts.module.ko",
    "ModuleFacts": "artifacts.module.facts",
    "ModuleTree": "artifacts.module.tree",
    "ModuleTreeFacts": "artifacts.module.tree",
    "Outcome": "views.loader.verdict",
    "OverlayFacts": "views.dtb.overlay",
    "PartFacts": "views.kernel.unpacked",
    "Report": "inspection.report",
    "SavingsFacts": "views.savings.facts",
    "Severity": "checks.check",
    "Sizes": "views.size.account",
    "Symvers": "artifacts.build.symvers",
    "SymversFacts": "artifacts.build.symvers",
    "SystemMap": "artifacts.build.system_map",
    "SystemMapFacts": "artifacts.build.system_map",
    "TableFacts": "views.tables.entries",
    "TablesFacts": "views.tables.listing",
    "TraceFacts": "views.trace.facts",
    "TruncatedError": "errors",
    "TypeFacts": "views.btf.layout",
    "UncheckedError": "errors",
    "UnpackedFacts": "views.kernel.unpacked",
    "UnreadableError": "errors",
    "UnsupportedError": "errors",
    "UnwritableError": "errors",
    "Verdict": "views.loader.verdict",
    "VbmetaFacts": "views.android.avb",
    "Vmlinux": "artifacts.elf.vmlinux",
    "VmlinuxFacts": "artifacts.elf.vmlinux",
    "WrittenFacts": "views.depmod.written",
    "WrongKindError": "errors",
    "Zboot": "artifacts.boot.zboot",
    "abi": "inspection.abi.comparison",
    "check": "inspection.check",
    "config": "inspection.unpack",
    "depmod": "inspection.modules",
    "diff": "inspection.kernel",
    "dtb": "inspection.dtb",
    "elf": "inspection.symbols.elf",
    "image": "inspection.kernel",
    "inspect": "inspection.report",
    "initramfs": "inspection.build.initramfs",
    "load": "inspection.load",
    "log": "inspection.log",
    "module": "inspection.modules",
    "modules": "inspection.modules",
    "open": "artifacts.kinds:open_artifact",
    "overlay": "inspection.dtb",
    "savings": "inspection.size",
    "size": "inspection.size",
    "symvers": "inspection.modules",
    "symbols": "inspection.kernel",
    "function_diff": "inspection.symbols.function",
    "hardening": "inspection.symbols.hardening",
    "trace": "inspection.symbols.trace",
    "types": "inspection.abi.types",
    "unpack": "inspection.unpack",
}
"""The module of each public name, below this package; after a colon the name there, where it is another."""
__all__ = ["__version__", *_NAMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, other = _NAMES[name].partition(":")
    value = getattr(import_module(f"{__name__}.{module}"), other or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
