"""The command for sizes."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, NamedTuple

from kinspect.commands.interface.output import listed, one_of, print_bytes, print_reports, report_or_error
from kinspect.errors import Location, MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kinspect.commands.interface import options
    from kinspect.inspection.report import Path, Report
    from kinspect.inspection.size import SizeQuery
    from kinspect.reports.terminal import Style

DEFAULT_PAGE = ("folder", "source", "symbol")
PAGE_OF_IMAGE = ("kind", "section", "symbol")
"""How a page is grouped by default, of a vmlinux and of an Image."""
TABLES = ("csv", "markdown")
"""Formats that are always of groups: by section by default."""


class Page(NamedTuple):
    """A page to write, and the grouping that it shows first."""

    path: str
    by: tuple[str, ...]


def size(
    vmlinux: options.SizedKernel,
    image: options.ImageForSums = None,
    *,
    by: options.By = None,
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
    from kinspect.inspection import size as inspection
    from kinspect.reports.size.account import ORDERS
    from kinspect.views.size.grouped import PARTS, TOP, Grouping, groupings

    one_of("--sort", sort, ORDERS)
    _refuse_conflicts(html, form, json or csv)
    if csv and form not in ("text", "csv"):
        raise MalformedError("not possible with --csv", Location("--format"), expected="csv", actual=form)
    if csv and json:
        raise MalformedError("not possible with --json", Location("--csv"))
    form = "csv" if csv else form
    has_sources = html is None or image is not None or inspection.has_sources(vmlinux)
    page_by = DEFAULT_PAGE if has_sources else PAGE_OF_IMAGE
    default = page_by if html is not None else ("section",) if form in TABLES and not savings and not json else ()
    by_names = groupings(listed(by)) or default
    # A table of all folders would fill several screens.
    if depth is None and "folder" in by_names and html is None and form == "text" and not json:
        depth = 1
    grouping = Grouping(by_names, depth, section, match, domain, top)
    # The page has a tree of its own; when nothing else is printed of the sizes, that is the only one to be made.
    alone = html is not None and form == "text" and not json and grouping.switchable and has_sources
    asked = grouping._replace(by=PARTS) if alone else grouping
    only = (TOP if top is None else top) if form == "text" and html is None and not json else 0
    parts = html is not None and not alone and has_sources
    query = inspection.SizeQuery(asked, against, budget, linker_map, savings, parts=parts, largest=only)
    page = Page(html, by_names) if html is not None else None
    if not query.groups and not savings:
        without = {"--top": top is not None, "--depth": depth is not None, "--map": linker_map is not None}
        for option in filter(without.get, without):
            raise MalformedError("needs groups", Location(option), expected="--by, --against, --budget or --html too")
    elif sort != "address":
        raise MalformedError("not possible with groups", Location("--sort"), expected="no --by and the like")
    return _print(vmlinux, image, query, page=page, sort=sort, form="json" if json else form, quiet=quiet)


def _refuse_conflicts(html: str | None, form: str, other: bool) -> None:
    """Raise MalformedError when the page and the report would both go to standard output."""
    if html == "-" and (other or form != "text"):
        raise MalformedError("not possible with --html -", Location("--json or --csv" if other else f"--format {form}"))


def _write_page(page: Page, report: Report, inputs: list[Path]) -> None:
    from kinspect.inspection.writing import write_whole
    from kinspect.reports.html.size import sizes_page
    from kinspect.views.size.grouped import GroupedSizes

    pages = [sizes_page(facts, page.by).encode() for facts in report.facts_of(GroupedSizes)]
    if page.path == "-":
        print_bytes(pages)
    else:
        write_whole(page.path, pages, inputs)


def _print(
    vmlinux: str, image: str | None, query: SizeQuery, *, page: Page | None, sort: str, form: str, quiet: bool
) -> int:
    """Answer a query: write the page if there is to be one, and print the report."""
    from kinspect.inspection.size import answer
    from kinspect.views.size.account import Sizes
    from kinspect.views.size.grouped import GroupedSizes

    def run() -> Report:
        report = answer(vmlinux, image, query)
        if page is not None:
            _write_page(page, report, [path for path in (vmlinux, image, *query.files) if path is not None])
        return report

    def lines(report: Report, style: Style) -> Iterable[str]:
        from kinspect.reports.size.account import lines as sizes_lines
        from kinspect.reports.text import facts_lines, verdict_lines

        for index, facts in enumerate(report.facts):
            if index:
                yield ""
            if isinstance(facts, Sizes):
                yield from sizes_lines(facts, style, sort)
            elif isinstance(facts, GroupedSizes) and page is not None:
                if page.path != "-":
                    yield f"{page.path}: written; open it in a browser"
            else:
                yield from facts_lines(facts, style)
        if report.ran:
            yield from verdict_lines(report, style)

    reports = [report_or_error(run)]
    # Standard output has the page, and nothing else.
    with redirect_stdout(sys.stderr) if page is not None and page.path == "-" else nullcontext():
        return print_reports(reports, False, quiet, lines, form)
