"""The address that an adrp begins, followed to the instructions that complete it: through copies and branches."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from kinspect.views.kernel.instructions import (
    BRANCH,
    CLASSES,
    LOW,
    OTHER,
    SHORT,
    ZERO,
    branch_target,
    low_bits,
    overwrites,
    short_target,
)

_MOST_STEPS = 4096
_ADD, _ADD_BITS = 0x91000000, 0xFFC00000
_ADD_32 = 0x11
_BREAK, _BREAK_BITS = 0xD4200000, 0xFFE0001F
_MOVE, _MOVE_BITS = 0xAA0003E0, 0xFFE0FFE0
_OFFSET_BITS, _PAIR_BITS = 0xFFC003FF, 0xFFC07FFF
_JUMP, _CALL, _INDIRECT = 0x05, 0x25, (0xD6, 0xD7)
"""The upper six bits of b and bl, and the upper eight of br, blr, ret and eret."""
_LOST, _LINK = 18, 30
"""Registers up to x18 and x30 are lost in a call."""


class Completed(NamedTuple):
    """An instruction that adds low bits to a page, or more to an address: its number, and what has been added so far.

    `derived` is whether the address was complete before: what is added then is a place in an object, or in several.
    `doubtful` is whether it may never be reached: there is something on the way that ends the path, such as a BUG.
    """

    lane: int
    ours: int
    theirs: int
    derived: bool
    doubtful: bool


class PairedCode(NamedTuple):
    """The instructions of a function in two kernels, where it begins in the old one, and what never returns there."""

    mine: Sequence[int]
    yours: Sequence[int]
    start: int
    endless: Collection[int]


def followed(code: PairedCode, at: int, further: bool, complete: bool = False) -> Iterator[Completed]:
    """The instructions that complete the page that the adrp at a lane puts into its register.

    Where the instructions differ in more than the low bits, no address is completed. `further` is whether what is added
    to complete addresses is wanted, too, and `complete` whether the one at `at` is complete.
    """
    mine, count = code.mine, len(code.mine)
    todo = [(mine[at] & ZERO, Completed(at + 1, 0, 0, complete, False))]
    seen: set[int] = set()
    while todo and len(seen) < _MOST_STEPS:
        register, (lane, ours, theirs, derived, doubtful) = todo.pop()
        while 0 <= lane < count and (key := lane << 5 | register) not in seen:
            seen.add(key)
            word = mine[lane]
            kind = CLASSES[word >> 24]
            if (kind == LOW or is_pair(word)) and word >> 5 & ZERO == register:
                added = _added(word, code.yours[lane])
                if added is not None:
                    found = Completed(lane, ours + added[0], theirs + added[1], derived, doubtful)
                    yield found
                    if further and word & _ADD_BITS == _ADD:
                        todo.append((word & ZERO, found._replace(lane=lane + 1, derived=True)))
            elif kind == OTHER and word & _MOVE_BITS == _MOVE and word >> 16 & ZERO == register:
                todo.append((word & ZERO, Completed(lane + 1, ours, theirs, derived, doubtful)))
            elif kind == SHORT:
                goal = short_target(word, 4 * lane) >> 2
                todo.append((register, Completed(goal, ours, theirs, derived, doubtful)))
            doubtful = doubtful or _may_end(code, lane, word)
            lane = _after(word, lane, register)


def is_pair(word: int) -> bool:
    """Whether an instruction loads or stores two registers at a distance from a third."""
    return word & 0x3B800000 == 0x29000000


def _pair_distance(word: int) -> int:
    opc, vector = word >> 30, word >> 26 & 1
    number = (word >> 15 & 0x3F) - (word >> 15 & 0x40)
    return number << (2 + opc if vector else 3 if opc == 2 else 2)


def _added(one: int, two: int) -> tuple[int, int] | None:
    """What two instructions add to their base; None when they differ in more than that, or add to no address."""
    if is_pair(one):
        return None if (one ^ two) & _PAIR_BITS else (_pair_distance(one), _pair_distance(two))
    low, high = low_bits(one), low_bits(two)
    if low is None or high is None or (one ^ two) & _OFFSET_BITS or one >> 24 == _ADD_32:
        return None
    return low, high


def _may_end(code: PairedCode, lane: int, word: int) -> bool:
    """Whether the path may end at an instruction: a BUG, which a WARN looks like, or a call that never returns."""
    if word & _BREAK_BITS == _BREAK:
        return True
    return word >> 26 == _CALL and branch_target(word, code.start + 4 * lane) in code.endless


def _after(word: int, lane: int, register: int) -> int:
    """The instruction after one if the register still has its value then; else -1."""
    top = word >> 24
    kind = CLASSES[top]
    if kind == SHORT:
        return lane + 1
    if word >> 26 == _JUMP:
        return branch_target(word, 4 * lane) >> 2
    if kind == BRANCH or top in _INDIRECT:
        # Others than calls never come back.
        lost = (kind != BRANCH and word >> 21 & 0xF != 1) or register <= _LOST or register == _LINK
        return -1 if lost else lane + 1
    touched = register in (word & ZERO, word >> 5 & ZERO, word >> 10 & ZERO)
    return -1 if touched and overwrites(word, register) else lane + 1
