"""Functions that differ in padding alone: the compiler aligns loops with nops, and how many depends on the address."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kinspect.views.changes.bodies import body_size
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import Targets
from kinspect.views.changes.tokens import tokens
from kinspect.views.disassembly.listing import page_before
from kinspect.views.kernel.instructions import (
    BRANCH,
    CLASSES,
    LOW,
    NOP,
    PAGE,
    SHORT,
    ZERO,
    branch_target,
    low_bits,
    never_continues,
    page_target,
    short_target,
)

_ALIGNED = 8
_MOST_NOPS = 15


class _Body:
    """A function's instructions, and which of them only align the next."""

    def __init__(self, side: KernelSide, start: int) -> None:
        size = body_size(side, start)
        self.start, self.words = start, side.words[start >> 2 : start + size >> 2].tolist()
        self.padding = padding(self.words, start)
        self.tokens = [self._without_padding(token) for token in tokens(side, start)]

    def _without_padding(self, token: Any) -> Any:
        """A token, with the places in this function as they are without padding."""
        if not isinstance(token, tuple):
            return token
        if len(token) == 2 and token[0] in ("back", "here"):
            return token[0], token[1] - 4 * sum(lane < token[1] >> 2 for lane in self.padding)
        return tuple(map(self._without_padding, token))

    def target(self, lane: int) -> int | None:
        """The number of the instruction that a branch goes to, or an adr refers to, if that is in the function.

        It is that after nops.
        """
        word, at = self.words[lane], 4 * lane
        kind = CLASSES[word >> 24]
        if kind == PAGE and not word >> 31:
            target = page_target(word, at) >> 2
        elif kind in (BRANCH, SHORT):
            target = (branch_target(word, at) if kind == BRANCH else short_target(word, at)) >> 2
        else:
            return None
        if not 0 <= target < len(self.words):
            return None
        while target + 1 < len(self.words) and self.words[target] == NOP:
            target += 1
        return target

    def address(self, lane: int) -> int | None:
        """The address that an instruction completes."""
        word = self.words[lane]
        kind, low = CLASSES[word >> 24], low_bits(word)
        if kind == PAGE and not word >> 31:
            return page_target(word, self.start + 4 * lane)
        page = page_before(self.words, lane, word >> 5 & ZERO) if kind == LOW and low is not None else None
        return None if page is None or low is None else page_target(self.words[page], self.start + 4 * page) + low


def padding(words: Sequence[int], start: int) -> set[int]:
    """The numbers of the nops of a function that align a loop, or what follows a branch."""
    if NOP not in words:
        return set()
    heads = set()
    for lane, word in enumerate(words):
        kind = CLASSES[word >> 24]
        if kind in (BRANCH, SHORT):
            target = (branch_target(word, 4 * lane) if kind == BRANCH else short_target(word, 4 * lane)) >> 2
            if 0 <= target < len(words):
                heads.add(target)
    found: set[int] = set()
    lane = 1
    while lane < len(words):
        first = lane
        while lane < len(words) and words[lane] == NOP:
            lane += 1
        aligns = lane < len(words) and (start + 4 * lane) % _ALIGNED == 0 and 0 < lane - first <= _MOST_NOPS
        if aligns and (lane in heads or never_continues(words[first - 1])):
            found.update(range(first, lane))
        lane += 1
    return found


def differ_in_padding(
    old: KernelSide, new: KernelSide, pair: tuple[int, int], lanes: Sequence[int], targets: Targets
) -> bool:
    """Whether two functions are the same but for padding. `lanes` are those that differ; of different sizes, none."""
    if lanes:
        first, other = pair[0] >> 2, pair[1] >> 2
        if all(NOP not in (old.words[first + lane], new.words[other + lane]) for lane in lanes):
            return False
    else:
        if _without_nops(old, pair[0]) != _without_nops(new, pair[1]):
            return False
    one, two = _Body(old, pair[0]), _Body(new, pair[1])
    runs = _runs(one), _runs(two)
    # Of nops before an instruction, those that may align it may be more or fewer; a jump label is one, too.
    if len(runs[0]) != len(runs[1]) or any(
        max(mine.fewest, yours.fewest) > min(mine.most, yours.most) for mine, yours in zip(*runs, strict=True)
    ):
        return False
    places = {(mine.lane, yours.lane) for mine, yours in zip(*runs, strict=True)}
    return all(_same(one, two, place, places, targets) for place in places)


class _Nops(NamedTuple):
    """An instruction that is no nop, and how many of the nops before it are no padding at the fewest and at most."""

    lane: int
    fewest: int
    most: int


def _runs(body: "_Body") -> list[_Nops]:
    found, number = [], 0
    for lane, word in enumerate(body.words):
        if word == NOP:
            number += 1
            continue
        found.append(_Nops(lane, 0 if lane - 1 in body.padding else number, number))
        number = 0
    return found


def same_code(old: KernelSide, new: KernelSide, pair: tuple[int, int], targets: Targets) -> bool:
    """Whether two functions have the same instructions, with the same values, that refer to the same things."""
    one, two = _Body(old, pair[0]), _Body(new, pair[1])
    if len(one.words) != len(two.words):
        return False
    places = {(lane, lane) for lane in range(len(one.words))}
    return all(_same(one, two, (lane, lane), places, targets) for lane in range(len(one.words)))


def _without_nops(side: KernelSide, start: int) -> int:
    """How many instructions a function has besides nops."""
    size = body_size(side, start) >> 2
    return size - side.words[start >> 2 : (start >> 2) + size].tolist().count(NOP)


def _same(one: _Body, two: _Body, place: tuple[int, int], places: set[tuple[int, int]], targets: Targets) -> bool:
    """Whether two instructions are the same, and what they refer to."""
    ours, theirs = place
    if one.tokens[ours] != two.tokens[theirs]:
        return False
    goals = one.target(ours), two.target(theirs)
    if goals[0] is not None and goals[1] is not None:
        return goals in places
    addresses = one.address(ours), two.address(theirs)
    if addresses[0] is not None and addresses[1] is not None:
        return targets.same(addresses[0], addresses[1]) or targets.between(addresses[0], addresses[1])
    if goals != (None, None) or addresses != (None, None):
        return False
    return CLASSES[one.words[ours] >> 24] != LOW or one.words[ours] == two.words[theirs]
