"""Reports as Markdown, for the summary of a job or a comment on a pull request: verdict, findings, folded details."""

import re
from collections.abc import Iterable

from kinspect.checks.check import Finding, Severity
from kinspect.inspection.report import Report
from kinspect.reports.formats import Lines
from kinspect.reports.formats.summary import subject, verdict
from kinspect.reports.terminal import Style, escaped
from kinspect.reports.text import facts_lines

MOST_FINDINGS = 50
"""Rows of findings: GitHub takes a comment of 64 KiB."""
MOST_LINES = 200
"""Lines of details for each report."""
_SIGNS = ("✅", "❌", "⚠️")
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#&])")


def markdown_lines(reports: Iterable[Report]) -> Lines:
    """The whole summary."""
    given = list(reports)
    whole = sum(given, Report())
    yield f"## {_SIGNS[whole.exit_code]} kinspect: {verdict(whole)}"
    yield ""
    yield "| looked at | verdict |"
    yield "| --- | --- |"
    for report in given:
        yield f"| {_code(subject(report))} | {_SIGNS[report.exit_code]} {verdict(report)} |"
    if whole.errors:
        yield from ("", "| could not be read |", "| --- |")
        yield from (f"| {_plain(str(error))} |" for error in whole.errors)
    if whole.findings:
        yield from _findings(whole.findings)
    for report in given:
        if report.facts:
            yield from _details(report)


def _findings(findings: tuple[Finding, ...]) -> Lines:
    yield from ("", "| severity | what | where | check |", "| --- | --- | --- | --- |")
    order = list(Severity)
    for finding in sorted(findings, key=lambda one: order.index(one.severity))[:MOST_FINDINGS]:
        where = "<br>".join(_code(str(place)) for place in finding.evidence.at)
        yield f"| {finding.severity} | {_plain(str(finding.evidence))} | {where} | {_code(finding.id)} |"
    if len(findings) > MOST_FINDINGS:
        yield f"| | and {len(findings) - MOST_FINDINGS:,} more | | |"


def _details(report: Report) -> Lines:
    lines = [line for facts in report.facts for line in (*facts_lines(facts, Style(False)), "")][:-1]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"... and {len(lines) - MOST_LINES:,} lines more"]
    # Not in a fence: what is in <pre> ends with </pre> alone, whatever it holds.
    yield from ("", f"<details><summary>{_code(subject(report))}</summary>", "", "<pre>")
    yield from (line.replace("&", "&amp;").replace("<", "&lt;") for line in lines)
    yield from ("</pre>", "", "</details>")


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, in a table too; an @ in it calls nobody."""
    return _SPECIAL.sub(r"\\\1", escaped(text)).replace("@", "@&#8203;")


def _code(text: str) -> str:
    return f"<code>{_SPECIAL.sub(lambda found: f'&#{ord(found[0])};', escaped(text))}</code>"
