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
    """Show what a device tree is and judge it; or print it as dtc does."""
    from kinspect.inspection import dtb as inspection

    if tree or path is not None:
        return print_reports((report_or_error(inspection.tree, one, path) for one in paths), json, quiet, form=form)
    return print_reports((report_or_error(inspection.dtb, one) for one in paths), json, quiet, form=form)
