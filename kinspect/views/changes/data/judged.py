"""How far an object reaches whose size is not known: kallsyms says only where the next symbol is.

Among constants there is data without a name: jump tables, strings, initial values. Something refers to each of it, so
what lies before the first such place is the object's own. Variables all have names.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import compress

from kinspect.views.changes.data.slots import Slots
from kinspect.views.changes.side import KernelSide
from kinspect.views.kernel.instructions import CLASSES, PAGE, low_bits, never_continues, overwrites, page_target

_REACH = 24
"""Instructions after an adrp in which its register is used."""
_PAGES = bytes(kind == PAGE for kind in CLASSES)


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
        return sorted({*self._slots.targets, *self._of_code()})

    def _of_code(self) -> Iterable[int]:
        pages = {page for start, end in self._ranges for page in range(start >> 12, (end >> 12) + 1)}
        if not pages:
            return
        for first, count in self._code():
            yield from self._of_range(first, count, pages)

    def _code(self) -> Iterator[tuple[int, int]]:
        """Where code lies, as numbers of instructions: up to `_etext`, and after it what runs at start-up only."""
        side, end = self._side, self._side.code_end
        later = side.functions[bisect_left(side.functions, end) :]
        yield 0, (end or len(side.data)) >> 2
        if end and later:
            yield later[0] >> 2, side.ends[later[-1]] >> 2

    def _of_range(self, first: int, count: int, pages: set[int]) -> Iterator[int]:
        words = self._side.words
        marks = self._side.data[4 * first + 3 : 4 * count : 4].translate(_PAGES)
        lanes = zip(compress(range(first, count), marks), compress(words[first:count], marks), strict=True)
        for lane, word in lanes:
            number = (lane >> 10) + ((word >> 3 & 0xFFFFC) | word >> 29 & 3) - (word >> 3 & 0x100000)
            if word >> 31 and number not in pages:
                continue
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
