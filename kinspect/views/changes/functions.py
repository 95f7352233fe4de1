"""The functions of two kernels compared: instructions that differ, other than by where code and data lie.

An instruction that holds an address is the same when the address is the same thing in both kernels. Most functions are
decided by their bytes, and most of the others by instructions with an address alone; what is left is looked at closely.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kinspect.views.changes.alike import astray
from kinspect.views.changes.bodies import aside, body_size
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import Targets
from kinspect.views.kernel.instructions import (
    BRANCH,
    CLASSES,
    PAGE,
    ZERO,
    branch_target,
    low_bits,
    never_continues,
    overwrites,
    page_target,
)

_REACH = 24
"""Instructions after an adrp in which its register is used."""


class Use(NamedTuple):
    """A place in a pair of functions where each refers to an address: the number of the instruction, the addresses."""

    pair: tuple[int, int]
    lane: int
    ours: int
    theirs: int


class _DifferingPairs:
    """What is found in the pairs of functions whose bytes differ."""

    def __init__(self, old: KernelSide, new: KernelSide) -> None:
        self.old, self.new = old, new
        self.tops = old.data[3::4][: len(old.words)].translate(CLASSES)
        self.suspects: dict[tuple[int, int], set[int]] = {}
        self.uses: list[Use] = []
        self.jumps: list[Use] = []

    def add(self, pair: tuple[int, int], size: int, calls: dict[int, int]) -> None:
        """Compare two functions of the same size."""
        ours, theirs = pair
        first, other = ours >> 2, theirs >> 2
        mine = self.old.words[first : first + size].tolist()
        yours = self.new.words[other : other + size].tolist()
        odd: set[int] = set()
        kinds = self.tops[first : first + size]
        for lane, (one, two) in enumerate(zip(mine, yours, strict=True)):
            if one == two and kinds[lane] != BRANCH:
                continue
            if kinds[lane] == BRANCH and not (one ^ two) >> 26:
                target, goal = branch_target(one, ours + 4 * lane), branch_target(two, theirs + 4 * lane)
                if calls.get(target) != goal and (target - ours != goal - theirs or not 0 <= target - ours < 4 * size):
                    self.jumps.append(Use(pair, lane, target, goal))
            else:
                odd.add(lane)
        at = kinds.find(PAGE)
        while at >= 0:
            self._pages(pair, mine, yours, at, odd)
            at = kinds.find(PAGE, at + 1)
        if odd:
            self.suspects[pair] = odd

    def add_alike(self, pairs: Sequence[tuple[int, int]], known: dict[int, int]) -> None:
        """Look at the instructions in functions of equal bytes that may refer to other things."""
        for pair, kind, at in astray(self.old, self.new, pairs, known, self.tops):
            lane = at - pair[0] >> 2
            if kind == BRANCH:
                target = branch_target(self.old.words[at >> 2], at)
                self.jumps.append(Use(pair, lane, target, target + pair[1] - pair[0]))
            else:
                words = self.old.words[pair[0] >> 2 : self.old.ends[pair[0]] >> 2]
                self._pages(pair, words, words, lane, set())

    def branches(self) -> None:
        """Decide the branches that do not go to a function that both kernels have."""
        old, new = self.old, self.new
        for use in self.jumps:
            if aside(old, use.pair[0], use.ours) != aside(new, use.pair[1], use.theirs):
                self.suspects.setdefault(use.pair, set()).add(use.lane)

    def _pages(self, pair: tuple[int, int], mine: Sequence[int], yours: Sequence[int], at: int, odd: set[int]) -> None:
        """Follow the register of an adrp or adr to the instructions that add the low bits."""
        one, two = mine[at], yours[at]
        if (one ^ two) & 0x1F00001F:
            return
        register = one & ZERO
        page, other = page_target(one, pair[0] + 4 * at), page_target(two, pair[1] + 4 * at)
        odd.discard(at)
        plain = not one >> 31 and not two >> 31
        if plain:
            self.uses.append(Use(pair, at, page, other))
            return
        for lane in range(at + 1, min(at + _REACH, len(mine))):
            word = mine[lane]
            if word >> 5 & ZERO == register:
                low, high = low_bits(word), low_bits(yours[lane])
                if low is not None and high is not None and not (word ^ yours[lane]) & 0xFFC003FF:
                    odd.discard(lane)
                    self.uses.append(Use(pair, lane, page + low, other + high))
            if word & ZERO == register and overwrites(word, register):
                return
            if never_continues(word) or (word >> 26 == 0x25 and overwrites(word, register)):
                return


def suspects_of(
    old: KernelSide, new: KernelSide, pairs: Iterable[tuple[int, int]], targets: Targets
) -> dict[tuple[int, int], set[int]]:
    """The pairs of functions that may have changed, with the numbers of the instructions that differ.

    For functions that differ in size there are none. The uses of data that others agree on count as evidence.
    """
    walk, sizes, calls, alike = _DifferingPairs(old, new), {}, targets.pairs, []
    ours, theirs, mine, yours = old.data, new.data, old.ends, new.ends
    for pair in pairs:
        start, other = pair
        size, length = mine[start] - start, yours[other] - other
        if size != length:
            size, length = body_size(old, start), body_size(new, other)
            if size == length:
                walk.add(pair, size >> 2, calls)
            else:
                sizes[pair] = set[int]()
        elif ours[start : start + size] != theirs[other : other + size]:
            walk.add(pair, size >> 2, calls)
        else:
            alike.append(pair)
    walk.add_alike(alike, calls)
    walk.branches()
    targets.vote((use.ours, use.theirs) for use in walk.uses)
    for use in walk.uses:
        if not targets.same(use.ours, use.theirs):
            walk.suspects.setdefault(use.pair, set()).add(use.lane)
    return {**sizes, **walk.suspects}
