"""One function of two kernels compared."""

from kinspect.inspection.kernel import two_kernels
from kinspect.inspection.package.taken import KERNEL, Packages
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.views.changes.described.function import function_differences
from kinspect.views.disassembly.facts import FunctionDifference


def function_diff(old: Path, new: Path, name: str) -> Report[FunctionDifference]:
    """The instructions of a function in two Images or two vmlinux, compared.

    Packages are taken for the kernels in them. Of several functions of that name, those that differ. Needs the extra
    `kinspect[disasm]`. Raises KinspectError.
    """
    with Packages() as packages:
        return packages.named(_function_report(packages.file(old, *KERNEL), packages.file(new, *KERNEL), name))


def _function_report(old: Path, new: Path, name: str) -> Report[FunctionDifference]:
    kernels = two_kernels(old, new)
    facts = function_differences(kernels[0], kernels[1], name)
    report: Report[FunctionDifference] = Report(facts)
    for found in facts:
        report += run_checks((found,), "changes.kernels")
    return report
