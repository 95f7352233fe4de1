"""Reports as lines of JSON, each as soon as it is known: facts, findings, errors, and at the end the verdict.

A line is an object with one key that says what it is; docs/report.schema.json has it as `line`.
"""

from collections.abc import Iterable

from kinspect.inspection.report import Report
from kinspect.reports.formats import Lines
from kinspect.reports.json import SCHEMA_VERSION, document_text, error_document, facts_document, finding_document


def jsonl_lines(reports: Iterable[Report]) -> Lines:
    """A line for each of the facts, findings and errors, and one for the verdict."""
    checks: list[str] = []
    status = 0
    for report in reports:
        checks += report.ran
        status = max(status, report.exit_code)
        for facts in report.facts:
            yield document_text({"facts": facts_document(facts)}, indent=None)
        for finding in report.findings:
            yield document_text({"finding": finding_document(finding)}, indent=None)
        for error in report.errors:
            yield document_text({"error": error_document(error)}, indent=None)
    verdict = {"schema_version": SCHEMA_VERSION, "ok": status == 0, "exit_code": status, "checks": checks}
    yield document_text({"verdict": verdict}, indent=None)
