"""The command for device trees."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kinspect.commands.interface.output import print_bytes, print_reports, report_or_error
from kinspect.errors import Location, MalformedError

if TYPE_CHECKING:
    from kinspect.commands.interface import options


def dtb(
    paths: options.Dtbs,
    *,
    tree: options.Tree = False,
    path: options.NodePath = None,
    onto: options.Onto = None,
    out: options.MergedOut = None,
    dtc: options.DtcVersion = "1.6.1",
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show and check a device tree, or apply overlays.

    With --tree or --path, print the source as dtc does.
    """
    from kinspect.inspection import dtb as inspection

    source = tree or path is not None
    if onto is None and (out is not None or dtc != inspection.DTC):
        expected = "the device tree that the overlays are applied to"
        raise MalformedError("missing", Location("--onto"), expected=expected)
    if source and out is not None:
        raise MalformedError("not possible with --out", Location("--tree" if tree else "--path"))
    if out == "-" and (json or form != "text"):
        raise MalformedError("not possible with --out -", Location("--json" if json else f"--format {form}"))
    if onto is not None:
        if out == "-":
            return _write(onto, paths, dtc)
        if source:
            reports = [report_or_error(inspection.merged_nodes, onto, paths, path, dtc)]
        else:
            reports = [report_or_error(inspection.overlay, onto, paths, out, dtc)]
        return print_reports(reports, json, quiet, form=form, verbatim=source)
    if source:
        trees = (report_or_error(inspection.tree, file, path) for file in paths)
        return print_reports(trees, json, quiet, form=form, verbatim=True)
    return print_reports((report_or_error(inspection.dtb, file) for file in paths), json, quiet, form=form)


def _write(base: str, overlays: list[str], dtc: str) -> int:
    """Write the merged tree to standard output; why there is none to standard error."""
    from kinspect.inspection import dtb as inspection
    from kinspect.reports.terminal import escaped

    if sys.stdout.isatty():
        raise MalformedError("standard output is a terminal", Location("--out"), expected="a file or a pipe")
    report, blob = inspection.merged(base, overlays, dtc)
    print_bytes([blob])
    for finding in report.findings if not blob else ():
        sys.stderr.write(f"kinspect: {escaped(f'{finding.evidence.at[0]}: {finding.evidence}')}\n")
    return report.exit_code
