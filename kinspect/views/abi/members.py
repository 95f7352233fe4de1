"""What changed in a type: its members, values, or what a typedef stands for."""

from bisect import bisect_left
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from kinspect.schemas import btf
from kinspect.views.abi.definitions import Definition, Definitions, Field
from kinspect.views.btf.declarations import VALUES
from kinspect.views.btf.layout import COMPOSITE, size_of_type


class MemberChangeKind(StrEnum):
    """How a member or an enum's value changed."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    TYPE = "type"
    VALUE = "value"
    ORDER = "order"
    TARGET = "target"  # what a typedef stands for
    GROUPING = "grouping"  # in anonymous structs and unions


class MemberChange(NamedTuple):
    """One change in a type.

    `old` and `new` are the types of a member, the values of an enum's constant, the names of a renamed member, the
    declaration of an added or removed one.
    `offset` in bits, in the new type, or in the old one for a removed member; None where there is none.
    """

    change: MemberChangeKind
    name: str
    old: str
    new: str
    offset: int | None


def definition_pair(old: Definitions, new: Definitions, name: str) -> tuple[Definition | None, Definition | None]:
    """The definitions of a name that only one side has; of several, the first of each."""
    before, after = old.of(name), new.of(name)
    known, later = {definition[1:] for definition in before}, {definition[1:] for definition in after}
    gone = next((definition for definition in before if definition[1:] not in later), None)
    come = next((definition for definition in after if definition[1:] not in known), None)
    return gone or next(iter(before), None), come or next(iter(after), None)


def size_in(definitions: Definitions, definition: Definition | None) -> int | None:
    """The size of a definition in bytes."""
    return None if definition is None else size_of_type(definitions.types, definition.id)


def member_changes(
    old: Definitions, before: Definition | None, new: Definitions, after: Definition | None
) -> tuple[MemberChange, ...]:
    """What changed between two definitions; nothing when one is missing."""
    if before is None or after is None or before.shape == after.shape:
        return ()
    kind, other = old.types.kind_of(before.id), new.types.kind_of(after.id)
    if kind in VALUES and other in VALUES:
        return tuple(_values(dict(before.shape), dict(after.shape)))  # type: ignore[arg-type]
    if kind in COMPOSITE and kind == other:
        fields = [_named(side.fields(found.id)) for side, found in ((old, before), (new, after))]
        return tuple(_fields(*fields)) or (MemberChange(MemberChangeKind.GROUPING, "", "", "", None),)
    targets = _target(old, before), _target(new, after)
    return (MemberChange(MemberChangeKind.TARGET, "", *targets, None),)


def _target(side: Definitions, found: Definition) -> str:
    types, kind = side.types, side.types.kind_of(found.id)
    record = types.record_of(found.id)
    return side.declarations.of(record.size_or_type if kind == btf.TYPEDEF else found.id)


def _named(fields: list[Field]) -> dict[str, Field]:
    return {field.name: field for field in fields if field.name}


def _type(field: Field) -> str:
    return f"{field.type} : {field.bits}" if field.bits else field.type


def _fields(old: dict[str, Field], new: dict[str, Field]) -> Iterator[MemberChange]:
    gone = [field for name, field in old.items() if name not in new]
    come = [field for name, field in new.items() if name not in old]
    renamed = {}
    by_place = {(field.offset, _type(field)): field for field in gone}
    for field in come:
        before = by_place.pop((field.offset, _type(field)), None)
        if before is not None:
            renamed[before.name] = field.name
            yield MemberChange(MemberChangeKind.RENAMED, field.name, before.name, field.name, field.offset)
    for field in come:
        if field.name not in renamed.values():
            yield MemberChange(MemberChangeKind.ADDED, field.name, "", field.declaration, field.offset)
    for field in gone:
        if field.name not in renamed:
            yield MemberChange(MemberChangeKind.REMOVED, field.name, field.declaration, "", field.offset)
    common = [name for name in old if name in new]
    for name in common:
        if _type(old[name]) != _type(new[name]):
            yield MemberChange(MemberChangeKind.TYPE, name, _type(old[name]), _type(new[name]), new[name].offset)
    for name in _moved(common, [name for name in new if name in old]):
        yield MemberChange(MemberChangeKind.ORDER, name, "", "", new[name].offset)


def _values(old: dict[str, int], new: dict[str, int]) -> Iterator[MemberChange]:
    for name, value in new.items():
        if name not in old:
            yield MemberChange(MemberChangeKind.ADDED, name, "", str(value), None)
    for name, value in old.items():
        if name not in new:
            yield MemberChange(MemberChangeKind.REMOVED, name, str(value), "", None)
        elif new[name] != value:
            yield MemberChange(MemberChangeKind.VALUE, name, str(value), str(new[name]), None)
    if old == new:
        yield from (MemberChange(MemberChangeKind.ORDER, name, "", "", None) for name in _moved(list(old), list(new)))


def _moved(old: list[str], new: list[str]) -> list[str]:
    """The names that have to be moved to make one order of the other: those outside the longest common order."""
    if old == new:
        return []
    place = {name: number for number, name in enumerate(old)}
    ends: list[int] = []
    last: list[str] = []
    before: dict[str, str | None] = {}
    for name in new:
        at = bisect_left(ends, place[name])
        before[name] = last[at - 1] if at else None
        ends[at : at + 1] = [place[name]]
        last[at : at + 1] = [name]
    kept, name_or_none = set(), last[-1] if last else None
    while name_or_none is not None:
        kept.add(name_or_none)
        name_or_none = before[name_or_none]
    return [name for name in new if name not in kept]
