"""Reports as JUnit XML, which most continuous integration systems show: a suite for each report, a case for each check.

An error finding is a failure of its case. A check that could not run, or a file that could not be read, is an error of
its case. Warnings and information are output of the case: they do not change the verdict.
"""

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from kinspect.checks.build.files import can_be_read
from kinspect.checks.check import Finding, Severity
from kinspect.inspection.report import Report
from kinspect.reports.formats import Lines
from kinspect.reports.formats.summary import subject
from kinspect.reports.terminal import escaped

UNREAD = can_be_read.id
"""The case that fails when a file could not be read."""
_OUTCOMES = {Severity.ERROR: "failure", Severity.UNDECIDED: "error"}


def junit_lines(reports: Iterable[Report]) -> Lines:
    """The whole document."""
    root = Element("testsuites", name="kinspect")
    for report in reports:
        root.append(_suite(report))
    for attribute in ("tests", "failures", "errors"):
        root.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in root)))
    ElementTree.indent(root)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield from ElementTree.tostring(root, "unicode").split("\n")


def _suite(report: Report) -> Element:
    about = escaped(subject(report))
    suite = Element("testsuite", name=about)
    found: dict[str, list[Finding]] = {name: [] for name in report.ran}
    for finding in report.findings:
        found.setdefault(finding.id, []).append(finding)
    for name, findings in found.items():
        _add_findings(SubElement(suite, "testcase", classname=about, name=name), findings)
    if report.errors:
        case = SubElement(suite, "testcase", classname=about, name=UNREAD)
        for error in report.errors:
            SubElement(case, "error", type=type(error).__name__, message=escaped(str(error)))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in suite)))
    suite.set("errors", str(sum(case.find("error") is not None for case in suite)))
    suite.set("skipped", "0")
    return suite


def _add_findings(case: Element, findings: list[Finding]) -> None:
    for severity, tag in _OUTCOMES.items():
        bad = [finding for finding in findings if finding.severity == severity]
        if bad:
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            message = escaped(f"{bad[0].evidence}{more}")
            SubElement(case, tag, type=severity, message=message).text = _body(bad)
    if others := [finding for finding in findings if finding.severity not in _OUTCOMES]:
        SubElement(case, "system-out").text = _body(others)


def _body(findings: list[Finding]) -> str:
    # Control characters and lone surrogates have no place in XML: escaped() makes them visible.
    lines = []
    for finding in findings:
        lines.append(escaped(f"{finding.severity}: {finding.evidence}"))
        lines += [escaped(f"    {place}") for place in finding.evidence.at]
    return "\n".join(lines)
