"""The command for sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinspect.commands.telling import attempt, one_of, tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kinspect.commands import words
    from kinspect.inspection.report import Report
    from kinspect.inspection.size import GroupedSizes
    from kinspect.reports.terminal import Paint


def size(
    vmlinux: words.Vmlinux,
    image: words.ImageForSums = None,
    *,
    by: words.By = "",
    against: words.Against = None,
    depth: words.Depth = None,
    top: words.Top = None,
    section: words.OneSection = None,
    match: words.Match = None,
    domain: words.Domain = "memory",
    sort: words.Sort = "address",
    form: words.SizeFormat = "text",
    html: words.Html = None,
    json: words.Json = False,
    quiet: words.Quiet = False,
) -> int:
    """Account for every byte of a kernel: by section, source, folder, symbol; or what grew since another build."""
    from kinspect.inspection import size as inspection
    from kinspect.reports.sizes_text import ORDERS, sizes_lines
    from kinspect.reports.text import verdict_lines
    from kinspect.views.sizes import Sizes

    one_of("--sort", sort, ORDERS)
    one_of("--format", form, ("text", "csv", "markdown"))
    grouping = tuple(filter(None, by.split(","))) or (("section",) if form != "text" else ())

    def run() -> Report:
        options = {"depth": depth, "section": section, "match": match, "domain": domain}
        if html is not None:
            return _page(vmlinux, image, against, html)
        # Folders of folders would fill a screen: the first is what is asked for first.
        if depth is None and "folder" in grouping and not json and form == "text":
            options["depth"] = 1
        return inspection.size(vmlinux, image, by=grouping, against=against, **options)  # type: ignore[arg-type]

    def lines(report: Report, paint: Paint) -> Iterable[str]:
        for facts in report.facts_of(Sizes):
            yield from sizes_lines(facts, paint, sort)
        for grouped in report.facts_of(inspection.GroupedSizes):
            yield from _grouped_lines(grouped, paint, form, top)
        if report.ran and form == "text":
            yield ""
            yield from verdict_lines(report, paint)

    return tell([attempt(run)], json, quiet, lines)


def _grouped_lines(facts: GroupedSizes, paint: Paint, form: str, top: int | None) -> Iterable[str]:
    if form == "text":
        from kinspect.reports.size_tree_text import size_tree_lines

        return size_tree_lines(facts, paint, top)
    from kinspect.reports.size_tree_tables import csv_lines, markdown_lines

    return csv_lines(facts) if form == "csv" else markdown_lines(facts, top)


def _page(vmlinux: str, image: str | None, against: str | None, html: str) -> Report:
    raise NotImplementedError
