"""How far an object reaches whose size is not known: kallsyms says only where the next symbol is.

Among constants there is data without a name: jump tables, strings, initial values. Something refers to each of it, so
what lies before the first such place is the object's own. Variables all have names.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from re import compile as compiled

from kinspect.views.changes.data.slots import Slots
from kinspect.views.changes.side import KernelSide
from kinspect.views.kernel.instructions import low_bits, never_continues, overwrites, page_target

_REACH = 24
"""Instructions after an adrp in which its register is used."""
_MOST = 1 << 20
"""The largest number of instructions that is looked at: a kernel has some 10,000."""
_PAGES = compiled(rb"[\x10\x30\x50\x70\x90\xb0\xd0\xf0]")
"""The top byte of adr and adrp."""


class Goals:
    """The places in some ranges of a kernel that its code or data refers to."""

    def __init__(self, side: KernelSide, slots: Slots, ranges: Iterable[tuple[int, int]]) -> None:
        self._side, self._slots, self._ranges = side, slots, list(ranges)

    def first(self, start: int, end: int) -> int:
        """The first place after `start` that is referred to; `end` without one before it."""
        at = bisect_right(self._places, start)
        return min(end, self._places[at]) if at < len(self._places) else end

    @cached_property
    def _places(self) -> list[int]:
        pages = {page for start, end in self._ranges for page in range(start >> 12, (end >> 12) + 1)}
        if not pages:
            return []
        found = {target for target in self._slots.targets if target >> 12 in pages}
        for first, count in self._code():
            found.update(self._of_range(first, count, pages))
        return sorted(found)

    def _code(self) -> Iterator[tuple[int, int]]:
        """Where code lies, as numbers of instructions: up to `_etext`, and after it what runs at start-up only."""
        side, end = self._side, self._side.code_end
        later = side.functions[bisect_left(side.functions, end) :]
        yield 0, (end or len(side.data)) >> 2
        if end and later:
            yield later[0] >> 2, side.ends[later[-1]] >> 2

    def _of_range(self, first: int, count: int, pages: set[int]) -> Iterator[int]:
        words = self._side.words
        tops = self._side.data[4 * first + 3 : 4 * count : 4]
        lanes = [first + hit.start() for hit in _PAGES.finditer(tops)]
        # Most lead elsewhere: as `page_target` has it, of an adrp. Of an adr, it is too many rather than too few.
        near = [
            lane
            for lane, word in zip(lanes, map(words.__getitem__, lanes), strict=True)
            if (lane >> 10) + (word >> 3 & 0xFFFFC | word >> 29 & 3) - (word >> 3 & 0x100000) in pages or not word >> 31
        ]
        for lane in near[:_MOST]:
            word = words[lane]
            page = page_target(word, 4 * lane)
            if not word >> 31:
                yield page
                continue
            register = word & 31
            for at in range(lane + 1, min(lane + _REACH, count)):
                other = words[at]
                if other >> 5 & 31 == register:
                    low = low_bits(other)
                    if low is not None:
                        yield page + low
                if overwrites(other, register) or never_continues(other):
                    break
