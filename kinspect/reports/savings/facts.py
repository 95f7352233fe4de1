"""What a kernel could give back, as text."""

from collections.abc import Iterator
from textwrap import wrap

from kinspect.reports.terminal import Style, columns, escaped, human, titled
from kinspect.views.savings.entry import SavingKind, Waste, WasteFacts

TOP = 3
"""Examples that are shown of an entry."""
_WIDTH = 100
_TITLES = {
    SavingKind.WASTE: "what nothing would miss",
    SavingKind.START: "what start-up alone needs",
    SavingKind.OPTION: "what the configuration can leave out",
}


def waste_lines(facts: WasteFacts, paint: Style) -> Iterator[str]:
    """A table of each sort, then each entry explained."""
    yield f"{paint.bold(escaped(facts.vmlinux))}: what could be given back"
    for sort in SavingKind:
        entries = [entry for entry in facts.entries if entry.sort == sort]
        if entries:
            yield ""
            yield from titled(
                paint, (_TITLES[sort], "in file", "", "in memory", "places"), _rows(facts, entries), "<>>>>"
            )
            for entry in entries:
                yield ""
                yield from _explained(entry, paint)
    yield ""
    yield from wrap(
        "In memory: what the kernel still has of it after boot. Entries overlap, so that they have no sum.",
        _WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
    )


def _rows(facts: WasteFacts, entries: list[Waste]) -> Iterator[tuple[str, str, str, str, str]]:
    for entry in entries:
        share = f"{100 * entry.file / max(1, facts.file_size):.1f} %"
        memory = human(entry.memory) if entry.memory else "-"
        yield _title(entry), human(entry.file), share, memory, f"{entry.places:,}"


def _title(entry: Waste) -> str:
    return entry.id.replace("-", " ")


def _explained(entry: Waste, paint: Style) -> Iterator[str]:
    yield f"  {paint.bold(_title(entry))}"
    yield from wrap(entry.reason, _WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield from wrap(f"Remedy: {entry.remedy}", _WIDTH, initial_indent="    ", subsequent_indent="    ")
    if len(entry.examples) > 1 or any(example.where for example in entry.examples):
        rows = [
            (human(example.size), escaped(example.name), paint.dim(escaped(example.where)))
            for example in entry.examples[:TOP]
        ]
        yield from columns(rows, "><<", indent="      ")
