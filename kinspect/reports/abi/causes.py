"""Why the ABI changed, as text and as JSON."""

from collections import Counter
from collections.abc import Iterator

from kinspect.reports.abi.members import detail_lines, summary, type_document
from kinspect.reports.layout import paragraph, titled
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.abi.causes import AbiCauses, Basis

TOP, MEMBERS = 15, 8
"""Types that are listed, and members of each."""
_DETAILED = 5
_NARROWEST = 24


def lines(facts: AbiCauses, style: Style, most: int = TOP) -> Iterator[str]:
    """The types that changed by themselves, then what they do not explain."""
    yield from type_lines(facts, style, most)
    yield from rest_lines(facts, style, most)


def type_lines(facts: AbiCauses, style: Style, most: int = TOP) -> Iterator[str]:
    """A line for each of the first `most` types that changed by themselves."""
    if not facts.types:
        if facts.left_out:
            yield f"  --types matches none of {counted(facts.left_out, 'changed type')}"
        else:
            yield "  no type that the exports use changed"
        return
    moved = len(set().union(*(found.knock_ons for found in facts.types)))
    also = f"; the layout of {counted(moved, 'other')} changed with them" if moved else ""
    if facts.left_out:
        total = counted(len(facts.types) + facts.left_out, "changed type")
        yield f"  --types matches {style.bold(f'{len(facts.types):,}')} of {total}{also}"
    else:
        yield f"  {style.bold(counted(len(facts.types), 'type'))} changed{also}"
    yield ""
    # One line each: the details follow.
    shown = facts.types[:most]
    taken = max(len(escaped(found.type)) for found in shown) + len("  exports    ")
    room = None if style.width is None else max(style.width - taken, _NARROWEST)
    rows = [
        (f"{found.exports:,}", escaped(found.type), _allowed(found.tolerated, style) + summary(found, room))
        for found in shown
    ]
    yield from titled(style, ("exports", "type", "change"), rows, ">/=")
    if len(facts.types) > most:
        yield style.dim(f"    and {len(facts.types) - most:,} more (--all lists them)")


def _allowed(tolerated: bool, style: Style) -> str:
    return style.dim("(tolerated) ") if tolerated else ""


def rest_lines(facts: AbiCauses, style: Style, most: int = TOP) -> Iterator[str]:
    """The first types in detail, the changed prototypes, the exports without a cause, and those that kept their CRC."""
    for found in facts.types[: _DETAILED if most == TOP else most]:
        yield ""
        yield from detail_lines(found, style, MEMBERS)
    if facts.prototypes:
        yield ""
        yield f"  {style.bold(counted(len(facts.prototypes), 'prototype'))} changed"
        for change in facts.prototypes[:most]:
            yield f"    {style.bad('-')} {escaped(change.old)}"
            yield f"    {style.good('+')} {escaped(change.new)}"
        if len(facts.prototypes) > most:
            yield style.dim(f"    and {len(facts.prototypes) - most:,} more (--all lists them)")
    yield from _notes(facts, style, most)


def _notes(facts: AbiCauses, style: Style, most: int) -> Iterator[str]:
    if facts.unexplained:
        yield ""
        yield f"  {style.bold(counted(len(facts.unexplained), 'export'))} changed without a cause in the types"
        for reason, count in Counter(found.reason for found in facts.unexplained).most_common():
            names = [escaped(found.export) for found in facts.unexplained if found.reason == reason]
            shown = names if most != TOP else names[:4]
            more = f" and {count - len(shown):,} more" if count > len(shown) else ""
            yield f"    {reason}: {', '.join(shown)}{more}"
    if facts.basis == Basis.TYPES:
        yield ""
        yield from paragraph(
            style,
            "Without MODVERSIONS the types decide. They also count types that a module only points to: about one export"
            " in ten is reported although modules that use it would work.",
            "  ",
        )
    elif facts.kept:
        yield ""
        yield f"  {counted(facts.kept, 'other export')} use a changed type and keep the CRC: not broken"


def document(facts: AbiCauses) -> Document:
    """`abi_causes` in docs/report.schema.json."""
    return {
        "kind": "abi_causes",
        **facts._asdict(),
        "basis": facts.basis.value,
        "types": [type_document(found) for found in facts.types],
        "prototypes": [found._asdict() for found in facts.prototypes],
        "unexplained": [found._asdict() for found in facts.unexplained],
    }
