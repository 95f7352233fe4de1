"""The commands for modules and their exports: module, symvers, modules, depmod."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from kinspect.commands.interface.output import listed_paths, print_bytes, print_reports, report_or_error, with_progress
from kinspect.errors import KinspectError, Location, MalformedError

if TYPE_CHECKING:
    from kinspect.commands.interface import options
    from kinspect.inspection.report import Report
    from kinspect.workers import OnProgress


def module(
    paths: options.Modules,
    *,
    field: options.ModuleField = None,
    author: options.Author = False,
    description: options.Description = False,
    licence: options.License = False,
    parameters: options.Parameters = False,
    filename: options.Filename = False,
    null: options.Null = False,
    modinfo: options.Modinfo = False,
    symvers: options.Providers = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show and check a module.

    What modinfo prints, exports, needed symbols, CRCs, signature, sizes.
    """
    from kinspect.inspection import modules as inspection

    short = (author, description, licence, parameters, filename)
    if field is not None or null or modinfo or any(short):
        if json or symvers is not None or form != "text":
            name = "--json" if json else "--symvers" if symvers is not None else f"--format {form}"
            raise MalformedError("not possible with an option of modinfo", Location(name))
        return _modinfo(paths, _one_field(field, short), null)
    providers = None
    if symvers:
        from kinspect.artifacts.build.symvers import Symvers
        from kinspect.artifacts.kinds import plausible

        rows = plausible(Symvers(symvers)).rows
        providers = dict(zip(rows.names, rows.modules, strict=True))
    return print_reports(
        (report_or_error(inspection.module, path, providers) for path in paths), json, quiet, form=form
    )


def _one_field(field: str | None, short: tuple[bool, ...]) -> str | None:
    """The field that --field or a one-letter option names. MalformedError when there are several."""
    from kinspect.views.module.modinfo import SHORT_FIELDS

    fields = [name for name, asked in zip(SHORT_FIELDS.values(), short, strict=True) if asked]
    fields += [] if field is None else [field]
    if len(fields) > 1:
        raise MalformedError("more than one field", Location("--field"), expected="one", actual=", ".join(fields))
    return fields[0] if fields else None


def _modinfo(paths: list[str], field: str | None, null: bool) -> int:
    """Print what modinfo prints. Exit status 2: a module cannot be read."""
    from kinspect.artifacts.module.ko import Module
    from kinspect.reports.terminal import escaped
    from kinspect.views.module.modinfo import modinfo

    status = 0
    for path in paths:
        try:
            for value in modinfo(Module(path), field, null):
                # Byte for byte for a program; escaped for a terminal.
                text = escaped(value[:-1]) + value[-1:] if sys.stdout.isatty() else value
                sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        except KinspectError as error:
            sys.stdout.flush()
            sys.stderr.write(f"kinspect: {escaped(str(error))}\n")
            status = 2
    sys.stdout.flush()
    return status


def symvers(
    path: options.Symvers,
    *,
    vmlinux: options.Kernel = None,
    modules: options.AgainstModules = None,
    built_for: options.BuiltFor = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Check a Module.symvers: alone, with a kernel, with modules."""
    from kinspect.inspection import modules as inspection

    report = report_or_error(inspection.symvers, path, vmlinux, modules)
    if built_for is not None:
        from kinspect.inspection.abi.built_for import symvers_built_for

        report += report_or_error(symvers_built_for, path, _with_kernel(vmlinux), built_for)
    return print_reports([report], json, quiet, form=form)


def _with_kernel(vmlinux: str | None) -> str:
    """The kernel of --vmlinux, which --built-for is compared with."""
    if vmlinux is None:
        raise MalformedError("needs --vmlinux, the kernel to compare with", Location("--built-for"))
    return vmlinux


def modules(
    folder: options.Folder,
    *,
    symvers: options.AgainstSymvers = None,
    vmlinux: options.Kernel = None,
    config: options.Config = None,
    built_for: options.BuiltFor = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Check a folder of modules and depmod's files.

    Versions, licences, namespaces, signatures, modules.dep and its siblings.
    """
    from kinspect.inspection import modules as inspection

    def report(on_progress: OnProgress | None) -> Report:
        return report_or_error(inspection.modules, folder, symvers, vmlinux, on_progress, listed_paths(config))

    kernel = _with_kernel(vmlinux) if built_for is not None else None
    found = with_progress("reading modules", report)
    if kernel is not None and not found.errors:
        from kinspect.inspection.abi.built_for import built_for as types_report

        found += report_or_error(types_report, kernel, [folder], built_for)
    return print_reports([found], json, quiet, form=form)


def depmod(
    folder: options.Folder,
    *,
    out: options.Out = None,
    kmod: options.Kmod = 34,
    config: options.Config = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Write modules.dep and its siblings, as depmod does.

    Also checks the modules. Exit status 1: one is broken.
    """
    from kinspect.inspection import modules as inspection

    if out == "-":
        if json or form != "text":
            raise MalformedError("not possible with --out -", Location("--json" if json else f"--format {form}"))
        texts, findings = inspection.depmod_texts(folder, kmod, None, listed_paths(config))
        print_bytes([texts])
        with redirect_stdout(sys.stderr):
            return print_reports([findings], json, quiet)

    def report(on_progress: OnProgress | None) -> Report:
        return report_or_error(inspection.depmod, folder, out, kmod, on_progress, listed_paths(config))

    return print_reports([with_progress("reading modules", report)], json, quiet, form=form)
