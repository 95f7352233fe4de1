"""The command that compares the exports of two kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinspect.commands.interface.output import listed, one_of, print_lines, print_reports, report_or_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kinspect.commands.interface import options
    from kinspect.inspection.report import Report
    from kinspect.reports.terminal import Style
    from kinspect.views.abi.causes import AbiCauses
    from kinspect.views.abi.changes import AbiFacts


def abi(
    old: options.Old,
    new: options.New,
    *,
    symbol: options.Symbols = None,
    types: options.TypesMatching = None,
    rules: options.Rules = None,
    form: options.AbiFormat = "text",
    every: options.Every = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Compare the exports of two kernels, with the types behind them.

    Exit status 1: modules of the old kernel will not load, or not work.
    """
    from kinspect.inspection.abi import comparison as inspection
    from kinspect.reports.formats import FORMATS
    from kinspect.reports.terminal import escaped

    one_of("--format", form, ("ksymvers", *FORMATS))
    report = report_or_error(inspection.abi, old, new, rules, listed(symbol), types)
    if form == "ksymvers" and not report.errors and not quiet and not json:
        print_lines(map(escaped, inspection.ksymvers(old, new, rules)))
        return report.exit_code

    def lines(report: Report, style: Style) -> Iterable[str]:
        return _lines(report, style, every)

    return print_reports([report], json, quiet, lines, "text" if form == "ksymvers" else form)


def _lines(report: Report, style: Style, every: bool) -> Iterator[str]:
    """The causes, the other changes, the verdict. Findings would repeat the facts."""
    from kinspect.reports.abi import causes, changes
    from kinspect.reports.text import verdict_lines
    from kinspect.views.abi.causes import AbiCauses
    from kinspect.views.abi.changes import AbiFacts, Change

    found = report.facts_of(AbiCauses)
    for facts in report.facts_of(AbiFacts):
        if facts.only:
            yield from _of_exports(facts, report, style, every)
            continue
        yield from changes.heading_lines(facts, style)
        for cause in found:
            yield ""
            yield from causes.type_lines(cause, style, len(cause.types) if every else causes.TOP)
        yield ""
        yield from changes.summary_lines(facts, style)
        for cause in found:
            yield from causes.rest_lines(cause, style, _most(cause) if every else causes.TOP)
        # The types explain these better than the numbers.
        hidden = (Change.CRC, Change.TYPES) if found and not every else ()
        for change in Change:
            if change not in hidden:
                yield from changes.listed_lines(facts, change, style, len(facts.changes) if every else changes.TOP)
        yield from _hint(facts, found, style)
    if report.facts:
        yield from verdict_lines(report, style, ())


def _of_exports(facts: AbiFacts, report: Report, style: Style, every: bool) -> Iterator[str]:
    """The selected exports one by one, then what is not about types."""
    from kinspect.reports.abi import changes, symbols
    from kinspect.views.abi.symbols import ExportCauses

    explained = report.facts_of(ExportCauses)
    for number, export in enumerate(explained):
        yield from [""] * (number > 0)
        yield from symbols.lines(export, style, len(export.types) if every else symbols.TOP)
    yield from changes.selected_lines(facts, {export.export for export in explained}, style, every)


def _most(cause: AbiCauses) -> int:
    return max(len(cause.types), len(cause.prototypes), len(cause.unexplained))


def _hint(facts: AbiFacts, found: list[AbiCauses], style: Style) -> Iterator[str]:
    """What would show the causes, when they are not there."""
    from kinspect.views.abi.changes import Change

    if not found and facts.of(Change.CRC):
        yield ""
        yield style.dim("  To see the types behind the CRCs, name kernels or folders that contain them.")
