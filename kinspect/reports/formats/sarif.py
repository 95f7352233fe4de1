"""Reports as SARIF 2.1.0, which code scanning and viewers read: one run, a rule for each check, a result a finding.

Source: docs.oasis-open.org/sarif/sarif/v2.1.0; what GitHub takes of it is in docs.github.com, "SARIF support for code
scanning".
"""

import os
from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from kinspect import __version__
from kinspect.checks.check import Check, Evidence, Finding, Severity
from kinspect.errors import KinspectError, Location
from kinspect.inspection.report import Report, checks_of
from kinspect.reports.formats import Lines
from kinspect.reports.json import document_text
from kinspect.reports.terminal import escaped

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note", Severity.UNDECIDED: "none"}

Document = dict[str, Any]


def sarif_lines(reports: Iterable[Report]) -> Lines:
    """The whole log."""
    report = sum(reports, Report())
    names = dict.fromkeys([*report.ran, *(finding.id for finding in report.findings)])
    rules = {name: index for index, name in enumerate(names)}
    known = {check.id: check for check in checks_of()} if names else {}
    run = {
        "tool": {
            "driver": {
                "name": "kinspect",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(name, known.get(name)) for name in rules],
            }
        },
        "invocations": [_invocation(report)],
        "results": [_result(finding, rules[finding.id]) for finding in report.findings],
    }
    yield document_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(name: str, check: Check | None) -> Document:
    if check is None:
        return {"id": name}
    return {
        "id": name,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.doc},
        "help": {"text": check.doc},
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
    }


def _invocation(report: Report) -> Document:
    undecided = [finding for finding in report.findings if finding.severity == Severity.UNDECIDED]
    return {
        # A finding is a successful run of the tool; a check that could not run is not.
        "executionSuccessful": report.exit_code != 2,
        "exitCode": report.exit_code,
        "toolExecutionNotifications": [_notification(error) for error in report.errors]
        + [{**_told(finding.evidence), "associatedRule": {"id": finding.id}} for finding in undecided],
    }


def _notification(error: KinspectError) -> Document:
    return {**_told(Evidence.of(error)), "descriptor": {"id": type(error).__name__}}


def _told(evidence: Evidence) -> Document:
    return {"level": "error", "message": _message(evidence), "locations": [_location(at) for at in evidence.at]}


def _message(evidence: Evidence) -> Document:
    # Braces are placeholders in a SARIF message.
    return {"text": escaped(str(evidence)).replace("{", "{{").replace("}", "}}")}


def _result(finding: Finding, rule: int) -> Document:
    # Only a failure has a level. "open" means that the check could not decide.
    kind = "open" if finding.severity == Severity.UNDECIDED else "fail"
    places = [_location(at) for at in finding.evidence.at]
    return {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "kind": kind,
        "level": _LEVELS[finding.severity],
        "message": _message(finding.evidence),
        # The first is the place of the fault, the others are what it was compared with.
        "locations": places[:1],
        "relatedLocations": places[1:],
        "partialFingerprints": {"finding/v1": _fingerprint(finding)},
    }


def _location(at: Location) -> Document:
    # GitHub shows no result without a line, also for binaries. In SARIF, line and byte offset are independent.
    region = {"startLine": at.line or 1}
    if at.offset is not None:
        region["byteOffset"] = at.offset
    found: Document = {"physicalLocation": {"artifactLocation": {"uri": _uri(at.path)}, "region": region}}
    if at.part:
        found["logicalLocations"] = [{"name": escaped(at.part), "fullyQualifiedName": escaped(f"{at.path}: {at.part}")}]
    return found


def _uri(path: str) -> str:
    """A path as a URI reference: relative as given, or file:// when it is absolute."""
    try:
        encoded = quote(os.fsencode(path))
    except UnicodeEncodeError:
        encoded = quote(escaped(path))
    return f"file://{encoded}" if os.path.isabs(path) else encoded


def _fingerprint(finding: Finding) -> str:
    """Equal for the same finding in another build: it leaves out offsets, sizes and lines."""
    places = "\n".join(f"{at.path}\n{at.part}" for at in finding.evidence.at)
    return sha256(f"{finding.id}\n{places}".encode("utf-8", "surrogatepass")).hexdigest()
