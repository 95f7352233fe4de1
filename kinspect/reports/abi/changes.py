"""The exports of two kernels compared, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import columns, titled, wrapped
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.abi.changes import BREAKS, LABELS, AbiFacts, Change, ChangedExport, Modversions

TOP = 10
"""Changes of each kind that are listed."""
_VERSIONS = {
    Modversions.BOTH: "compared: both kernels have MODVERSIONS",
    Modversions.NEITHER: "none: neither kernel has MODVERSIONS",
    Modversions.GONE: "not comparable: the new kernel has no MODVERSIONS",
    Modversions.NEW: "not comparable: the old kernel has no MODVERSIONS",
}
_LOST = {Modversions.GONE: "MODVERSIONS removed", Modversions.NEW: "MODVERSIONS added"}


def lines(facts: AbiFacts, style: Style, most: int = TOP) -> Iterator[str]:
    """The number of changes of each kind, then the first `most` of each."""
    yield from heading_lines(facts, style)
    yield ""
    yield from summary_lines(facts, style)
    for change in Change:
        yield from listed_lines(facts, change, style, most)


def heading_lines(facts: AbiFacts, style: Style) -> Iterator[str]:
    """The two files, and whether only names were compared."""
    yield f"{style.bold(escaped(facts.new))}: exports compared with {style.bold(escaped(facts.old))}"
    if facts.only_names:
        yield "  not compared: what the exports take and return (no CRCs, and no types on both sides)"


def summary_lines(facts: AbiFacts, style: Style) -> Iterator[str]:
    """The exports of both kernels, and the number of changes of each kind."""
    rows = [
        ("exports", f"{facts.old_exports:,} before, {facts.new_exports:,} now"),
        ("versions", _VERSIONS[facts.versions]),
    ]
    if facts.rules:
        tolerated = sum(change.tolerated for change in facts.changes)
        rows.append(("rules", f"{escaped(facts.rules)} tolerates {counted(tolerated, 'change')}"))
    yield from columns(style, rows, "<<")
    counts = []
    if facts.incomparable:
        counts.append((_LOST[facts.versions], f"{facts.incomparable:,}", "", style.bad("breaks")))
    for change in Change:
        found = facts.of(change)
        if found:
            tolerated = sum(changed.tolerated for changed in found)
            verdict = _verdict(change, len(found) - tolerated, style)
            label = LABELS.get(change, change.value)
            counts.append((label, f"{len(found):,}", f"{tolerated:,}" if facts.rules else "", verdict))
    if not counts:
        yield "  nothing changed"
        return
    yield ""
    yield from titled(style, ("change", "exports", "tolerated" if facts.rules else "", ""), counts, "<>><")


def _verdict(change: Change, count: int, style: Style) -> str:
    if not count:
        return ""
    if change in BREAKS:
        return style.bad("breaks")
    return style.warning("review") if change == Change.MOVED else style.dim("fine")


def listed_lines(facts: AbiFacts, change: Change, style: Style, most: int) -> Iterator[str]:
    """The first `most` changes of one kind, after a blank line; nothing when there are none."""
    found = facts.of(change)
    if not found or not most:
        return
    yield ""
    # Changes that break the interface come first.
    rows = sorted(found, key=lambda changed: changed.tolerated)
    yield f"  {style.bold(LABELS.get(change, change.value))}"
    shown = [
        (
            escaped(changed.name),
            escaped(_old_and_new(changed)),
            style.dim("tolerated") if changed.tolerated else "",
        )
        for changed in rows[:most]
    ]
    yield from columns(style, shown, "//<", indent="    ")
    if len(rows) > most:
        yield style.dim(f"    and {len(rows) - most:,} more (--all shows them)")


def selected_lines(facts: AbiFacts, explained: set[str], style: Style, every: bool) -> Iterator[str]:
    """What changed in the selected exports besides their types, and those of which the types are not explained."""
    for change in Change:
        if change not in (Change.CRC, Change.TYPES):
            yield from listed_lines(facts, change, style, len(facts.changes) if every else TOP)
    alone = {changed.name for changed in (*facts.of(Change.REMOVED), *facts.of(Change.ADDED))}
    rest = [escaped(name) for name in facts.only if name not in explained | alone]
    if rest:
        more = f" and {len(rest) - TOP:,} more" if len(rest) > TOP and not every else ""
        names = ", ".join(rest if every else rest[:TOP])
        yield ""
        yield from wrapped(style, f"  types not compared of {counted(len(rest), 'export')}: {names}{more}")
    if facts.incomparable:
        yield ""
        yield f"  CRCs {_VERSIONS[facts.versions]}"


def _old_and_new(changed: ChangedExport) -> str:
    if changed.change in (Change.REMOVED, Change.ADDED):
        return changed.module
    if changed.change == Change.TYPES and not changed.old:
        return f"uses {changed.new}"
    return f"{changed.old or 'none'} to {changed.new or 'none'}"


def verdict_notes(facts: AbiFacts) -> Iterator[str]:
    """That only names were compared."""
    if facts.only_names:
        yield "not checked: types"


def outcome(facts: AbiFacts) -> str:
    """Whether modules of the old kernel notice: `2 changes break the interface`."""
    if facts.kept and facts.only:
        return f"{counted(len(facts.only), 'export')}, nothing that breaks modules"
    if facts.kept:
        return "modules of the old kernel load into the new one"
    return f"{counted(facts.breaks, 'change')} {'breaks' if facts.breaks == 1 else 'break'} the interface"


def document(facts: AbiFacts) -> Document:
    """`abi` in docs/report.schema.json."""
    return {
        "kind": "abi",
        **facts._asdict(),
        "rules": facts.rules or None,
        "versions": facts.versions.value,
        "kept": facts.kept,
        "breaks": facts.breaks,
        "changes": [
            {**changed._asdict(), "change": changed.change.value, "breaks": changed.breaks} for changed in facts.changes
        ],
    }
