"""The command for device trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinspect.commands.output import print_reports, report_or_error

if TYPE_CHECKING:
    from kinspect.commands import options


def dtb(
    paths: options.Dtbs,
    *,
    tree: options.Tree = False,
    path: options.NodePath = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show and check a device tree, or print its source as dtc does."""
    from kinspect.inspection import dtb as inspection

    if tree or path is not None:
        reports = (report_or_error(inspection.tree, file, path) for file in paths)
    else:
        reports = (report_or_error(inspection.dtb, file) for file in paths)
    return print_reports(reports, json, quiet, form=form)
