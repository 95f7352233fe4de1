"""Reports as Markdown, for a job summary or a comment on a pull request: verdict, findings, folded details."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kinspect.checks.check import Finding, Severity
from kinspect.inspection.report import Report
from kinspect.reports.formats import Lines
from kinspect.reports.formats.summary import subject
from kinspect.reports.presentation import presentation
from kinspect.reports.terminal import Style, escaped
from kinspect.reports.text import facts_lines
from kinspect.reports.verdict import verdict

MOST_FINDINGS = 50
"""Rows of findings: GitHub takes a comment of 64 KiB."""
MOST_LINES = 200
"""Lines of details for each report."""
_SIGNS = ("✅", "❌", "⚠️")
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#&])")
_CODE = re.compile(r"[\\`*_\[\]<>|~#&@]")


def markdown_lines(reports: Iterable[Report]) -> Lines:
    """The whole summary: blocks with an empty line between them."""
    for index, block in enumerate(_blocks(list(reports))):
        if index:
            yield ""
        yield from block


def _blocks(reports: list[Report]) -> Iterator[Iterable[str]]:
    whole = sum(reports, Report())
    # Sizes that nothing was checked of have a headline of their own, and no verdict.
    if whole.ran or whole.findings or whole.errors or not all(map(_has_markdown, whole.facts)):
        yield [f"## {_SIGNS[whole.exit_code]} kinspect: {_verdict(whole)}"]
        yield ["| looked at | verdict |", "| --- | --- |", *(_verdict_row(report) for report in reports)]
    if whole.errors:
        yield ["| could not be read |", "| --- |", *(f"| {_plain(str(error))} |" for error in whole.errors)]
    if whole.findings:
        yield _findings(whole.findings)
    for report in reports:
        for facts in filter(_has_markdown, report.facts):
            yield getattr(presentation(facts), "markdown_lines")(facts)  # noqa: B009
        if others := [facts for facts in report.facts if not _has_markdown(facts)]:
            yield _details(report, others)


def _has_markdown(facts: NamedTuple) -> bool:
    return hasattr(presentation(facts), "markdown_lines")


def _verdict_row(report: Report) -> str:
    return f"| {_code(subject(report))} | {_SIGNS[report.exit_code]} {_verdict(report)} |"


def _verdict(report: Report) -> str:
    return str(verdict(report) or "good: nothing to check")


def _findings(findings: tuple[Finding, ...]) -> Lines:
    yield from ("| severity | what | where | check |", "| --- | --- | --- | --- |")
    order = list(Severity)
    for finding in sorted(findings, key=lambda finding: order.index(finding.severity))[:MOST_FINDINGS]:
        where = "<br>".join(_code(str(place)) for place in finding.evidence.at)
        yield f"| {finding.severity} | {_plain(str(finding.evidence))} | {where} | {_code(finding.id)} |"
    if len(findings) > MOST_FINDINGS:
        yield f"| | and {len(findings) - MOST_FINDINGS:,} more | | |"


def _details(report: Report, several: list[NamedTuple]) -> Lines:
    lines = [line for facts in several for line in (*facts_lines(facts, Style(False)), "")][:-1]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"... and {len(lines) - MOST_LINES:,} lines more"]
    # Not in a fence: only </pre> ends <pre>.
    yield from (f"<details><summary>{_code(subject(report))}</summary>", "", "<pre>")
    yield from (line.replace("&", "&amp;").replace("<", "&lt;") for line in lines)
    yield from ("</pre>", "", "</details>")


def _plain(text: str) -> str:
    """Text that Markdown shows unchanged, also in a table; an @ in it notifies nobody."""
    return _SPECIAL.sub(r"\\\1", escaped(text)).replace("@", "@&#8203;")


def _code(text: str) -> str:
    return f"<code>{_CODE.sub(lambda found: f'&#{ord(found[0])};', escaped(text))}</code>"
