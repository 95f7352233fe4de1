"""The possible savings of a kernel: as text, as a table and as JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from kinspect.reports.layout import columns, paragraph, titled
from kinspect.reports.terminal import Style, escaped, human
from kinspect.views.savings.entry import Saving, SavingKind
from kinspect.views.savings.facts import SavingsFacts

TOP = 3
"""Examples listed of each saving."""
_TITLES = {
    SavingKind.UNNEEDED: "not needed",
    SavingKind.BOOT: "needed only during boot",
    SavingKind.OPTION: "can be configured out",
}


def lines(facts: SavingsFacts, style: Style) -> Iterator[str]:
    """A table for each kind, with an explanation of each saving."""
    yield f"{style.bold(escaped(facts.vmlinux))}: what could be saved"
    for kind in SavingKind:
        entries = [entry for entry in facts.entries if entry.kind == kind]
        if entries:
            yield ""
            heads = (_TITLES[kind], "in file", "", "in memory", "places")
            yield from titled(style, heads, (_cells(facts, entry) for entry in entries), "/>>>>")
            for entry in entries:
                yield ""
                yield from _explained(entry, style)
    yield ""
    text = "In memory: bytes that stay in use after boot. The savings overlap, so adding them up is wrong."
    yield from paragraph(style, text, "  ")


def document(facts: SavingsFacts) -> dict[str, Any]:
    """All savings: `waste` in the schema."""
    entries = []
    for entry in facts.entries:
        fields = {"sort" if name == "kind" else name: value for name, value in entry._asdict().items()}
        entries.append({**fields, "examples": [example._asdict() for example in entry.examples]})
    return {"kind": "waste", **facts._asdict(), "entries": entries}


def rows(facts: SavingsFacts) -> Iterator[Sequence[str | int]]:
    """A header, then each saving."""
    yield "id", "sort", "file", "memory", "places"
    for entry in facts.entries:
        yield entry.id, entry.kind.value, entry.file, entry.memory, entry.places


def markdown_lines(facts: SavingsFacts) -> Iterator[str]:
    """A table for each kind."""
    yield "### Possible savings"
    for kind in SavingKind:
        entries = [entry for entry in facts.entries if entry.kind == kind]
        if entries:
            yield from (
                "",
                f"| {_TITLES[kind]} | in file | | in memory | places |",
                "| --- | ---: | ---: | ---: | ---: |",
            )
            yield from (f"| {' | '.join(_cells(facts, entry))} |" for entry in entries)


def _cells(facts: SavingsFacts, entry: Saving) -> tuple[str, ...]:
    share = f"{100 * entry.file / max(1, facts.file_size):.1f} %"
    memory = human(entry.memory) if entry.memory else "-"
    return _title(entry), human(entry.file), share, memory, f"{entry.places:,}"


def _title(entry: Saving) -> str:
    return entry.id.replace("-", " ")


def _explained(entry: Saving, style: Style) -> Iterator[str]:
    yield f"  {style.bold(_title(entry))}"
    yield from paragraph(style, entry.reason, "    ")
    yield from paragraph(style, f"Remedy: {entry.remedy}", "    ")
    if len(entry.examples) > 1 or any(example.where for example in entry.examples):
        examples = [
            (human(example.size), escaped(example.name), style.dim(escaped(example.where)))
            for example in entry.examples[:TOP]
        ]
        yield from columns(style, examples, ">//", indent="      ")
