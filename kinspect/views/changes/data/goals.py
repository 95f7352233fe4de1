"""The places of a kernel that its code or data refers to: at each of them something begins, or a part of it.

kallsyms says only where the next symbol is, and among constants there is data without a name: jump tables, strings,
initial values. Something refers to each of it. So what lies before the first such place is an object's own.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from re import compile as compiled

from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.uses.slots import Slots
from kinspect.views.kernel.instructions import low_bits, never_continues, overwrites, page_target

_REACH = 24
"""Instructions after an adrp in which its register is used."""
_MOST = 4096
"""Pages that are looked at, and instructions for one: a kernel has up to some 1,000 for one."""
_ADDRESSES = compiled(rb"[\x10\x30\x50\x70\x90\xb0\xd0\xf0]")
"""The top byte of adr and adrp."""


class Goals:
    """The places that are referred to, found page by page."""

    def __init__(self, side: KernelSide, slots: Slots) -> None:
        self._side, self._slots = side, slots
        self._known: dict[int, list[int]] = {}

    def first(self, start: int, end: int) -> int:
        """The first place after `start` that is referred to; `end` without one before it."""
        found = [end]
        for known in [self._held, *(self._of_page(page) for page in range(start >> 12, (end >> 12) + 1)[:_MOST])]:
            at = bisect_right(known, start)
            found += known[at : at + 1]
        return min(found)

    def first_held(self, start: int, end: int) -> int:
        """The same of what data refers to."""
        at = bisect_right(self._held, start)
        return min([end, *self._held[at : at + 1]])

    @cached_property
    def _held(self) -> list[int]:
        return sorted(set(self._slots.targets))

    def _of_page(self, page: int) -> list[int]:
        found = self._known.get(page)
        if found is None:
            lanes = self._lanes.get(page, [])[:_MOST]
            found = self._known[page] = sorted({place for lane in lanes for place in self._uses(lane)})
        return found

    @cached_property
    def _lanes(self) -> dict[int, list[int]]:
        """The instructions adr and adrp, by the page that each leads to."""
        found: dict[int, list[int]] = defaultdict(list)
        words, data = self._side.words, self._side.data
        for first, count in self._code():
            for hit in _ADDRESSES.finditer(data[4 * first + 3 : 4 * count : 4]):
                lane = first + hit.start()
                word = words[lane]
                if word >> 31:
                    page = (lane >> 10) + (word >> 3 & 0xFFFFC | word >> 29 & 3) - (word >> 3 & 0x100000)
                else:
                    page = page_target(word, 4 * lane) >> 12
                found[page].append(lane)
        return found

    def _code(self) -> Iterator[tuple[int, int]]:
        """Where code lies, as numbers of instructions: up to `_etext`, and after it what runs at start-up only."""
        side, end = self._side, self._side.code_end
        later = side.functions[bisect_left(side.functions, end) :]
        yield 0, (end or len(side.data)) >> 2
        if end and later:
            yield later[0] >> 2, side.ends[later[-1]] >> 2

    def _uses(self, lane: int) -> Iterator[int]:
        """The places that adr or adrp leads to, with the instructions that add the low bits."""
        words = self._side.words
        word = words[lane]
        page = page_target(word, 4 * lane)
        if not word >> 31:
            yield page
            return
        register = word & 31
        for at in range(lane + 1, min(lane + _REACH, len(words))):
            other = words[at]
            if other >> 5 & 31 == register:
                low = low_bits(other)
                if low is not None:
                    yield page + low
            if overwrites(other, register) or never_continues(other):
                break
