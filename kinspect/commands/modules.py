"""The commands for modules and what makes them load: module, symvers, modules, depmod, abi."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kinspect.commands.telling import attempt, one_of, print_lines, tell
from kinspect.errors import KinspectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kinspect.artifacts.module_tree import Told
    from kinspect.commands import words
    from kinspect.inspection.report import Report
    from kinspect.reports.terminal import Paint


def module(
    paths: words.Modules,
    *,
    field: words.ModuleField = None,
    null: words.Null = False,
    modinfo: words.Modinfo = False,
    symvers: words.Providers = None,
    json: words.Json = False,
    quiet: words.Quiet = False,
) -> int:
    """Show what a module is: what modinfo prints, exports, needs, CRCs, signature, sizes."""
    from kinspect.inspection import modules as inspection

    if field is not None or null or modinfo:
        return _modinfo(paths, field, null)
    providers = None
    if symvers:
        from kinspect.artifacts.symvers import Symvers

        rows = Symvers(symvers).rows
        providers = dict(zip(rows.names, rows.modules, strict=True))
    return tell([attempt(inspection.module, path, providers) for path in paths], json, quiet)


def _modinfo(paths: list[str], field: str | None, null: bool) -> int:
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
    return status


def symvers(
    path: words.Symvers,
    *,
    vmlinux: words.Kernel = None,
    modules: words.AgainstModules = None,
    json: words.Json = False,
    quiet: words.Quiet = False,
) -> int:
    """Judge a Module.symvers: alone, against vmlinux or the raw Image, against modules."""
    from kinspect.inspection import modules as inspection

    return tell([attempt(inspection.symvers, path, vmlinux, modules)], json, quiet)


def modules(
    folder: words.Folder,
    *,
    symvers: words.AgainstSymvers = None,
    vmlinux: words.Kernel = None,
    json: words.Json = False,
    quiet: words.Quiet = False,
) -> int:
    """Judge a folder of modules: modules.dep and its siblings, versions, licences, namespaces, signatures."""
    from kinspect.inspection import modules as inspection

    def report(told: Told | None) -> Report:
        return attempt(inspection.modules, folder, symvers, vmlinux, told)

    return tell([with_progress("reading modules", report)], json, quiet)


def depmod(
    folder: words.Folder,
    *,
    out: words.Out = None,
    kmod: words.Kmod = 34,
    json: words.Json = False,
    quiet: words.Quiet = False,
) -> int:
    """Write modules.dep and its siblings, as depmod does, and judge the modules. Exit status: 1 if one is broken."""
    from kinspect.inspection import modules as inspection

    def report(told: Told | None) -> Report:
        return attempt(inspection.depmod, folder, out, kmod, told)

    return tell([with_progress("reading modules", report)], json, quiet)


def abi(
    old: words.Old,
    new: words.New,
    *,
    rules: words.Rules = None,
    form: words.AbiFormat = "text",
    every: words.Every = False,
    json: words.Json = False,
    quiet: words.Quiet = False,
) -> int:
    """Compare two Module.symvers: which exports changed, and whether modules notice. Exit status: 1 if they do."""
    from kinspect.inspection import modules as inspection
    from kinspect.reports.abi_text import TOP, abi_lines
    from kinspect.views.abi import AbiFacts

    one_of("--format", form, ("text", "ksymvers"))
    report = attempt(inspection.abi, old, new, rules)
    if form == "ksymvers" and not report.errors and not quiet and not json:
        print_lines(inspection.ksymvers(old, new, rules))
        return report.exit_code

    # The facts say it all: the findings would repeat them.
    def lines(report: Report, paint: Paint) -> Iterable[str]:
        for facts in report.facts_of(AbiFacts):
            yield from abi_lines(facts, paint, len(facts.changes) if every else TOP)

    return tell([report], json, quiet, lines)


def with_progress(what: str, work: Callable[[Told | None], Report]) -> Report:
    """The report of some work that tells how far it is."""
    from kinspect.reports.progress import Progress

    progress = Progress.told(what)
    if progress is None:
        return work(None)
    with progress:
        return work(progress)
