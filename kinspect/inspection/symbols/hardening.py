"""How a kernel is hardened, and whether that is what its .config says."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_as
from kinspect.errors import WrongKindError
from kinspect.inspection.build.opening import open_kernel
from kinspect.inspection.kernel import with_code
from kinspect.inspection.package.taken import KERNEL, Packages
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.views.hardening.facts import HardeningFacts, hardening_facts
from kinspect.views.kernel.config import embedded_config

if TYPE_CHECKING:
    from kinspect.artifacts.boot.image import Image

_BOOT = "arch/arm64/boot"
_NAMES = ("vmlinuz", "vmlinux", "Image")


def hardening(kernel: Path, config: Path | None = None) -> Report[HardeningFacts]:
    """The protections that the code of an Image or a vmlinux has, and the findings on it. Raises KinspectError.

    It is held against `config`; without it against the .config inside the kernel, or the one beside it: that of an O=
    folder, or config-RELEASE as distributions install it. Of a package the Image is taken, or else the vmlinux.
    """
    with Packages() as packages:
        return packages.named(_hardening_report(packages.file(kernel, *KERNEL), config))


def _hardening_report(kernel: Path, config: Path | None) -> Report[HardeningFacts]:
    artifact = open_kernel(kernel)
    if isinstance(artifact, Vmlinux):
        with_code(artifact)
    found = open_as(KernelConfig, config) if config is not None else _config_of(artifact)
    facts = hardening_facts(artifact, found)
    report = Report((facts,))
    return report + run_checks((facts,), "hardening.configured") if facts.config else report


def _config_of(kernel: "Vmlinux | Image") -> KernelConfig | None:
    """The .config beside a kernel; None without one, or when the kernel has one inside."""
    if kernel.path == "-" or embedded_config(kernel):
        return None
    folder, name = os.path.split(kernel.path)
    places = [".config", "config"]
    if os.path.abspath(folder).endswith(f"/{_BOOT}"):
        places.insert(0, "../../../.config")
    for start in _NAMES:
        if name.startswith(f"{start}-"):
            places.insert(0, f"config{name.removeprefix(start)}")
    found = (os.path.normpath(os.path.join(folder, place)) for place in places)
    for path in filter(os.path.isfile, found):
        with suppress(WrongKindError):  # any file may be called config
            return open_as(KernelConfig, path)
    return None
