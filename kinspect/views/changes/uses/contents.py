"""Data without a name compared by its bytes up to the next thing that is known, and addresses by their targets."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.uses.slots import Slots, slots_of

_MOST_BYTES, _FEWEST, _MOST_TOLD = 256, 4, 16
_WORD = 8


class UnnamedData:
    """The data of two kernels. `used` are addresses in each that code refers to; offsets count from `_text`."""

    def __init__(self, old: KernelSide, new: KernelSide) -> None:
        self._ours, self._theirs = _OneSide(old), _OneSide(new)

    def refer(self, uses: Iterable[tuple[int, int]]) -> None:
        """Note addresses that code refers to: data ends there at the latest."""
        found = list(uses)
        self._ours.used = sorted({ours for ours, _ in found})
        self._theirs.used = sorted({theirs for _, theirs in found})

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
