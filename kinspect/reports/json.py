"""A report as JSON for programs: docs/report.schema.json says what is in it.

Sizes, counts and offsets in files are integers; addresses, flags and other bit patterns are strings like "0xa".
"""

import json
import re
from typing import TYPE_CHECKING, Any

from kinspect.checks.check import Check, Evidence, Finding
from kinspect.errors import KinspectError, Location, Value
from kinspect.inspection.report import Report
from kinspect.reports.presentation import presentation
from kinspect.reports.values import Document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kinspect.views.buildlog.explanation import CommandFacts
    from kinspect.views.buildlog.tags import Tag

SCHEMA_VERSION = 1
_LONE_SURROGATE = re.compile(r"(?<!\\ud[89ab][0-9a-f][0-9a-f])\\udc([89a-f][0-9a-f])")


def report_text(report: Report) -> str:
    """The whole report as one JSON document."""
    return document_text(
        {
            "schema_version": SCHEMA_VERSION,
            "ok": report.ok,
            "exit_code": report.exit_code,
            "facts": [facts_document(facts) for facts in report.facts],
            "findings": [finding_document(finding) for finding in report.findings],
            "checks": list(report.ran),
            "errors": [error_document(error) for error in report.errors],
        }
    )


def checks_text(checks: tuple[Check, ...]) -> str:
    """What checks there are, as one JSON document."""
    listed = [{"id": check.id, "severity": check.severity, "title": check.title, "page": check.doc} for check in checks]
    return document_text({"schema_version": SCHEMA_VERSION, "checks": listed})


def tag_text(tag: "Tag") -> str:
    """What a tag in a build log means, as one JSON document."""
    from kinspect.reports.buildlog.tags import document

    return document_text({"schema_version": SCHEMA_VERSION, "tag": document(tag)})


def tags_text(tags: "Iterable[Tag]") -> str:
    """Every tag as one JSON document."""
    from kinspect.reports.buildlog.tags import document

    return document_text({"schema_version": SCHEMA_VERSION, "tags": [document(tag) for tag in tags]})


def command_text(facts: "CommandFacts") -> str:
    """A command of make V=1, explained, as one JSON document."""
    from kinspect.reports.buildlog.explanation import document

    return document_text({"schema_version": SCHEMA_VERSION, "command": document(facts)})


def document_text(document: Document, indent: int | None = 2) -> str:
    """JSON of a document; on one line with no indent."""
    # Bytes that are no UTF-8 come as lone surrogates, which not every reader takes: they become \xNN in the text.
    text = _LONE_SURROGATE.sub(r"\\\\x\1", json.dumps(document, indent=indent))
    # The same to a reader of JSON, but not a command to GitHub's runner.
    return text.replace("##[", "##\\u005b")


def finding_document(finding: Finding) -> Document:
    """A finding: `finding` in the schema."""
    return {"id": finding.id, "severity": finding.severity, **_evidence(finding.evidence)}


def _evidence(evidence: Evidence) -> Document:
    return {
        "message": evidence.message,
        "at": [_location(at) for at in evidence.at],
        "expected": _value(evidence.expected),
        "actual": _value(evidence.actual),
    }


def error_document(error: KinspectError) -> Document:
    """An error: `error` in the schema."""
    document = {"kind": type(error).__name__, "message": error.problem, "at": [_location(error.at)]}
    return {**document, "expected": _value(error.expected), "actual": _value(error.actual)}


def _location(at: Location) -> Document:
    return {"path": at.path, "part": at.part or None, "offset": at.offset, "line": at.line}


def _value(value: Value | None) -> int | str | None:
    return value.hex() if isinstance(value, bytes) else value


def facts_document(facts: Any) -> Document:
    """Facts of any kind, as the schema has them."""
    return presentation(facts).document(facts)
