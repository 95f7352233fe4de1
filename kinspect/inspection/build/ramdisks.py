"""The ramdisks in boot loaders' containers, and an initramfs beside a kernel: findings without facts."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Never

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.artifacts.initramfs.ramdisks import ramdisks_of
from kinspect.checks.check import Severity
from kinspect.errors import KinspectError
from kinspect.inspection.build.initramfs import initramfs_report
from kinspect.inspection.report import Report
from kinspect.views.initramfs.built_in import built_in_initramfs

if TYPE_CHECKING:
    from kinspect.checks.check import Subject

_DEFAULT = 512
"""The size of the archive with /dev, /dev/console and /root."""


def ramdisks_report(artifacts: Iterable[Artifact], kernel: "Subject | None") -> Report[Never]:
    """The findings on each initramfs in the containers among some artifacts, with the kernel that starts with it."""
    report: Report[Never] = Report()
    for ramdisk in ramdisks_of(artifacts):
        report += beside_kernel(ramdisk, kernel)
    return report


def built_in_report(vmlinux: Vmlinux) -> Report[Never]:
    """The findings on the initramfs that is built into a kernel, if it has more than what every kernel has."""
    try:
        found = built_in_initramfs(vmlinux)
    except KinspectError:
        return Report()
    return beside_kernel(found, vmlinux) if found.size > _DEFAULT else Report()


def beside_kernel(initramfs: Initramfs, kernel: "Subject | None") -> Report[Never]:
    """The findings on an initramfs and the modules in it, but for what is only good to know."""
    try:
        report = initramfs_report(initramfs, kernel)
    except KinspectError as error:
        return Report(errors=(error,))
    findings = tuple(found for found in report.findings if found.severity != Severity.INFO)
    return Report((), findings, report.ran, report.errors)
