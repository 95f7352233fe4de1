"""The commands for the kernel itself: image, file, vmlinux, diff, size; and the checks."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from kinspect.commands.telling import Json, Quiet, attempt, print_lines, tell

if TYPE_CHECKING:
    from kinspect.inspection import Report
    from kinspect.reports.terminal import Paint

VmlinuxPath = Annotated[str, typer.Argument(metavar="VMLINUX", help="The linked kernel, an ELF file.")]


def image(
    paths: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Kernel images.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Decode the boot header of a kernel image and judge it."""
    from kinspect import inspection

    tell([attempt(inspection.image, path) for path in paths], json, quiet)


def file(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files of any kind.")],
    brief: Annotated[bool, typer.Option("--brief", "-b", help="Do not print the names.")] = False,
    follow: Annotated[bool, typer.Option("--dereference", "-L", help="Follow symbolic links.")] = False,
    file_version: Annotated[str, typer.Option(metavar="VERSION", help="Print as this file(1) does.")] = "5.44",
    json: Json = False,
) -> None:
    """Print what file(1) prints. As there, the exit status is 0 whatever the files are."""
    from kinspect.views.file_line import VERSIONS, lines

    if file_version not in VERSIONS:
        raise typer.BadParameter(f"{file_version} is none of {', '.join(VERSIONS)}", param_hint="--file-version")
    if json:
        from kinspect import inspection

        tell([inspection.file(*paths, version=file_version, follow=follow)], json)
    print_lines(lines(paths, version=file_version, brief=brief, follow=follow))


def vmlinux(
    path: VmlinuxPath,
    table: Annotated[str | None, typer.Option(metavar="NAME", help="List the entries of one table.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a vmlinux is: segments, sections, the kernel's tables."""
    from kinspect import inspection

    tell([attempt(inspection.table, path, table) if table else attempt(inspection.vmlinux, path)], json, quiet)


def diff(
    vmlinux: VmlinuxPath,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="The Image that was made from it.")],
    ranges: Annotated[int, typer.Option(metavar="N", min=0, help="Show the first N ranges that differ.")] = 10,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell whether an Image is objcopy of a vmlinux, where not, and why. Exit status: 0 same, 1 not, 2 trouble."""
    from kinspect import inspection
    from kinspect.checks.check import Severity
    from kinspect.reports.text import facts_lines, finding_lines

    # The facts say it all, and a finding would repeat them; but that the check could not run they do not say.
    def lines(report: "Report", paint: "Paint") -> Iterable[str]:
        for facts in report.facts:
            yield from facts_lines(facts, paint)
        for finding in report.findings:
            if finding.severity == Severity.UNDECIDED:
                yield from finding_lines(finding, paint)

    tell([attempt(inspection.diff, vmlinux, image, 0 if quiet else ranges)], json, quiet, lines)


def size(
    vmlinux: VmlinuxPath,
    image: Annotated[str | None, typer.Argument(metavar="[IMAGE]", help="The Image, to prove the sums on.")] = None,
    sort: Annotated[str, typer.Option(metavar="address|size|name", help="The order of the sections.")] = "address",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Account for every byte of a kernel, in the Image and in memory."""
    from kinspect import inspection
    from kinspect.reports.sizes_text import ORDERS, sizes_lines
    from kinspect.reports.text import verdict_lines
    from kinspect.views.sizes import Sizes

    if sort not in ORDERS:
        raise typer.BadParameter(f"{sort} is none of {', '.join(ORDERS)}", param_hint="--sort")

    def lines(report: "Report", paint: "Paint") -> Iterable[str]:
        for facts in report.facts_of(Sizes):
            yield from sizes_lines(facts, paint, sort)
        if report.ran:
            yield ""
            yield from verdict_lines(report, paint)

    tell([attempt(inspection.size, vmlinux, image)], json, quiet, lines)


def checks(
    check_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The check to explain.")] = None,
    json: Json = False,
) -> None:
    """List every check, or explain one."""
    from kinspect.inspection import checks_of
    from kinspect.reports.checks import list_lines, page_lines
    from kinspect.reports.terminal import Paint

    chosen = tuple(check for check in checks_of() if check_id in (None, check.id))
    if not chosen:
        raise typer.BadParameter(f"no check is named {check_id}; `kinspect checks` lists them", param_hint="ID")
    if json:
        from kinspect.reports.json import checks_text

        print_lines([checks_text(chosen)])
    else:
        paint = Paint.of(sys.stdout)
        print_lines(page_lines(chosen[0], paint) if check_id else list_lines(chosen, paint))
