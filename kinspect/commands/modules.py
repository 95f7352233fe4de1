"""The commands for modules and what makes them load: module, symvers, modules, depmod, abi."""

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from kinspect.commands.telling import Json, Quiet, attempt, print_lines, tell
from kinspect.errors import KinspectError

if TYPE_CHECKING:
    from kinspect.artifacts.module_tree import Told
    from kinspect.inspection import Report
    from kinspect.reports.terminal import Paint

SymversPath = Annotated[str, typer.Argument(metavar="MODULE_SYMVERS", help="The exports of a build.")]
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="lib/modules/RELEASE, or any folder of modules.")]
Kernel = Annotated[str | None, typer.Option("--vmlinux", metavar="VMLINUX_OR_IMAGE", help="Hold it against a kernel.")]


def module(
    paths: Annotated[list[str], typer.Argument(metavar="KO...", help="Modules, plain or compressed.")],
    field: Annotated[str | None, typer.Option("--field", "-F", metavar="FIELD", help="One field, as modinfo.")] = None,
    null: Annotated[bool, typer.Option("--null", "-0", help="End values with NUL, as modinfo.")] = False,
    modinfo: Annotated[bool, typer.Option("--modinfo", help="Print exactly what modinfo prints.")] = False,
    symvers: Annotated[
        str | None, typer.Option(metavar="MODULE_SYMVERS", help="Tell who provides what a module needs.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a module is: what modinfo prints, exports, needs, CRCs, signature, sizes."""
    from kinspect import module_inspection

    if field is not None or null or modinfo:
        _modinfo(paths, field, null)
    providers = None
    if symvers:
        from kinspect.artifacts.symvers import Symvers

        rows = Symvers(symvers).rows
        providers = dict(zip(rows.names, rows.modules, strict=True))
    tell([attempt(module_inspection.module, path, providers) for path in paths], json, quiet)


def _modinfo(paths: list[str], field: str | None, null: bool) -> None:
    """Print what modinfo prints, and end with status 2 when one cannot be read."""
    from kinspect.artifacts.module import Module
    from kinspect.reports.terminal import escaped
    from kinspect.views.modinfo import modinfo

    status = 0
    for path in paths:
        try:
            for value in modinfo(Module(path), field, null):
                # To the byte for a program; a terminal gets nothing that could steer it.
                text = escaped(value[:-1]) + value[-1:] if sys.stdout.isatty() else value
                sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        except KinspectError as error:
            sys.stdout.flush()
            sys.stderr.write(f"kinspect: {escaped(str(error))}\n")
            status = 2
    sys.stdout.flush()
    raise typer.Exit(status)


def symvers(
    path: SymversPath,
    vmlinux: Kernel = None,
    modules: Annotated[str | None, typer.Option(metavar="FOLDER", help="Hold it against modules.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a Module.symvers: alone, against vmlinux or the raw Image, against modules."""
    from kinspect import module_inspection

    tell([attempt(module_inspection.symvers, path, vmlinux, modules)], json, quiet)


def modules(
    folder: Folder,
    symvers: Annotated[str | None, typer.Option(metavar="MODULE_SYMVERS", help="Hold them against exports.")] = None,
    vmlinux: Kernel = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a folder of modules: modules.dep and its siblings, versions, licences, namespaces, signatures."""
    from kinspect import module_inspection

    def report(told: "Told | None") -> "Report":
        return attempt(module_inspection.modules, folder, symvers, vmlinux, told)

    tell([_with_progress("reading modules", report)], json, quiet)


def depmod(
    folder: Folder,
    out: Annotated[str | None, typer.Option("-o", "--out", metavar="OUT", help="Write there instead.")] = None,
    kmod: Annotated[int, typer.Option(metavar="VERSION", help="Write as this kmod does.")] = 34,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write modules.dep and its siblings, as depmod does, and judge the modules. Exit status: 1 if one is broken."""
    from kinspect import module_inspection

    def report(told: "Told | None") -> "Report":
        return attempt(module_inspection.depmod, folder, out, kmod, told)

    tell([_with_progress("reading modules", report)], json, quiet)


def abi(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The Module.symvers that modules were built for.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The Module.symvers of the new kernel.")],
    rules: Annotated[str | None, typer.Option(metavar="FILE", help="What may change, as SUSE's rules say it.")] = None,
    form: Annotated[str, typer.Option("--format", metavar="text|ksymvers", help="How to say it.")] = "text",
    every: Annotated[bool, typer.Option("--all", help="List every change, not the first of each kind.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two Module.symvers: which exports changed, and whether modules notice. Exit status: 1 if they do."""
    from kinspect import module_inspection
    from kinspect.reports.abi_text import TOP, abi_lines
    from kinspect.views.abi import AbiFacts

    if form not in ("text", "ksymvers"):
        raise typer.BadParameter(f"{form} is none of text, ksymvers", param_hint="--format")
    report = attempt(module_inspection.abi, old, new, rules)
    if form == "ksymvers" and not report.errors and not quiet and not json:
        print_lines(module_inspection.ksymvers(old, new, rules))
        raise typer.Exit(report.exit_code)

    # The facts say it all: the findings would repeat them.
    def lines(report: "Report", paint: "Paint") -> Iterable[str]:
        for facts in report.facts_of(AbiFacts):
            yield from abi_lines(facts, paint, len(facts.changes) if every else TOP)

    tell([report], json, quiet, lines)


def _with_progress(what: str, work: "Callable[[Told | None], Report]") -> "Report":
    from kinspect.reports.progress import Progress

    progress = Progress.told(what)
    if progress is None:
        return work(None)
    with progress:
        return work(progress)
