"""Structs that have a member, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.btf.search import MemberFacts


def lines(facts: MemberFacts, style: Style) -> Iterator[str]:
    """A line for each: offset, size, the struct, the declaration."""
    name = escaped(facts.name)
    yield f"{style.bold(escaped(facts.path))}: {counted(len(facts.members), 'member')} named {name}"
    if facts.members:
        yield ""
    rows = ((str(row.offset), str(row.size), escaped(row.owner), escaped(row.declaration)) for row in facts.members)
    yield from columns(style, [("offset", "size", "in", "declaration"), *rows] if facts.members else [], ">>/<")


def document(facts: MemberFacts) -> Document:
    """`member` in docs/report.schema.json."""
    return {"kind": "member", **facts._asdict(), "members": [row._asdict() for row in facts.members]}
