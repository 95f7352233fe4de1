"""Findings as text. Those that are alike in many files are one, and a place in a package is its path in there."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from kinspect.checks.check import Finding, Severity
from kinspect.errors import Location
from kinspect.reports.layout import wrapped
from kinspect.reports.terminal import Style, counted, escaped

MOST = 4
"""Files with findings that are alike, of which all are listed. Of more, the first finding is, and some names."""
_NAMED = 3
_MARGIN = 10
"""The column of messages, after their severity."""
_NUMBER = re.compile(r"\b(?:0x[0-9a-f]+|(?=[0-9a-f]*\d)[0-9a-f]+(?:,\d{3})*)\b")
_WORD = re.compile(r"[\w-]+")
_PLURAL = re.compile(r"s\b")
_VERBS = {"are": "i", "have": "ha", "were": "wa", "do": "doe"}
"""Verbs in the plural, and those in the singular without their s."""
_VERB = re.compile(rf"\b(?:{'|'.join(_VERBS)})\b")


def findings_lines(findings: Sequence[Finding], style: Style, containers: Sequence[str] = ()) -> Iterator[str]:
    """Findings, the worst first. `containers` are the packages that the text before them names."""
    order = list(Severity)
    for alike in _grouped(sorted(findings, key=lambda finding: order.index(finding.severity))):
        if len({_file(finding) for finding in alike}) <= MOST:
            for finding in alike:
                yield from _finding_lines(finding, style, containers)
        else:
            yield from _finding_lines(alike[0], style, containers)
            yield from wrapped(style, " " * _MARGIN + _rest(alike), _MARGIN)


def _finding_lines(finding: Finding, style: Style, containers: Sequence[str]) -> Iterator[str]:
    """One finding: severity, message, places."""
    colours = {Severity.ERROR: style.bad, Severity.UNDECIDED: style.bad, Severity.WARNING: style.warning}
    word = colours.get(finding.severity, style.dim)(f"{finding.severity:9}")
    text = f"{word} {escaped(str(finding.evidence))}  {style.dim('[' + finding.id + ']')}"
    yield from wrapped(style, text, _MARGIN)
    places = [_inside(at, containers) for at in finding.evidence.at]
    for container, group in groupby(places, key=lambda place: place[0]):
        margin = _MARGIN
        # The first line of the report names a package that is alone.
        if container and len(containers) > 1:
            yield " " * margin + escaped(_short(container, containers)) + ":"
            margin += 2
        for _, at in group:
            yield from wrapped(style, " " * margin + escaped(str(at)), margin + 2)


def _inside(at: Location, containers: Iterable[str]) -> tuple[str, Location]:
    """The package that a place is in, and the place in there; for any other place an empty name, and the place."""
    for container in containers:
        if at.path.startswith(f"{container}:"):
            return container, at._replace(path=at.path[len(container) + 1 :])
    return "", at


def _short(container: str, containers: Sequence[str]) -> str:
    """The name of a package; its path where another has the same name."""
    name = os.path.basename(container)
    return container if [os.path.basename(other) for other in containers].count(name) > 1 else name


def _grouped(findings: Iterable[Finding]) -> Iterable[list[Finding]]:
    """Findings that are alike together, in the order of the first of each group."""
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.id, finding.severity, *_form(finding)), []).append(finding)
    return groups.values()


def _form(finding: Finding) -> Iterator[object]:
    """What a finding says, without the numbers in it and the name of its file."""
    name = os.path.basename(_file(finding)).partition(".")[0].replace("-", "_")
    evidence = finding.evidence
    for value in (evidence.message, evidence.expected, evidence.actual):
        yield _text_form(value, name) if isinstance(value, str) else type(value)


def _text_form(text: str, name: str) -> str:
    unnamed = _WORD.sub(lambda found: "*" if found[0].replace("-", "_") == name else found[0], text)
    verbs = _VERB.sub(lambda found: _VERBS[found[0]], _NUMBER.sub("#", unnamed))
    return _PLURAL.sub("", verbs)


def _file(finding: Finding) -> str:
    return finding.evidence.at[0].path if finding.evidence.at else ""


def _rest(alike: Sequence[Finding]) -> str:
    """How many findings are like the first, and the first of the other files: `similar in 8 more files, such as ...`"""
    first, others = _file(alike[0]), alike[1:]
    files = list(dict.fromkeys(path for path in map(_file, alike) if path != first))
    start = os.path.commonprefix([first, *files]).rfind("/") + 1  # noqa: RUF071
    names = [escaped(path[start:]) for path in files[:_NAMED]]
    if len(files) == len(others):
        same = all(str(finding.evidence) == str(alike[0].evidence) for finding in others)
        count = f"{'the same' if same else 'similar'} in {counted(len(files), 'more file')}"
    else:
        count = f"{len(others):,} more findings like this in {len(files) + 1:,} files"
    return f"{count}, such as {', '.join(names[:-1])} and {names[-1]} (--json lists them)"
