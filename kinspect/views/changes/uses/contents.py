"""Data without a name compared by its bytes up to the next thing that is known, and addresses by their targets."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from struct import iter_unpack

from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.uses.slots import Slots, slots_of

_MOST_BYTES, _FEWEST, _MOST_TOLD = 256, 4, 16
_MOST_COMPARED = 1024
_NEXT_TEXT = re.compile(rb"\0[\x20-\x7e\t\n]{4,}\0")
_HALF, _WORD = 4, 8


class UnnamedData:
    """The data of two kernels. `used` are addresses in each that code refers to; offsets count from `_text`."""

    def __init__(self, old: KernelSide, new: KernelSide) -> None:
        self._ours, self._theirs = _OneSide(old), _OneSide(new)

    def refer(self, uses: Iterable[tuple[int, int]]) -> None:
        """Note addresses that code refers to: data ends there at the latest."""
        found = list(uses)
        self._ours.used = sorted({ours for ours, _ in found})
        self._theirs.used = sorted({theirs for _, theirs in found})

    def bound(self, ours: Iterable[int], theirs: Iterable[int]) -> None:
        """Note all the addresses that each kernel refers to."""
        self._ours.used, self._theirs.used = sorted(set(ours)), sorted(set(theirs))

    def differ(self, ours: int, theirs: int, same: Callable[[int, int], bool | None]) -> bool:
        """Whether the data at two offsets has another content.

        A distance, from its place or from the first byte, is the same when what it leads to is.
        """
        size = min(self._ours.reach(ours), self._theirs.reach(theirs), _MOST_COMPARED)
        mine, yours = self._ours.side.data, self._theirs.side.data
        # Texts behind a table that only data refers to.
        for data, start in ((mine, ours), (yours, theirs)):
            text = _NEXT_TEXT.search(data, start, start + size)
            size = min(size, text.start() + 1 - start) if text else size
        one_texts, other_texts = _distant_texts(mine, ours, size), _distant_texts(yours, theirs, size)
        if one_texts and other_texts:
            # The same distance may lead to another text.
            return not all(same(*places) for places in zip(one_texts, other_texts, strict=True))
        at = 0
        while at + _HALF <= size:
            here, there = ours + at, theirs + at
            if not here % _WORD and not there % _WORD and at + _WORD <= size:
                places = self._ours.slots.held(here), self._theirs.slots.held(there)
                if places != (None, None):
                    if None in places or same(*places) is False:  # type: ignore[arg-type]
                        return True
                    at += _WORD
                    continue
            if mine[here : here + _HALF] != yours[there : there + _HALF]:
                one = int.from_bytes(mine[here : here + _HALF], "little", signed=True)
                two = int.from_bytes(yours[there : there + _HALF], "little", signed=True)
                if not (same(ours + one, theirs + two) or same(here + one, there + two)):
                    return True
            at += _HALF
        return mine[ours + at : ours + size] != yours[theirs + at : theirs + size]

    def alike(self, ours: int, theirs: int, same: Callable[[int, int], bool]) -> bool | None:
        """Whether the data at two offsets has the same content; None when there is too little to tell.

        `same` says whether two addresses in it are the same thing.
        """
        # What differs farther on may be something else, of which nothing is known.
        size = min(self._ours.reach(ours), self._theirs.reach(theirs), _MOST_BYTES)
        if size <= 0:
            return None
        mine, yours = self._ours.side.data, self._theirs.side.data
        told = 0
        at = 0
        while at < size:
            step = min(_WORD - (ours + at) % _WORD, size - at)
            one, two = mine[ours + at : ours + at + step], yours[theirs + at : theirs + at + step]
            if step == _WORD:
                places = self._ours.slots.held(ours + at), self._theirs.slots.held(theirs + at)
                if places != (None, None):
                    if None in places or not same(*places):  # type: ignore[arg-type]
                        return None if told >= _MOST_TOLD else False
                    told += _WORD
                    at += step
                    continue
            if one != two:
                return None if told >= _MOST_TOLD else False
            told += step - one.count(0)
            at += step
        return True if told >= _FEWEST else None


def _distant_texts(data: bytes, start: int, size: int) -> list[int] | None:
    """Where the texts are to which all distances in a table lead, from where it begins; None when not all do."""
    found = []
    for (distance,) in iter_unpack("<i", data[start : start + (size & -_HALF)]):
        place = start + distance
        if not (0 < place < len(data) and not data[place - 1] and data[place]):
            return None
        found.append(place)
    return found if len(found) > 1 else None


class _OneSide:
    """The data of one kernel."""

    def __init__(self, side: KernelSide) -> None:
        self.side = side
        self.used: Sequence[int] = ()

    @cached_property
    def slots(self) -> Slots:
        """Where its data holds addresses."""
        return slots_of(self.side)

    @cached_property
    def _targets(self) -> list[int]:
        return sorted(set(self.slots.targets))

    def reach(self, offset: int) -> int:
        """How many bytes there are up to the next thing that is known."""
        ends = [len(self.side.data)]
        for known in (self.side.bounds, self.used, self._targets):
            at = bisect_right(known, offset)
            ends += known[at : at + 1]
        return min(ends) - offset
