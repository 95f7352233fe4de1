"""Types found by name, and structs found by a member."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from fnmatch import translate
from re import compile as compiled
from typing import NamedTuple

from kinspect.artifacts.btf.table import Btf
from kinspect.errors import MalformedError
from kinspect.schemas import btf
from kinspect.views.btf.declarations import DEEPEST, MEMBER, Declarations
from kinspect.views.btf.layout import COMPOSITE, TypeFacts, TypeMember, anonymous_body, type_facts

_TAGS: dict[str, frozenset[int]] = {
    "struct": frozenset({btf.STRUCT}),
    "union": frozenset({btf.UNION}),
    "enum": frozenset({btf.ENUM, btf.ENUM64}),
    "typedef": frozenset({btf.TYPEDEF}),
}
_SHOWN = frozenset(range(1, len(btf.KINDS))) - {btf.DECL_TAG, btf.TYPE_TAG, btf.FWD}
_LONGEST_PATTERN = 256


class FoundMember(NamedTuple):
    """A member of a named struct or union, or of an anonymous one inside; `offset` from its start, in bytes."""

    owner: str
    declaration: str
    offset: int
    size: int


class MemberFacts(NamedTuple):
    """All members of a name."""

    path: str
    name: str
    members: tuple[FoundMember, ...]


def types_by_name(types: Btf, names: Sequence[str]) -> Iterator[TypeFacts]:
    """The types of some names, such as `device`, `struct device` or `dev_*`, in the order of the table.

    MalformedError for a name that no type has, with the nearest one.
    """
    declarations = Declarations(types)
    for name in names:
        yield from (type_facts(types, number, declarations) for number in _ids(types, name))


def _ids(types: Btf, name: str) -> list[int]:
    tag, _, rest = name.strip().rpartition(" ")
    kinds = _TAGS.get(tag.strip(), _SHOWN)
    if any(character in rest for character in "*?[") and len(rest) <= _LONGEST_PATTERN:
        match = compiled(translate(rest)).match
        found = [number for known, ids in types.named.items() if match(known) for number in ids]
    else:
        found = types.with_name(rest)
    found = sorted(number for number in found if types.kind_of(number) in kinds)
    if not found:
        close = get_close_matches(rest, types.named, 1, 0.8)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise MalformedError(f"no type of that name{hint}", types.at(types.part), actual=name)
    return found


def member_facts(types: Btf, name: str) -> MemberFacts:
    """The members of a name in all named structs and unions, also in the unnamed ones inside them.

    MalformedError when there is none.
    """
    declarations, found = Declarations(types), []
    holders = _Holders(types, name)
    for number in types.ids:
        if types.kind_of(number) in COMPOSITE and types.name_offset(number) and holders.has(number):
            owner, facts = declarations.of(number), type_facts(types, number, declarations)
            found += [FoundMember(owner, *row) for row in _of_name(facts.members, name)]
    if not found:
        raise MalformedError("no member of that name", types.at(types.part), actual=name)
    return MemberFacts(types.path, name, tuple(found))


class _Holders:
    """Which structs and unions have a member of a name, themselves or in an anonymous one inside."""

    def __init__(self, types: Btf, name: str) -> None:
        self.types, self.name = types, name
        self._known: dict[int, bool] = {}

    def has(self, number: int, depth: int = 0) -> bool:
        """Whether a struct or union has it."""
        if number not in self._known:
            self._known[number] = depth < DEEPEST and self._has(number, depth)
        return self._known[number]

    def _has(self, number: int, depth: int) -> bool:
        rows = self.types.rows_of(number)
        if self.name in map(self.types.text, rows[::MEMBER]):
            return True
        bodies = filter(None, (anonymous_body(self.types, member) for member in rows[1::MEMBER]))
        return any(self.has(body.id, depth + 1) for body in bodies)


def _of_name(members: tuple[TypeMember, ...], name: str) -> Iterator[tuple[str, int, int]]:
    for row in members:
        if row.name == name:
            yield row.declaration, row.offset, row.size
        yield from _of_name(row.members, name)
