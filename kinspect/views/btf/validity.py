"""Whether type information is valid: the rules of the kernel's own verifier that matter to readers.

Source: kernel/bpf/btf.c, btf_check_all_metas() and btf_check_all_types().
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from kinspect.artifacts.btf.table import REFERS, Btf
from kinspect.schemas import btf
from kinspect.views.btf.declarations import MEMBER, PARAM, VALUES, members
from kinspect.views.btf.layout import COMPOSITE

_MOST = 20
"""Faults that are reported: one broken offset can break everything after it."""
_ROOM = {btf.STRUCT: MEMBER, btf.UNION: MEMBER, btf.FUNC_PROTO: PARAM, btf.DATASEC: 3}
"""Words of a row that refers to a type."""
_NAMED = frozenset({btf.INT, btf.FWD, btf.TYPEDEF, btf.FUNC, btf.VAR, btf.DATASEC, btf.FLOAT, btf.DECL_TAG})
_NAMELESS = frozenset({btf.PTR, btf.ARRAY, btf.VOLATILE, btf.CONST, btf.RESTRICT, btf.FUNC_PROTO})
_TAGGED = frozenset({*COMPOSITE, btf.FUNC, btf.VAR, btf.TYPEDEF})
_NOT_A_MEMBER = frozenset({btf.FUNC, btf.FUNC_PROTO, btf.VAR, btf.DATASEC, btf.FWD, btf.DECL_TAG})


class TypeFault(NamedTuple):
    """What is wrong with a type."""

    id: int
    problem: str
    expected: str
    actual: str


def faults_of(types: Btf) -> list[TypeFault]:
    """The first faults of the types, in their order. MalformedError when the table cannot be read at all."""
    found = list(islice(_faults(types), _MOST))
    return found or list(islice(_cycles(types), _MOST))


def _faults(types: Btf) -> Iterator[TypeFault]:
    end = types.end
    for number in types.ids:
        kind, record = types.kind_of(number), types.record_of(number)
        name, target = record.name_off, record.size_or_type
        if name >= types.text_end:
            yield TypeFault(number, "the name is outside the strings", f"below {types.text_end:,}", str(name))
            continue
        if kind in _NAMED and not types.text(name):
            yield TypeFault(number, "a type of this kind needs a name", f"a name for {btf.KINDS[kind]}", "none")
        if kind in _NAMELESS and name:
            yield TypeFault(number, "a type of this kind has no name", f"none for {btf.KINDS[kind]}", types.text(name))
        rows = types.rows_of(number)
        referred = [target] if kind in REFERS else []
        if kind == btf.ARRAY:
            referred = rows[:2]
        elif kind in _ROOM:
            step = _ROOM[kind]
            referred = referred + rows[(0 if kind == btf.DATASEC else 1) :: step]
        outside = [reference for reference in referred if reference >= end]
        if outside:
            yield TypeFault(number, "refers to a type that does not exist", f"below {end}", str(outside[0]))
            continue
        yield from _of_kind(types, number, kind, target, rows)


def _of_kind(types: Btf, number: int, kind: int, target: int, rows: list[int]) -> Iterator[TypeFault]:
    """What only a type of one kind can do wrong."""
    if kind == btf.FUNC and types.kind_of(target) != btf.FUNC_PROTO:
        yield TypeFault(number, "a function without a prototype", "FUNC_PROTO", btf.KINDS[types.kind_of(target)])
    elif kind == btf.DECL_TAG and types.kind_of(target) not in _TAGGED:
        yield TypeFault(
            number, "a tag on a type that takes none", "a struct, function ...", btf.KINDS[types.kind_of(target)]
        )
    elif kind in COMPOSITE:
        yield from _of_members(types, number, target, rows)
    elif kind in VALUES or kind == btf.FUNC_PROTO:
        step = VALUES.get(kind, PARAM)
        outside = [name for name in rows[::step] if name >= types.text_end]
        if outside:
            yield TypeFault(number, "a name is outside the strings", f"below {types.text_end:,}", str(outside[0]))


def _of_members(types: Btf, number: int, size: int, rows: list[int]) -> Iterator[TypeFault]:
    if any(name >= types.text_end for name in rows[::MEMBER]):
        yield TypeFault(number, "the name of a member is outside the strings", f"below {types.text_end:,}", "")
        return
    for name, member, start, bits in members(types, number):
        if types.kind_of(member) in _NOT_A_MEMBER or not member:
            yield TypeFault(
                number, f"the member {name} has no size", "a type with a size", btf.KINDS[types.kind_of(member)]
            )
        elif start + bits > 8 * size:
            yield TypeFault(
                number, f"the member {name} starts past the end", f"at most {8 * size} bits", str(start + bits)
            )


def _cycles(types: Btf) -> Iterator[TypeFault]:
    """Types that contain themselves, or refer to themselves without a pointer between."""
    state = bytearray(types.end - types.first)
    for number in types.ids:
        if state[number - types.first]:
            continue
        # Depth first, without recursion: 1 is on the path, 2 is done.
        path = [(number, iter(_contained(types, number)))]
        state[number - types.first] = 1
        while path:
            at, inside = path[-1]
            following = next(inside, None)
            if following is None:
                state[at - types.first] = 2
                path.pop()
            elif following < types.first or state[following - types.first] == 2:
                continue
            elif state[following - types.first] == 1:
                yield TypeFault(at, "contains itself", "a pointer", f"type {following}")
            else:
                state[following - types.first] = 1
                path.append((following, iter(_contained(types, following))))


def _contained(types: Btf, number: int) -> list[int]:
    kind = types.kind_of(number)
    if kind in COMPOSITE:
        return types.rows_of(number)[1::MEMBER]
    if kind == btf.ARRAY:
        return types.rows_of(number)[:1]
    if kind in REFERS and kind not in (btf.PTR, btf.FUNC_PROTO, btf.FUNC, btf.DECL_TAG):
        return [types.record_of(number).size_or_type]
    return []
