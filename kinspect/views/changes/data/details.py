"""What differs in a pair of objects: bytes, and addresses by what they refer to."""

from itertools import groupby
from operator import ne
from typing import NamedTuple

from kinspect.views.changes.data.named import object_name
from kinspect.views.changes.data.references import References
from kinspect.views.changes.targets import text_at

_MOST, _WINDOW = 4096, 1 << 16
"""Bytes that are looked at more closely, of those that differ; bytes that are compared at once."""
_MOST_SHOWN, _LONGEST = 8, 60
_NEAR = 1 << 16
"""A number below it is no distance to a place in the middle of something."""


class DataChange(NamedTuple):
    """An object whose content changed. Offsets count from `_text`, sizes in bytes.

    `bytes` is how many bytes differ outside of addresses, `pointers` how many addresses refer to something else.
    `first` is the offset of the first difference in the object; `expected` and `actual` are what is there in both
    kernels: what an address refers to, or bytes in hexadecimal; empty past the end.
    """

    name: str
    old_offset: int
    new_offset: int
    old_size: int
    new_size: int
    bytes: int
    pointers: int
    first: int
    expected: str
    actual: str


class Differences(NamedTuple):
    """The offsets in a pair of objects at which bytes differ, and those of addresses that do.

    Of bytes the first ones; `more` is how many others differ.
    """

    bytes: list[int]
    pointers: list[int]
    more: int = 0

    @property
    def first(self) -> int | None:
        """The first of all; None when there is none."""
        return min([*self.bytes[:1], *self.pointers[:1]], default=None)


def differences(refs: References, ours: int, theirs: int, size: int) -> Differences:
    """What differs in the first `size` bytes of two objects.

    A field that holds the distance to something is the same when what is there has the same name.
    """
    held = [
        {slots.places[at] - start: slots.targets[at] for at in range(*slots.within(start, start + size))}
        for slots, start in zip(refs.slots, (ours, theirs), strict=True)
    ]
    pointers = []
    for at in sorted(held[0].keys() | held[1].keys()):
        mine, yours = held[0].get(at), held[1].get(at)
        if mine is None or yours is None or not refs.same(mine, yours):
            pointers.append(at)
    covered = {at + number for at in pointers for number in range(8)}
    one, other = refs.data[0][ours : ours + size], refs.data[1][theirs : theirs + size]
    length = max(len(one), len(other))
    odd, more = _unequal(one.ljust(length, b"\0"), other.ljust(length, b"\0"), covered)
    found: list[int] = []
    for lane, offsets in groupby(odd, lambda at: at >> 2):
        if not _relative(refs, ours, theirs, 4 * lane):
            found += offsets
    return Differences(found, pointers, more)


def _unequal(one: bytes, other: bytes, covered: set[int]) -> tuple[list[int], int]:
    """Where bytes differ outside of some places: the first ones, and how many others."""
    found: list[int] = []
    more = 0
    for start in range(0, len(one) if one != other else 0, _WINDOW):
        mine, yours = one[start : start + _WINDOW], other[start : start + _WINDOW]
        if mine != yours and len(found) >= _MOST:
            more += sum(map(ne, mine, yours))
        elif mine != yours:
            found += [at for at, odd in enumerate(map(ne, mine, yours), start) if odd and at not in covered]
    return found[:_MOST], more + len(found[_MOST:])


def _relative(refs: References, ours: int, theirs: int, at: int) -> bool:
    """Whether a field refers in both to something of the same name that is elsewhere."""
    if ours + at & 3 or theirs + at & 3:
        return False
    values = [
        int.from_bytes(data[start + at : start + at + 4], "little", signed=True)
        for data, start in zip(refs.data, (ours, theirs), strict=True)
    ]
    goals = ours + at + values[0], theirs + at + values[1]
    if refs.pairs.get(goals[0]) == goals[1]:
        return True
    if min(map(abs, values)) < _NEAR:
        return False
    if refs.named(*goals):
        return True
    texts = [text_at(data, goal) for data, goal in zip(refs.data, goals, strict=True)]
    return texts[0] is not None and texts[1] is not None and len(texts[0]) > 3 and refs.same_text(texts[0], texts[1])


def shown(refs: References, number: int, start: int, size: int, at: int, pointer: bool) -> str:
    """What an object of the old (0) or new kernel has at an offset."""
    if at >= size:
        return ""
    slots = refs.slots[number]
    first, last = slots.within(start + at, start + at + 1)
    if last > first:
        return _described(refs, number, slots.targets[first])
    if pointer:
        value = int.from_bytes(refs.data[number][start + at : start + at + 8], "little")
        return f"{value:#x}" if value else "NULL"
    return refs.data[number][start + at : start + min(size, at + _MOST_SHOWN)].hex(" ")


def _described(refs: References, number: int, target: int) -> str:
    side = refs.sides[number]
    name, offset = refs.place(number, target)
    text = text_at(refs.data[number], target) if not name or offset else None
    if text and len(text) > 1:
        shortened = text[:_LONGEST].decode("utf-8", "backslashreplace")
        return '"' + shortened + ("..." if len(text) > _LONGEST else "") + '"'
    if not name:
        return f"data without a name at {target:#x}"
    name = object_name(side, target - offset)
    return f"{name}+{offset:#x}" if offset else name
