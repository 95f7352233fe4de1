"""The command for sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinspect.commands.output import one_of, print_reports, report_or_error
from kinspect.errors import Location, MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kinspect.commands import options
    from kinspect.inspection.report import Report
    from kinspect.inspection.size import SizeQuery
    from kinspect.reports.terminal import Style

PAGE = ("folder", "source", "symbol")
"""How a page is grouped by default."""
TABLES = ("csv", "markdown")
"""Formats that are always of groups: by section by default."""


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
    form: options.Form = "text",
    csv: options.Csv = False,
    linker_map: options.MapFile = None,
    html: options.Html = None,
    budget: options.Budget = None,
    savings: options.Savings = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show where every byte of a kernel goes.

    By section, source, folder or symbol, of one build or as the difference between two.
    """
    from kinspect.inspection.size import SizeQuery
    from kinspect.reports.size.account import ORDERS
    from kinspect.views.size.grouped import Grouping, groupings

    one_of("--sort", sort, ORDERS)
    if csv and form not in ("text", "csv"):
        raise MalformedError("not possible with --csv", Location("--format"), expected="csv", actual=form)
    form = "csv" if csv else form
    default = PAGE if html is not None else ("section",) if form in TABLES and not savings and not json else ()
    by_names = groupings(by) or default
    # A table of all folders would fill several screens.
    if depth is None and "folder" in by_names and html is None and form == "text" and not json:
        depth = 1
    grouping = Grouping(by_names, depth, section, match, domain, top)
    query = SizeQuery(grouping, against, budget, linker_map, savings)
    return _print(vmlinux, image, query, html=html, sort=sort, form="json" if json else form, quiet=quiet)


def _print(
    vmlinux: str, image: str | None, query: SizeQuery, *, html: str | None, sort: str, form: str, quiet: bool
) -> int:
    """Answer a query: write the page if there is to be one, and print the report."""
    from kinspect.inspection.size import answer
    from kinspect.views.size.account import Sizes
    from kinspect.views.size.grouped import GroupedSizes

    def run() -> Report:
        report = answer(vmlinux, image, query)
        if html is not None:
            from kinspect.inspection.writing import write_whole
            from kinspect.reports.html.size import sizes_page

            pages = [sizes_page(facts).encode() for facts in report.facts_of(GroupedSizes)]
            write_whole(html, pages, [path for path in (vmlinux, image, *query.files) if path is not None])
        return report

    def lines(report: Report, style: Style) -> Iterable[str]:
        from kinspect.reports.size.account import lines as sizes_lines
        from kinspect.reports.text import facts_lines, verdict_lines

        for index, facts in enumerate(report.facts):
            if index:
                yield ""
            if isinstance(facts, Sizes):
                yield from sizes_lines(facts, style, sort)
            elif isinstance(facts, GroupedSizes) and html is not None:
                yield f"{html}: written; open it in a browser"
            else:
                yield from facts_lines(facts, style)
        if report.ran:
            yield from verdict_lines(report, style)

    return print_reports([report_or_error(run)], False, quiet, lines, form)
