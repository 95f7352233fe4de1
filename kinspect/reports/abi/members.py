"""What changed in a type, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.abi.causes import TypeChange
from kinspect.views.abi.members import MemberChange, MemberChangeKind

_LONGEST = 400
"""Characters of one type: an anonymous struct is written out."""


def member_text(found: MemberChange) -> str:
    """One change: `+ u8 state`, `flags: u8 is now u16`."""
    old, new, name = _short(found.old), _short(found.new), escaped(found.name)
    texts = {
        MemberChangeKind.ADDED: f"+ {_declared(new, name, found.offset)}",
        MemberChangeKind.REMOVED: f"- {_declared(old, name, found.offset)}",
        MemberChangeKind.RENAMED: f"{old} is now {new}",
        MemberChangeKind.TYPE: f"{name}: {old} is now {new}",
        MemberChangeKind.VALUE: f"{name} = {old} is now {new}",
        MemberChangeKind.ORDER: f"{name} moved",
        MemberChangeKind.TARGET: f"{old} is now {new}",
        MemberChangeKind.GROUPING: "members regrouped in anonymous structs or unions",
    }
    return texts[found.change]


def _declared(text: str, name: str, offset: int | None) -> str:
    """The declaration of a member; the constant of an enum has no offset."""
    return f"{name} = {text}" if offset is None else text


def _short(text: str) -> str:
    text = escaped(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"


def summary(found: TypeChange, room: int | None = None) -> str:
    """What changed, in one line; in `room` characters, as many of the changes as fit."""
    if found.old_size is None or found.new_size is None:
        return f"defined only in the {'new' if found.old_size is None else 'old'} kernel"
    values = sum(change.change == MemberChangeKind.VALUE for change in found.members)
    named = [member_text(change) for change in found.members if change.change != MemberChangeKind.VALUE or values < 3]
    if values >= 3:
        named.append(f"{values:,} values changed")
    if not named:
        return f"size {found.old_size:,} to {found.new_size:,}"
    text = "; ".join(named)
    count = len(named)
    while room is not None and len(text) > room and count > 1:
        count -= 1
        text = "; ".join(named[:count]) + f"; {len(named) - count} more"
    return text if room is None or len(text) <= room else f"{text[: room - 3]}..."


def detail_lines(found: TypeChange, style: Style, most: int) -> Iterator[str]:
    """A type, what changed in it, the way to it, and what changed with it."""
    yield f"  {style.bold(escaped(found.type))}{_sizes(found)}"
    members = found.members[:most] if len(found.members) > most + 1 else found.members
    if found.old_size is None or found.new_size is None:
        yield f"      {summary(found)}"
    for change in members:
        place = "" if change.offset is None else f"  {style.dim(f'at {_offset(change.offset)}')}"
        yield f"      {member_text(change)}{place}"
    if len(found.members) > len(members):
        yield style.dim(f"      and {len(found.members) - len(members):,} more changes")
    if len(found.path) > 1:
        yield f"      used by {' > '.join(map(escaped, found.path))}"
    if found.knock_ons:
        more = len(found.knock_ons) - 4
        names = ", ".join(map(escaped, found.knock_ons[:4])) + (f" and {more:,} more" if more > 0 else "")
        yield f"      changes the layout of {names}"


def _offset(bits: int) -> str:
    return f"{bits // 8}:{bits % 8}" if bits % 8 else str(bits // 8)


def _sizes(found: TypeChange) -> str:
    if found.old_size is None or found.new_size is None or not (found.old_size or found.new_size):
        return ""
    if found.old_size == found.new_size:
        return f", {counted(found.new_size, 'byte')}"
    return f", {found.old_size:,} to {found.new_size:,} bytes"


def type_document(found: TypeChange) -> Document:
    """A changed type in docs/report.schema.json."""
    members = [{**change._asdict(), "change": change.change.value} for change in found.members]
    return {**found._asdict(), "members": members}
