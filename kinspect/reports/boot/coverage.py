"""What a checksum, a hash or a signature of a container covers, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, escaped, exact
from kinspect.reports.values import Document
from kinspect.views.boot.coverage import PADDING, SIGNATURE, CoverageFacts, UncoveredBytes


def lines(facts: CoverageFacts, style: Style) -> Iterator[str]:
    """How much a checksum, a hash or a signature covers, and where the other bytes are."""
    padding = sum(one.size for one in facts.uncovered if one.name == PADDING)
    besides = " without padding" if padding else ""
    percent = _percent(facts.covered, facts.size - padding)
    rows = [("covered by a hash", f"{exact(facts.covered)}, {percent}{besides}")]
    groups: dict[str, list[UncoveredBytes]] = {}
    for one in facts.uncovered:
        groups.setdefault(one.name, []).append(one)
    for name, several in sorted(groups.items(), key=lambda group: group[0] == PADDING):
        places = f" in {len(several)} places, the first" if len(several) > 1 else ""
        where = "" if name == PADDING else f"{places} at {several[0].offset:#x}"
        size = exact(sum(one.size for one in several))
        rows.append(("" if rows[1:] else "not covered", f"{size}: {escaped(name)}{where}"))
    yield from columns(style, rows, "<<")


def _percent(part: int, whole: int) -> str:
    """A percentage that is 100 only if nothing is missing."""
    tenths = 1000 * part // whole if whole else 0
    return f"{tenths / 10:.1f} %"


def verdict_notes(facts: CoverageFacts) -> Iterator[str]:
    """How much no checksum covers, without padding, and without the signature itself."""
    size = sum(one.size for one in facts.uncovered if one.name not in (PADDING, SIGNATURE))
    if size:
        yield f"{size:,} bytes not covered by a hash" if facts.covered else "not covered by any hash"


def document(facts: CoverageFacts) -> Document:
    """`coverage` in docs/report.schema.json."""
    return {"kind": "coverage", **facts._asdict(), "uncovered": [one._asdict() for one in facts.uncovered]}
