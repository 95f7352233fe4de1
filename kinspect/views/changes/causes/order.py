"""The order of functions and data in two kernels, which the linker takes from the order of its input files."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from kinspect.views.changes.causes.known import ORDER, Explained
from kinspect.views.changes.side import KernelSide

_MOST_PLACES = 64


def reordered(old: KernelSide, new: KernelSide, pairs: Iterable[tuple[int, int]]) -> list[Explained]:
    """What lies in another order, if anything does: the fewest functions and data that would have to move for it.

    Those whose name is not unique are left out: which is which is not certain.
    """
    counts = [Counter(side.names.values()) for side in (old, new)]
    certain = sorted(
        (ours, theirs)
        for ours, theirs in pairs
        if counts[0][old.names[ours]] == counts[1][new.names[theirs]] == 1 and old.names[ours] == new.names[theirs]
    )
    left = _out_of_order([theirs for _, theirs in certain])
    if not left:
        return []
    size = sum(new.ends[offset] - offset for offset in left)
    return [Explained(ORDER, size, tuple(new.names[offset] for offset in left[:_MOST_PLACES]))]


def _out_of_order(offsets: list[int]) -> list[int]:
    """The fewest without which the others ascend."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, offset in enumerate(offsets):
        length = bisect_left(ends, offset)
        ends[length : length + 1] = [offset]
        last[length : length + 1] = [number]
        before.append(last[length - 1] if length else -1)
    kept, number = set[int](), last[-1] if last else -1
    while number >= 0:
        kept.add(number)
        number = before[number]
    return [offset for number, offset in enumerate(offsets) if number not in kept]
