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
    from kinspect.artifacts.artifact import artifact_in as open  # noqa: A004
    from kinspect.artifacts.compressed import Compressed as Compressed
    from kinspect.artifacts.dtb import Dtb as Dtb
    from kinspect.artifacts.image import Image as Image
    from kinspect.artifacts.module import Module as Module
    from kinspect.artifacts.module_tree import ModuleTree as ModuleTree
    from kinspect.artifacts.symvers import Symvers as Symvers
    from kinspect.artifacts.vmlinux import Vmlinux as Vmlinux
    from kinspect.artifacts.zboot import Zboot as Zboot
    from kinspect.checks.check import Finding as Finding
    from kinspect.checks.check import Severity as Severity
    from kinspect.errors import FindingsError as FindingsError
    from kinspect.errors import KinspectError as KinspectError
    from kinspect.errors import Location as Location
    from kinspect.inspection.check import check as check
    from kinspect.inspection.kernel import diff as diff
    from kinspect.inspection.loading import load as load
    from kinspect.inspection.log import log as log
    from kinspect.inspection.modules import abi as abi
    from kinspect.inspection.modules import modules as modules
    from kinspect.inspection.modules import symvers as symvers
    from kinspect.inspection.report import Report as Report
    from kinspect.inspection.report import inspect as inspect
    from kinspect.inspection.size import size as size
    from kinspect.views.loading import Outcome as Outcome
    from kinspect.views.loading import Verdict as Verdict

_NAMES = {
    "abi": "inspection.modules",
    "modules": "inspection.modules",
    "symvers": "inspection.modules",
    "Artifact": "artifacts.artifact",
    "Compressed": "artifacts.compressed",
    "Dtb": "artifacts.dtb",
    "Finding": "checks.check",
    "FindingsError": "errors",
    "Image": "artifacts.image",
    "KinspectError": "errors",
    "Location": "errors",
    "Module": "artifacts.module",
    "ModuleTree": "artifacts.module_tree",
    "Outcome": "views.loading",
    "Report": "inspection.report",
    "Severity": "checks.check",
    "Symvers": "artifacts.symvers",
    "Verdict": "views.loading",
    "Vmlinux": "artifacts.vmlinux",
    "Zboot": "artifacts.zboot",
    "check": "inspection.check",
    "diff": "inspection.kernel",
    "inspect": "inspection.report",
    "log": "inspection.log",
    "load": "inspection.loading",
    "open": "artifacts.artifact:artifact_in",
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
