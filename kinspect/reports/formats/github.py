"""Reports as workflow commands of GitHub Actions: findings become annotations, and the log ends with the verdict.

Source: docs.github.com, "Workflow commands for GitHub Actions"; what the runner makes of a line, and how it reads
escapes, is ActionCommand.cs of actions/runner.
"""

from collections import Counter
from collections.abc import Iterable

from kinspect.checks.check import Evidence, Severity
from kinspect.errors import Location
from kinspect.inspection.report import Report
from kinspect.reports.formats import Lines
from kinspect.reports.terminal import counted, escaped
from kinspect.reports.verdict import verdict

MOST = 10
"""Annotations of each kind that GitHub shows for one step. It drops the others."""
_KINDS = {Severity.INFO: "notice", Severity.WARNING: "warning"}
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def github_lines(reports: Iterable[Report]) -> Lines:
    """An annotation for each finding and error, up to what GitHub shows; the rest in a folded group of the log."""
    whole = Report()
    given: Counter[str] = Counter()
    rest: list[str] = []
    for report in reports:
        whole += report
        unread = [("error", type(error).__name__, Evidence.of(error)) for error in report.errors]
        found = [(_KINDS.get(one.severity, "error"), one.id, one.evidence) for one in report.findings]
        for kind, title, evidence in unread + found:
            given[kind] += 1
            if given[kind] <= MOST:
                yield _annotation(kind, title, evidence)
            else:
                place = f"{evidence.at[0]}: " if evidence.at else ""
                rest.append(escaped(f"{kind}: {place}{evidence} [{title}]"))
    if rest:
        yield f"::group::{counted(len(rest), 'finding')} more"
        yield from rest
        yield "::endgroup::"
    yield escaped(str(verdict(whole) or "good: nothing to check"))


def _annotation(kind: str, title: str, evidence: Evidence) -> str:
    places = evidence.at or (Location(""),)
    properties = {"file": places[0].path, "line": places[0].line, "title": title}
    given = ",".join(f"{name}={_written(str(value), _PROPERTY)}" for name, value in properties.items() if value)
    lines = [str(evidence), *(f"  {place}" for place in evidence.at)]
    return f"::{kind} {given}::{'%0A'.join(_written(line, _DATA) for line in lines)}"


def _written(text: str, codes: dict[str, str]) -> str:
    return escaped("".join(codes.get(character, character) for character in text))
