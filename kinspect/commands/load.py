"""The commands that predict whether a kernel loads modules: load, and initramfs for those that it starts with."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from kinspect.commands.interface.output import listed_paths, print_bytes, print_reports, report_or_error, with_progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kinspect.commands.interface import options
    from kinspect.inspection.report import Report
    from kinspect.reports.terminal import Style
    from kinspect.workers import OnProgress


def load(
    paths: options.KernelAndModules,
    *,
    order: options.Order = None,
    config: options.DotConfig = None,
    cmdline: options.Cmdline = "",
    cert: options.Certificates = None,
    built_for: options.BuiltFor = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Predict whether a kernel loads modules, and what it logs.

    Exit status: 0 all load, 1 some do not, 2 not known.
    """
    from kinspect.errors import Location, MalformedError
    from kinspect.inspection.abi.built_for import built_for as types_report
    from kinspect.inspection.load import load_report
    from kinspect.reports.text import report_lines

    if len(paths) < 2:
        problem = "a kernel and modules are needed"
        raise MalformedError(problem, Location("load"), expected="IMAGE_OR_VMLINUX MODULE_OR_FOLDER...")

    def inspection(on_progress: OnProgress | None) -> Report:
        return load_report(
            paths[0],
            paths[1:],
            order=order,
            config=config,
            cmdline=cmdline,
            certificates=listed_paths(cert),
            on_progress=on_progress,
        )

    # Without the findings, which repeat the verdicts.
    def verdict_lines(report: Report, style: Style) -> Iterable[str]:
        return report_lines(report, style, ())

    report = with_progress("reading modules", partial(report_or_error, inspection))
    if built_for is not None and not report.errors:
        report += report_or_error(types_report, paths[0], paths[1:], built_for)
    return print_reports([report], json, quiet, verdict_lines, form)


def initramfs(
    path: options.InitramfsFile,
    *,
    kernel: options.StartedKernel = None,
    firmware: options.FirmwareFolders = None,
    names: options.ListNames = False,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show and check an initramfs: its archives, the modules in it, their firmware."""
    from kinspect.errors import Location, MalformedError
    from kinspect.inspection.build import initramfs as inspection

    if names:
        if json or form != "text":
            raise MalformedError("not possible with --list", Location("--json" if json else f"--format {form}"))
        from kinspect.reports.terminal import escaped

        listed = inspection.initramfs_names(path)
        if sys.stdout.isatty():
            listed = (escaped(line[:-1].decode("utf-8", "surrogateescape")).encode() + b"\n" for line in listed)
        print_bytes(listed)
        return 0

    def report(on_progress: OnProgress | None) -> Report:
        return report_or_error(inspection.initramfs, path, kernel, listed_paths(firmware), on_progress)

    return print_reports([with_progress("reading modules", report)], json, quiet, form=form)
