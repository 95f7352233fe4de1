"""Members of structs that are at another offset in the other kernel, to explain values that differ in code."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from kinspect.artifacts.btf.table import Btf
from kinspect.schemas import btf
from kinspect.views.abi.comparison import TypeComparison
from kinspect.views.btf.declarations import DEEPEST, QUALIFIERS, VALUES, enum_values, members
from kinspect.views.btf.layout import COMPOSITE, size_of_type
from kinspect.views.changes.described.functions import Explanation, Values

_MOST_MEMBERS = 1 << 18
_MOST_INSIDE = 4
_SMALLEST, _MOST_ELEMENTS = 4, 256
"""Bytes of an element, and elements, of the arrays whose elements are looked at."""
Places = dict[tuple[int, int], frozenset[str]]
"""The types that changed, by an old and a new value of something in them."""
_Offsets = dict[tuple[str, ...], int]


class MovedMembers:
    """What has another value in the types of two kernels: offsets of members, sizes, enumerators.

    `places` raises MalformedError for broken types.
    """

    def __init__(self, types: TypeComparison) -> None:
        self._types = types
        self._left = _MOST_MEMBERS

    def places(self) -> Places:
        """The types by two values: the old and new offset of the same member in bytes, the old and new size.

        Of a type that changed with one inside it, it is that one.
        """
        old, new = self._types.old, self._types.new
        causes = {name: frozenset({name}) for name in self._types.causes} | self._types.knock_ons
        found: dict[tuple[int, int], frozenset[str]] = defaultdict(frozenset)
        for name, roots in causes.items():
            pair = old.of(name), new.of(name)
            if len(pair[0]) != 1 or len(pair[1]) != 1:
                continue
            sides = zip((old.types, new.types), pair, strict=True)
            ours, theirs = (self._values(types, definition[0].id) for types, definition in sides)
            shared = [(value, theirs[path]) for path, value in ours.items() if path in theirs]
            inside = [(ours[path], theirs[path]) for path in self._inside(old.types, pair[0][0].id) if path in theirs]
            # A pointer may be one to a member: container_of().
            for start, other in ((0, 0), *inside[:_MOST_INSIDE]):
                for value, place in shared:
                    if value - start != place - other:
                        found[value - start, place - other] |= roots
        return dict(found)

    def _inside(self, types: Btf, number: int) -> Iterator[tuple[str, ...]]:
        """The members that are structs that changed by themselves."""
        if types.kind_of(number) in COMPOSITE:
            for name, member, _, _ in members(types, number):
                if name and self._types.old.declarations.of(member) in self._types.cause_set:
                    yield (name,)

    def _values(self, types: Btf, number: int) -> _Offsets:
        """The offsets of the members, and as a member without a name the size; of an enum its values."""
        if types.kind_of(number) in VALUES:
            return {(name,): value for name, value in enum_values(types, number)}
        if types.kind_of(number) not in COMPOSITE:
            return {}
        found: _Offsets = {("",): types.target_of(number)}
        self._add(found, types, number, (), 0)
        return found

    def _add(self, found: _Offsets, types: Btf, number: int, path: tuple[str, ...], base: int) -> None:
        for position, (name, member, offset, bits) in enumerate(members(types, number)):
            self._left -= 1
            if self._left < 0 or len(path) > DEEPEST:
                return
            # Those without a name, by their number among those.
            inner = (*path, name or f" {position}")
            at = base + offset // 8
            if name:
                found[inner] = at
            if bits:
                continue
            body, size, count = _contents(types, member)
            if body is not None:
                self._add(found, types, body, inner if name else path, at)
            elif size >= _SMALLEST and 1 < count <= _MOST_ELEMENTS:
                self._left -= count
                found.update(((*inner, str(index)), at + index * size) for index in range(count))
                # An index is added to the number of elements that fit before the array.
                if at % size == 0:
                    found[*inner, "elements"] = at // size


def explained(places: Places, values: Values) -> Explanation:
    """The types that changed which explain the values of a function."""
    candidates = _candidates(places, values)
    if not candidates:
        return Explanation()
    alone = frozenset.intersection(*candidates)
    return Explanation(tuple(sorted(alone)), True) if alone else Explanation(_together(candidates))


def _candidates(places: Places, values: Values) -> list[frozenset[str]] | None:
    """For each pair of values the types in which it is a member's old and new offset; None if one has none."""
    found = []
    for one, two in dict.fromkeys(values):
        names = places.get((one.value, two.value)) if one.address else None
        if not names:
            return None
        found.append(names)
    return found


def _together(candidates: Sequence[frozenset[str]]) -> tuple[str, ...]:
    """Few types that together explain all values."""
    left, chosen = list(candidates), []
    while left:
        counts = Counter(name for names in left for name in names)
        best = max(counts, key=lambda name: (counts[name], name))
        chosen.append(best)
        left = [names for names in left if best not in names]
    return tuple(sorted(chosen))


def _contents(types: Btf, number: int) -> tuple[int | None, int, int]:
    """The struct or union that a member is, whatever its name; of an array the size and number of its elements."""
    for _ in range(DEEPEST):
        kind = types.kind_of(number)
        if kind in COMPOSITE:
            return number, 0, 0
        if kind == btf.ARRAY:
            element, _, count = types.rows_of(number)
            return None, size_of_type(types, element) or 0, count
        if kind not in QUALIFIERS and kind not in (btf.TYPEDEF, btf.TYPE_TAG):
            break
        number = types.target_of(number)
    return None, 0, 0
