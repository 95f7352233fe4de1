"""The command for sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinspect.commands.output import one_of, print_reports, report_or_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kinspect.commands import options
    from kinspect.inspection.report import Report
    from kinspect.inspection.size import GroupedSizes
    from kinspect.reports.terminal import Style

PAGE = ("folder", "source", "symbol")
"""How a page is grouped unless it is told."""


def size(
    vmlinux: options.Vmlinux,
    image: options.ImageForSums = None,
    *,
    by: options.By = "",
    against: options.Against = None,
    depth: options.Depth = None,
    top: options.Top = None,
    section: options.OneSection = None,
    match: options.Match = None,
    domain: options.Domain = "memory",
    sort: options.Sort = "address",
    form: options.SizeFormat = "text",
    csv: options.Csv = False,
    linker_map: options.MapFile = None,
    html: options.Html = None,
    budget: options.Budget = None,
    waste: options.Waste = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Account for every byte of a kernel: by section, source, folder, symbol; or what grew since another build."""
    from kinspect.inspection import size as inspection
    from kinspect.reports.size.account import ORDERS, sizes_lines
    from kinspect.reports.text import verdict_lines
    from kinspect.views.size.account import Sizes

    if waste:
        return print_reports([report_or_error(inspection.waste, vmlinux)], json, quiet)
    one_of("--sort", sort, ORDERS)
    one_of("--format", form, ("text", "csv", "markdown"))
    form = "csv" if csv else form
    grouping = tuple(filter(None, by.split(",")))
    if html is not None:
        grouping = grouping or PAGE
    elif form != "text":
        grouping = grouping or ("section",)
    # Folders of folders would fill a screen: the first is what is asked for first.
    shallow = depth is None and "folder" in grouping and html is None and form == "text" and not json

    def run() -> Report:
        report = inspection.size(
            vmlinux,
            image,
            by=grouping,
            against=against,
            depth=1 if shallow else depth,
            section=section,
            match=match,
            domain=domain,
            budget=budget,
            linker_map=linker_map,
        )
        if html is not None:
            _write_page(html, *report.facts_of(inspection.GroupedSizes))
        return report

    def lines(report: Report, paint: Style) -> Iterable[str]:
        for facts in report.facts_of(Sizes):
            yield from sizes_lines(facts, paint, sort)
        for grouped in report.facts_of(inspection.GroupedSizes):
            yield from _grouped_lines(grouped, paint, form, top) if html is None else [f"{html}: a page for a browser"]
        if report.ran and form == "text":
            yield ""
            yield from verdict_lines(report, paint)

    return print_reports([report_or_error(run)], json, quiet, lines)


def _write_page(path: str, facts: GroupedSizes) -> None:
    from kinspect.inspection.writing import write_whole
    from kinspect.reports.html.size import page
    from kinspect.reports.terminal import exact

    notes = [
        ("in memory", exact(facts.root.memory)),
        ("in the Image", exact(facts.root.file)),
        ("unattributed", exact(facts.unattributed)),
    ]
    if facts.against is not None:
        notes.insert(0, ("against", facts.against))
    write_whole(path, [page(facts.root, facts.vmlinux, facts.against is not None, notes).encode()])


def _grouped_lines(facts: GroupedSizes, paint: Style, form: str, top: int | None) -> Iterable[str]:
    if form == "text":
        from kinspect.reports.size.grouped import size_tree_lines

        return size_tree_lines(facts, paint, top)
    from kinspect.reports.size.tables import csv_lines, markdown_lines

    return csv_lines(facts) if form == "csv" else markdown_lines(facts, top)
