"""Modules on another kernel than the one that they were built for, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.abi.members import detail_lines, type_document
from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.abi.built_for import BuiltForFacts

TOP, MEMBERS = 5, 8
"""Types that are listed, and members of each."""
_MODULES = 10


def lines(facts: BuiltForFacts, style: Style) -> Iterator[str]:
    """How many modules use changed types, these modules, and the types."""
    old, new = escaped(facts.built_for), escaped(facts.kernel)
    yield f"{style.bold(new)}: {counted(facts.modules, 'module')} built for {old}"
    if facts.foreign:
        yield f"  not built for it: {counted(facts.foreign, 'module')} (the CRCs differ)"
    if not facts.affected:
        yield "  all types that they use are the same"
    else:
        outcome = "would be refused (CRC)" if facts.by_crc else "would load, and use types with another layout"
        yield f"  {style.bad(f'{len(facts.affected):,} {outcome}')}"
    if facts.unknown:
        yield f"  not compared: {counted(facts.unknown, 'symbol')} without a prototype in both kernels"
    rows = [
        (escaped(found.path), counted(len(found.symbols), "symbol"), escaped(", ".join(found.types[:3])))
        for found in facts.affected[:_MODULES]
    ]
    if rows:
        yield ""
        yield from columns(style, rows, "/<<")
        if len(facts.affected) > _MODULES:
            yield style.dim(f"    and {len(facts.affected) - _MODULES:,} more")
    for change in facts.types[:TOP]:
        yield ""
        yield from detail_lines(change, style, MEMBERS)
    if len(facts.types) > TOP:
        yield ""
        yield style.dim(f"  and {len(facts.types) - TOP:,} more types (--json lists them)")


def verdict_notes(facts: BuiltForFacts) -> Iterator[str]:
    """The modules that were built for another kernel."""
    if facts.foreign:
        yield f"not compared: {counted(facts.foreign, 'module')} of another kernel"


def outcome(facts: BuiltForFacts) -> str:
    """How many modules notice that they run on another kernel."""
    if not facts.affected:
        return ""
    result = "be refused (CRC)" if facts.by_crc else "use types with a different layout"
    return f"{counted(len(facts.affected), 'module')} would {result}"


def document(facts: BuiltForFacts) -> Document:
    """`built_for` in docs/report.schema.json."""
    return {
        "kind": "built_for",
        **facts._asdict(),
        "affected": [found._asdict() for found in facts.affected],
        "types": [type_document(found) for found in facts.types],
    }
