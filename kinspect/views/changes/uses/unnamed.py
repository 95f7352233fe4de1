"""Functions that use data without a name which changed: the constants that the compiler takes out of their code.

Such are the tables of values and strings that a switch becomes, tables of jumps, and vectors. Sizes of objects say
where it lies: behind them. So it takes the symbol tables of two vmlinux; kallsyms has no sizes.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import text_at
from kinspect.views.changes.uses.contents import UnnamedData
from kinspect.views.kernel.instructions import CLASSES, LOW, ZERO, low_bits, page_target

_ADRP = re.compile(rb"[\x90\xb0\xd0\xf0]")
_NEAR, _LARGEST, _SHORTEST = 12, 1 << 16, 4
"""Instructions up to the one that completes an address; bytes between two objects, where the texts are not; bytes of a
number."""
_PAIR = tuple[int, int]
_Same = Callable[[int, int], bool | None]


def users_of_changed(
    old: KernelSide, new: KernelSide, alike: Mapping[int, int], objects: Mapping[int, int], same: _Same
) -> Iterator[tuple[_PAIR, int]]:
    """The pairs of functions that use data without a name which changed, with the instruction that refers to it.

    `alike` are functions with the same code, `objects` are pairs of objects.
    """
    if not (old.sizes and new.sizes):
        return
    ours, theirs = _Gaps(old), _Gaps(new)
    ours.keep(
        start
        for start, end in ours.ends.items()
        if (other := objects.get(ours.owners[start])) is None
        or old.data[start:end] != new.data[(at := other + new.sizes.get(other, 0)) : theirs.ends.get(at, at)]
    )
    uses = ours.uses()
    if not uses:
        return
    theirs.keep(theirs.ends)
    others = theirs.uses()
    found = [
        (pair, lane, here, there)
        for start, lanes in uses.items()
        if (other := alike.get(start)) is not None
        for lane, here in lanes.items()
        if (there := others.get(other, {}).get(lane)) is not None
        for pair in ((start, other),)
    ]
    contents = UnnamedData(old, new)
    contents.bound(*([place for lanes in one.values() for place in lanes.values()] for one in (uses, others)))
    for pair, lane, here, there in found:
        if not (_is_text(old, here) and _is_text(new, there)) and contents.differ(here, there, same):
            yield pair, lane


class _Gaps:
    """What lies between the objects of a kernel that have a size: from where to where, and behind which object."""

    def __init__(self, side: KernelSide) -> None:
        self.side = side
        self.ends: dict[int, int] = {}
        self.owners: dict[int, int] = {}
        for start, size in side.sizes.items():
            end = min(side.ends[start], len(side.data))
            if 4 <= end - start - size <= _LARGEST and any(side.data[start + size : end]):
                self.ends[start + size] = end
                self.owners[start + size] = start
        self._starts = sorted(self.ends)

    def keep(self, starts: Iterator[int] | Mapping[int, int]) -> None:
        """Look at some of them only."""
        self._starts = sorted(starts)

    def uses(self) -> dict[int, dict[int, int]]:
        """Which functions refer to them: by the number of the instruction that completes an address, the address."""
        side = self.side
        pages = {page for start in self._starts for page in range(start & ~0xFFF, self.ends[start], 0x1000)}
        found: dict[int, dict[int, int]] = defaultdict(dict)
        words = side.words
        limit = max((side.ends[start] for start in side.functions[-1:]), default=0)
        for match in _ADRP.finditer(side.data[3:limit:4]) if pages else ():
            lane = match.start()
            word = words[lane]
            page = page_target(word, 4 * lane)
            if page not in pages:
                continue
            start = side.owner(4 * lane)
            for at in range(lane + 1, min(lane + _NEAR, len(words))):
                other = words[at]
                low = low_bits(other) if CLASSES[other >> 24] == LOW and other >> 5 & ZERO == word & ZERO else None
                if low is not None:
                    place = page + low
                    number = bisect_right(self._starts, place) - 1
                    if start is not None and number >= 0 and place < self.ends[self._starts[number]]:
                        found[start][at - (start >> 2)] = place
                    break
        return found


def _is_text(side: KernelSide, offset: int) -> bool:
    """Whether a text is at an offset, and not a number that looks like one."""
    text = text_at(side.data, offset)
    if text is None or (len(text) < _SHORTEST - 1 and not any(side.data[offset + len(text) : offset + _SHORTEST])):
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
