"""Two interfaces compared, as text."""

from collections.abc import Iterator

from kinspect.reports.terminal import Style, columns, counted, escaped, titled
from kinspect.views.abi.changes import BREAKS, AbiFacts, Change, ChangedExport, Modversions

TOP = 10
"""Changes of one kind that are listed."""
_VERSIONS = {
    Modversions.BOTH: "compared: both kernels have MODVERSIONS",
    Modversions.NEITHER: "none: neither kernel has MODVERSIONS",
    Modversions.GONE: "not comparable: the new kernel has no MODVERSIONS",
    Modversions.NEW: "not comparable: the old kernel has no MODVERSIONS",
}
_LOST = {Modversions.GONE: "MODVERSIONS went away", Modversions.NEW: "MODVERSIONS came"}


def abi_lines(facts: AbiFacts, paint: Style, most: int = TOP) -> Iterator[str]:
    """The verdict first, then what changed; of each kind the first `most`."""
    names = f"{paint.bold(escaped(facts.old))} to {paint.bold(escaped(facts.new))}"
    if facts.kept:
        yield f"{paint.good('kept')}: {names}"
    else:
        yield f"{paint.bad('broken')}: {names}"
        yield f"  {counted(facts.breaks, 'change')} {'breaks' if facts.breaks == 1 else 'break'} the interface"
    yield ""
    yield from _summary(facts, paint)
    for change in Change:
        found = facts.of(change)
        if found and most:
            yield ""
            yield from _listed(change, found, paint, most)


def _summary(facts: AbiFacts, paint: Style) -> Iterator[str]:
    rows = [
        ("exports", f"{facts.old_exports:,} before, {facts.new_exports:,} now"),
        ("versions", _VERSIONS[facts.versions]),
    ]
    if facts.rules:
        tolerated = sum(change.tolerated for change in facts.changes)
        rows.append(("rules", f"{escaped(facts.rules)} tolerates {counted(tolerated, 'change')}"))
    yield from columns(rows, "<<")
    counts = []
    if facts.incomparable:
        counts.append((_LOST[facts.versions], f"{facts.incomparable:,}", "", paint.bad("breaks")))
    for change in Change:
        found = facts.of(change)
        if found:
            tolerated = sum(one.tolerated for one in found)
            verdict = _verdict(change, len(found) - tolerated, paint)
            counts.append((change.value, f"{len(found):,}", f"{tolerated:,}" if facts.rules else "", verdict))
    if not counts:
        yield "  nothing changed"
        return
    yield ""
    yield from titled(paint, ("change", "exports", "tolerated" if facts.rules else "", ""), counts, "<>><")


def _verdict(change: Change, count: int, paint: Style) -> str:
    if not count:
        return ""
    if change in BREAKS:
        return paint.bad("breaks")
    return paint.warning("look") if change == Change.MOVED else paint.dim("fine")


def _listed(change: Change, found: list[ChangedExport], paint: Style, most: int) -> Iterator[str]:
    # What breaks is shown before what is tolerated.
    rows = sorted(found, key=lambda one: one.tolerated)
    yield f"  {paint.bold(change.value)}"
    shown = [
        (
            escaped(one.name),
            escaped(_was_and_is(one)),
            paint.dim("tolerated") if one.tolerated else "",
        )
        for one in rows[:most]
    ]
    yield from columns(shown, "<<<", indent="    ")
    if len(rows) > most:
        yield paint.dim(f"    and {len(rows) - most:,} more (--all shows them)")


def _was_and_is(one: ChangedExport) -> str:
    if one.change in (Change.REMOVED, Change.ADDED):
        return one.module
    return f"{one.old or 'none'} to {one.new or 'none'}"
