"""A build log as text, a tag explained, and the page of all tags."""

from collections import Counter
from collections.abc import Iterator

from kinspect.checks.build.log import step_text
from kinspect.checks.check import Severity
from kinspect.inspection.report import Report
from kinspect.reports.terminal import Style, columns, counted, escaped, titled
from kinspect.reports.text import finding_lines
from kinspect.views.buildlog.facts import BuildLogFacts, BuildOutcome, FolderCount
from kinspect.views.buildlog.output_folder import BuiltFacts
from kinspect.views.buildlog.parser import Account, StepCount
from kinspect.views.buildlog.tags import MARKS, TAGS, Tag

TOP = 3
"""Folders of a tag that are listed."""
_VERBOSITY = ("", "V=1: whole commands", "V=2: the reason of each step")
_LINES = {
    "steps": "steps",
    "messages": "of messages",
    "make": "of make",
    "shell": "of recipes",
    "notes": "notes",
    "blank": "blank",
    "unknown": "unknown",
}


def log_lines(facts: BuildLogFacts, paint: Style) -> Iterator[str]:
    """How it ended, what it made, then its steps by tag and its objects by folder."""
    yield f"{paint.bold(escaped(facts.path))}: build log, {counted(facts.lines, 'line')}"
    yield ""
    yield from columns(_summary(facts, paint), "<<")
    yield ""
    yield from titled(paint, ("steps", "tag", "what it does", "folders"), map(_tally, facts.tallies), "><<<")
    if facts.folders:
        yield ""
        built_in, modular = (sum(column) for column in zip(*(row[1:] for row in facts.folders), strict=True))
        total = ("total", f"{built_in:,}", f"{modular:,}")
        rows = [*map(_folder, facts.folders), total]
        yield from titled(paint, ("folder", "built-in objects", "for modules"), rows, "<>>")


def _summary(facts: BuildLogFacts, paint: Style) -> Iterator[tuple[str, str]]:
    last = f", the last step is {escaped(step_text(facts.last))}" if facts.last else ""
    yield (
        "ended",
        {
            BuildOutcome.IMAGE: paint.good("with an image of the kernel"),
            BuildOutcome.DONE: paint.good("well") + ", without making an image of the kernel",
            BuildOutcome.FAILED: paint.bad("failed") + f" at {escaped(', '.join(facts.failures[:TOP]))}",
            BuildOutcome.CUT: paint.bad("cut off") + last,
        }[facts.outcome],
    )
    counts = (
        (facts.modules, "module", ""),
        (facts.device_trees, "device tree", ""),
        (facts.installed, "module installed", "modules installed"),
    )
    rows = [escaped(", ".join(facts.products)), ", ".join(counted(*one) for one in counts if one[0])]
    for title, row in zip(("made", ""), [row for row in rows if row], strict=False):
        yield title, row
    lines = (f"{count:,} {_LINES[kind]}" for kind, count in zip(Account._fields, facts.account, strict=True) if count)
    yield "lines", ", ".join(lines)
    if facts.verbosity:
        yield "verbosity", _VERBOSITY[facts.verbosity]
    for title, (reason, count) in zip(("because", *[""] * 9), facts.reasons, strict=False):
        yield title, f"{escaped(reason)}: {counted(count, 'step')}"


def _tally(tally: StepCount) -> tuple[str, str, str, str]:
    known = TAGS.get(tally.tag)
    meaning = known.meaning if known else "not known to kinspect"
    mark = f", {MARKS[tally.mark]}" if tally.mark in MARKS else ""
    tops: Counter[str] = Counter()
    for folder, count in tally.folders:
        tops[_top(folder)] += count
    rows = [f"{escaped(top)} {count:,}" for top, count in tops.most_common(TOP)]
    more = [f"{len(tops) - TOP} more"] if len(tops) > TOP else []
    name = f"{tally.tag} [{tally.mark}]" if tally.mark else tally.tag
    return f"{tally.steps:,}", name, meaning + mark, ", ".join(rows + more)


def _top(folder: str) -> str:
    """The first part of a folder in the sources or the O= folder; `/` for what lies outside."""
    if folder.startswith("/"):
        return "/"
    parts = [part for part in folder.split("/") if part not in ("..", ".")]
    return parts[0] if parts and parts[0] else "."


def _folder(row: FolderCount) -> tuple[str, str, str]:
    return escaped(row.folder), f"{row.built_in:,}", f"{row.modular:,}"


def built_lines(facts: BuiltFacts, paint: Style) -> Iterator[str]:
    """How the O= folder and the log agree."""
    yield f"{paint.bold(escaped(facts.folder))}: {counted(facts.files, 'file')} that the log says made"
    yield ""
    rows = [("there", f"{facts.files - facts.missing:,}"), ("missing", f"{facts.missing:,}")]
    rows += [
        ("newer than the log", f"{facts.changed:,}"),
        ("older than what they are made of", f"{len(facts.stale):,}"),
    ]
    yield from columns(rows, "<>")


def log_report_lines(report: Report, paint: Style) -> Iterator[str]:
    """The whole report: what was told, the findings, and one line that sums up."""
    for facts in report.facts_of(BuildLogFacts):
        yield from log_lines(facts, paint)
    for built in report.facts_of(BuiltFacts):
        yield ""
        yield from built_lines(built, paint)
    if report.facts:
        yield ""
    order = list(Severity)
    for finding in sorted(report.findings, key=lambda finding: order.index(finding.severity)):
        yield from finding_lines(finding, paint)
    for facts in report.facts_of(BuildLogFacts):
        ended = {
            BuildOutcome.IMAGE: "the build ended with an image",
            BuildOutcome.DONE: "make ended well",
            BuildOutcome.FAILED: "the build failed",
            BuildOutcome.CUT: "the log is cut off",
        }[facts.outcome]
        counts = f"{counted(facts.errors, 'error')}, {counted(facts.warnings, 'warning')}"
        yield (paint.good("good") if report.ok else paint.bad("not good")) + f": {ended}, {counts}"


def explained(tag: Tag, paint: Style, mark: str = "") -> Iterator[str]:
    """One tag, as a learner reads it."""
    yield f"{paint.bold(tag.name)}: {tag.meaning}" + (f", {MARKS[mark]}" if mark in MARKS else "")
    yield ""
    if tag.page:
        yield from _wrapped(tag.page)
        yield ""
    yield f"Source: {tag.source}"


def _wrapped(text: str, width: int = 100) -> Iterator[str]:
    from textwrap import wrap

    yield from wrap(text, width, break_long_words=False, break_on_hyphens=False)


def page() -> str:
    """The list of tags in docs/build-log.md."""
    lines = []
    for tag in sorted(TAGS.values()):
        lines += [
            f"### {tag.name}",
            "",
            f"{tag.meaning[0].upper()}{tag.meaning[1:]}.",
            *_wrapped(tag.page.replace("_", "\\_"), 118),
        ]
        lines += [f"Source: `{tag.source}`.", ""]
    return "\n".join(lines)
