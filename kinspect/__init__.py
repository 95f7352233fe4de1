"""kinspect: inspect the artifacts of a Linux ARM64 kernel build.

    report = kinspect.inspect("vmlinux", "arch/arm64/boot/Image")
    report.raise_for_findings()

Every public name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from kinspect.artifacts.artifact import Artifact as Artifact
    from kinspect.artifacts.boot.compressed import Compressed as Compressed
    from kinspect.artifacts.boot.image import Image as Image
    from kinspect.artifacts.boot.zboot import Zboot as Zboot
    from kinspect.artifacts.build.symvers import Symvers as Symvers
    from kinspect.artifacts.dtb.blob import Dtb as Dtb
    from kinspect.artifacts.elf.vmlinux import Vmlinux as Vmlinux
    from kinspect.artifacts.kinds import open_artifact as open  # noqa: A004
    from kinspect.artifacts.module.ko import Module as Module
    from kinspect.artifacts.module.tree import ModuleTree as ModuleTree
    from kinspect.checks.check import Finding as Finding
    from kinspect.checks.check import Severity as Severity
    from kinspect.errors import FindingsError as FindingsError
    from kinspect.errors import KinspectError as KinspectError
    from kinspect.errors import Location as Location
    from kinspect.inspection.check import check as check
    from kinspect.inspection.kernel import diff as diff
    from kinspect.inspection.load import load as load
    from kinspect.inspection.log import log as log
    from kinspect.inspection.modules import abi as abi
    from kinspect.inspection.modules import modules as modules
    from kinspect.inspection.modules import symvers as symvers
    from kinspect.inspection.report import Report as Report
    from kinspect.inspection.report import inspect as inspect
    from kinspect.inspection.size import size as size
    from kinspect.views.loader.verdict import Outcome as Outcome
    from kinspect.views.loader.verdict import Verdict as Verdict

_NAMES = {
    "abi": "inspection.modules",
    "modules": "inspection.modules",
    "symvers": "inspection.modules",
    "Artifact": "artifacts.artifact",
    "Compressed": "artifacts.boot.compressed",
    "Dtb": "artifacts.dtb.blob",
    "Finding": "checks.check",
    "FindingsError": "errors",
    "Image": "artifacts.boot.image",
    "KinspectError": "errors",
    "Location": "errors",
    "Module": "artifacts.module.ko",
    "ModuleTree": "artifacts.module.tree",
    "Outcome": "views.loader.verdict",
    "Report": "inspection.report",
    "Severity": "checks.check",
    "Symvers": "artifacts.build.symvers",
    "Verdict": "views.loader.verdict",
    "Vmlinux": "artifacts.elf.vmlinux",
    "Zboot": "artifacts.boot.zboot",
    "check": "inspection.check",
    "diff": "inspection.kernel",
    "inspect": "inspection.report",
    "log": "inspection.log",
    "load": "inspection.load",
    "open": "artifacts.kinds:open_artifact",
    "size": "inspection.size",
}

__all__ = [
    "Artifact",
    "Compressed",
    "Dtb",
    "Finding",
    "FindingsError",
    "Image",
    "KinspectError",
    "Location",
    "Module",
    "ModuleTree",
    "Outcome",
    "Report",
    "Severity",
    "Symvers",
    "Verdict",
    "Vmlinux",
    "Zboot",
    "__version__",
    "abi",
    "check",
    "diff",
    "inspect",
    "load",
    "log",
    "modules",
    "open",
    "size",
    "symvers",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, other = _NAMES[name].partition(":")
    found = getattr(import_module(f"{__name__}.{module}"), other or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
