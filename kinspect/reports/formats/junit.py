"""Reports as JUnit XML, which most systems for continuous integration show: a suite a report, a case a check.

An error is a failure of its case; what could not be told, or not be read, is an error of it; warnings and information
are its output, for they do not change the verdict.
"""

from collections.abc import Iterable, Iterator

from kinspect.checks.check import Finding, Severity
from kinspect.errors import KinspectError
from kinspect.inspection.report import Report
from kinspect.reports.formats import Lines
from kinspect.reports.formats.summary import subject
from kinspect.reports.terminal import escaped

UNREAD = "can-be-read"
"""The case that fails when something could not be read."""
_BAD = {Severity.ERROR: "failure", Severity.UNDECIDED: "error"}


def junit_lines(reports: Iterable[Report]) -> Lines:
    """The whole document."""
    suites = [_suite(report) for report in reports]
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    tests, failures, errors = (sum(suite[0][index] for suite in suites) for index in range(3))
    yield f'<testsuites name="kinspect" tests="{tests}" failures="{failures}" errors="{errors}">'
    for _, lines in suites:
        yield from lines
    yield "</testsuites>"


def _suite(report: Report) -> tuple[tuple[int, int, int], list[str]]:
    """A suite: how many cases it has, how many of them failed, and could not be told; and its lines."""
    about = subject(report)
    found: dict[str, list[Finding]] = {name: [] for name in report.ran}
    for finding in report.findings:
        found.setdefault(finding.id, []).append(finding)
    cases = [_case(about, name, list(_outcomes(of))) for name, of in found.items()]
    if report.errors:
        cases.append(_case(about, UNREAD, [_unread(error) for error in report.errors]))
    lines = [line for case in cases for line in case]
    failures, errors = (sum(any(f"<{tag} " in line for line in case) for case in cases) for tag in ("failure", "error"))
    head = (
        f'  <testsuite name={_quoted(about)} tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="0">'
    )
    return (len(cases), failures, errors), [head, *lines, "  </testsuite>"]


def _outcomes(findings: list[Finding]) -> Iterator[str]:
    for severity, tag in _BAD.items():
        bad = [finding for finding in findings if finding.severity == severity]
        if bad:
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            message = _quoted(f"{bad[0].evidence}{more}")
            yield f'<{tag} type="{severity}" message={message}>{_body(bad)}</{tag}>'
    if others := [finding for finding in findings if finding.severity not in _BAD]:
        yield f"<system-out>{_body(others)}</system-out>"


def _unread(error: KinspectError) -> str:
    return f'<error type="{type(error).__name__}" message={_quoted(str(error))}/>'


def _case(about: str, name: str, outcomes: list[str]) -> list[str]:
    head = f"    <testcase classname={_quoted(about)} name={_quoted(name)}"
    return [f"{head}>", *(f"      {outcome}" for outcome in outcomes), "    </testcase>"] if outcomes else [f"{head}/>"]


def _body(findings: list[Finding]) -> str:
    lines = []
    for finding in findings:
        lines.append(f"{finding.severity}: {finding.evidence}")
        lines += [f"    {place}" for place in finding.evidence.at]
    return "\n".join(_text(line) for line in lines)


def _text(text: str) -> str:
    # What XML has no place for, control characters and lone surrogates, escaped() has made visible.
    return escaped(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    return '"' + _text(text).replace('"', "&quot;") + '"'
