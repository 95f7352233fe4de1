"""A build log as text and as JSON."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from kinspect.checks.build.log import step_text
from kinspect.reports.layout import columns, titled
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.views.buildlog.commands import Step
from kinspect.views.buildlog.counts import Account, StepCount
from kinspect.views.buildlog.facts import BuildLogFacts, BuildOutcome, FolderCount
from kinspect.views.buildlog.tags import MARKS, TAGS

TOP = 3
"""Folders listed for each tag; failures listed."""
_VERBOSITY = ("", "V=1: whole commands", "V=2: the reason for each step")
_ENDED = {
    BuildOutcome.IMAGE: "the build made a kernel image",
    BuildOutcome.DONE: "make ended without an error",
    BuildOutcome.FAILED: "the build failed",
    BuildOutcome.CUT: "the log is cut off",
}
_LINES = {
    "steps": "steps",
    "messages": "of messages",
    "make": "from make",
    "shell": "of recipes",
    "notes": "notes",
    "blank": "blank",
    "unknown": "unknown",
}


def lines(facts: BuildLogFacts, style: Style) -> Iterator[str]:
    """How the build ended and what it made, then its steps by tag and its objects by folder."""
    yield f"{style.bold(escaped(facts.path))}: build log, {counted(facts.lines, 'line')}"
    yield ""
    yield from columns(style, _summary(facts, style), "<<")
    yield ""
    yield from titled(
        style, ("steps", "tag", "what it does", "folders"), map(_tag_row, facts.tallies), "><<<", drop=(3,)
    )
    if facts.folders:
        yield ""
        built_in, modular = (sum(column) for column in zip(*(row[1:] for row in facts.folders), strict=True))
        total = ("total", f"{built_in:,}", f"{modular:,}")
        rows = [*map(_folder_row, facts.folders), total]
        yield from titled(style, ("folder", "built-in objects", "for modules"), rows, "/>>")


def outcome(facts: BuildLogFacts) -> str:
    """How the build ended: `the build failed, 2 errors, 1 warning`."""
    counts = [(facts.errors, "error"), (facts.warnings, "warning")]
    return ", ".join([_ENDED[facts.outcome], *(counted(count, noun) for count, noun in counts if count)])


def verdict_notes(facts: BuildLogFacts) -> Iterator[str]:
    """How many lines were not understood."""
    if facts.account.unknown:
        yield f"not understood: {counted(facts.account.unknown, 'line')}"


def document(facts: BuildLogFacts) -> dict[str, Any]:
    """`build_log` in the schema."""
    return {
        "kind": "build_log",
        "path": facts.path,
        "lines": facts.lines,
        "account": facts.account._asdict(),
        "verbosity": facts.verbosity,
        "outcome": facts.outcome.value,
        "failures": list(facts.failures),
        "last": _step(facts.last),
        "errors": facts.errors,
        "warnings": facts.warnings,
        "messages": [
            {**message._asdict(), "path": message.path or None, "step": _step(message.step)}
            for message in facts.messages
        ],
        "products": list(facts.products),
        "modules": facts.modules,
        "device_trees": facts.device_trees,
        "installed": facts.installed,
        "folders": [row._asdict() for row in facts.folders],
        "tags": [
            {
                "tag": tally.tag,
                "mark": tally.mark or None,
                "meaning": TAGS[tally.tag].meaning if tally.tag in TAGS else None,
                "steps": tally.steps,
                "folders": [{"folder": folder, "steps": count} for folder, count in tally.folders],
            }
            for tally in facts.tallies
        ],
        "reasons": [{"reason": reason, "steps": count} for reason, count in facts.reasons],
        "unknown": [{"line": number, "text": text} for number, text in facts.unknown],
    }


def _step(step: Step | None) -> dict[str, Any] | None:
    return {"tag": step.tag, "mark": step.mark or None, "target": step.target} if step else None


def _summary(facts: BuildLogFacts, style: Style) -> Iterator[tuple[str, str]]:
    last = f", the last step is {escaped(step_text(facts.last))}" if facts.last else ""
    yield (
        "ended",
        {
            BuildOutcome.IMAGE: style.good("with a kernel image"),
            BuildOutcome.DONE: style.good("without an error") + "; no kernel image was made",
            BuildOutcome.FAILED: style.bad("failed") + f" at {escaped(', '.join(facts.failures[:TOP]))}",
            BuildOutcome.CUT: style.bad("cut off") + last,
        }[facts.outcome],
    )
    counts = (
        (facts.modules, "module", ""),
        (facts.device_trees, "device tree", ""),
        (facts.installed, "module installed", "modules installed"),
    )
    rows = [escaped(", ".join(facts.products)), ", ".join(counted(*count) for count in counts if count[0])]
    for title, row in zip(("made", ""), [row for row in rows if row], strict=False):
        yield title, row
    kinds = (f"{count:,} {_LINES[kind]}" for kind, count in zip(Account._fields, facts.account, strict=True) if count)
    yield "lines", ", ".join(kinds)
    if facts.verbosity:
        yield "verbosity", _VERBOSITY[facts.verbosity]
    for title, (reason, count) in zip(("because", *[""] * 9), facts.reasons, strict=False):
        yield title, f"{escaped(reason)}: {counted(count, 'step')}"


def _tag_row(tally: StepCount) -> tuple[str, str, str, str]:
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


def _folder_row(row: FolderCount) -> tuple[str, str, str]:
    return escaped(row.folder), f"{row.built_in:,}", f"{row.modular:,}"
