"""The command that asks what a kernel would say of modules: load."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kinspect.commands.output import print_reports, report_or_error, with_progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kinspect.artifacts.module.tree import OnProgress
    from kinspect.commands import options
    from kinspect.inspection.report import Report
    from kinspect.reports.terminal import Style


def load(
    paths: options.KernelAndModules,
    *,
    order: options.Order = None,
    config: options.DotConfig = None,
    cmdline: options.Cmdline = "",
    cert: options.Certificates = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Predict whether a kernel loads modules, and what it says. Exit status: 0 all, 1 one is refused, 2 not known."""
    from kinspect.errors import Location, MalformedError
    from kinspect.inspection import load as inspection
    from kinspect.reports.loader.facts import loading_lines, summary_line

    if len(paths) < 2:
        raise MalformedError("load takes a kernel and modules", Location("load"), expected="IMAGE MODULE_OR_FOLDER...")

    def loading(on_progress: OnProgress | None) -> Report:
        return inspection.loading(
            paths[0],
            paths[1:],
            order=order,
            config=config,
            cmdline=cmdline,
            certificates=cert or (),
            on_progress=on_progress,
        )

    # The facts say it all: the findings would repeat them.
    def lines(report: Report, paint: Style) -> Iterable[str]:
        for facts in report.facts_of(inspection.LoadingFacts):
            yield from loading_lines(facts, paint)
            yield ""
            yield summary_line(facts, paint)

    return print_reports(
        [with_progress("reading modules", partial(report_or_error, loading))], json, quiet, lines, form
    )
