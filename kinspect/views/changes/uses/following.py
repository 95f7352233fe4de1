"""The address that an adrp begins, followed to the instructions that complete it: through copies and branches."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from kinspect.views.kernel.instructions import (
    BRANCH,
    CLASSES,
    LOW,
    NOP,
    OTHER,
    SHORT,
    ZERO,
    branch_target,
    low_bits,
    never_continues,
    overwrites,
    short_target,
)

_MOST_STEPS = 4096
_ADD, _ADD_BITS = 0x91000000, 0xFFC00000
_ADD_32 = 0x11
_BREAK, _BREAK_BITS = 0xD4200000, 0xFFE0001F
_OVERWRITING, _SOON = (0x91000000 >> 22, 0xF9400000 >> 22), 12
"""The upper bits of add and ldr of whole registers."""
_MOVE, _MOVE_BITS = 0xAA0003E0, 0xFFE0FFE0
_OFFSET_BITS, _PAIR_BITS = 0xFFC003FF, 0xFFC07FFF
_JUMP, _CALL, _INDIRECT = 0x05, 0x25, (0xD6, 0xD7)
"""The upper six bits of b and bl, and the upper eight of br, blr, ret and eret."""
_STACK_BITS, _LOADS, _STORES = 0xFFC003E0, (0xF94003E0, 0xA94003E0), (0xF90003E0, 0xA90003E0)
"""ldr and ldp, str and stp, of whole registers on the stack."""
_LOST, _LINK = 18, 30
_RETURNED = (0, 1, 16, 17, 18, 30)
"""Registers up to x18 and x30 are lost in a call, some in any: results, and what veneers use."""


class Completed(NamedTuple):
    """An instruction that adds low bits to a page, or more to an address: its number, and what has been added so far.

    `derived` is whether the address was complete before: what is added then is a place in an object, or in several.
    `doubtful` is whether it may never be reached: there is something on the way that ends the path, such as a BUG, or a
    detour: through a jump label, or through the stack.
    """

    lane: int
    ours: int
    theirs: int
    derived: bool
    doubtful: bool


class Detours(NamedTuple):
    """Where an address in a register may go: `islands` are instructions that nothing leads to: a jump label does.

    `reloads` are those that load from the stack, and into which register, by the place on the stack.
    """

    islands: Sequence[int]
    reloads: Mapping[int, Sequence[tuple[int, int]]]


class PairedCode(NamedTuple):
    """The instructions of a function in two kernels, where it begins in the old one, and what never returns there."""

    mine: Sequence[int]
    yours: Sequence[int]
    start: int
    endless: Collection[int]
    detours: Detours = Detours((), {})


def detours_of(words: Sequence[int]) -> Detours:
    """The detours of a function."""
    reached = {0}
    reloads: dict[int, list[tuple[int, int]]] = {}
    for lane, word in enumerate(words):
        kind = CLASSES[word >> 24]
        if kind == SHORT:
            reached.add(short_target(word, 4 * lane) >> 2)
        elif word >> 26 == _JUMP:
            reached.add(branch_target(word, 4 * lane) >> 2)
        for slot, register in _on_stack(word, _LOADS):
            reloads.setdefault(slot, []).append((lane, register))
    last = len(words) - 1
    islands = [
        lane + 1
        for lane, word in enumerate(words)
        if lane < last and lane + 1 not in reached and (never_continues(word) or word & _BREAK_BITS == _BREAK)
    ]
    return Detours(islands, reloads)


def _on_stack(word: int, forms: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The registers that an instruction of two forms, one or a pair, stores or loads, and where on the stack."""
    form = word & _STACK_BITS
    if form == forms[0]:
        yield (word >> 10 & 0xFFF) << 3, word & ZERO
    elif form == forms[1]:
        slot = _pair_distance(word)
        yield slot, word & ZERO
        yield slot + 8, word >> 10 & ZERO


def completed_soon(code: PairedCode, at: int) -> tuple[int, int, int] | None:
    """The instruction that completes an adrp, and what it adds, when it puts the address into the same register.

    Most do, a few instructions later. None for all others; the register has no more of the page then.
    """
    mine = code.mine
    register = mine[at] & ZERO
    completing = register << 5 | register
    for lane in range(at + 1, min(at + _SOON, len(mine))):
        word = mine[lane]
        if word & 0x3FF == completing and word >> 22 in _OVERWRITING:
            added = _added(word, code.yours[lane])
            return (lane, *added) if added else None
        kind = CLASSES[word >> 24]
        if (
            register in (word & ZERO, word >> 5 & ZERO, word >> 10 & ZERO, word >> 16 & ZERO)
            or kind in (BRANCH, SHORT)
            or word >> 24 in _INDIRECT
            or word & _BREAK_BITS == _BREAK
        ):
            return None
    return None


def followed(code: PairedCode, at: int, further: bool, complete: bool = False) -> Iterator[Completed]:
    """The instructions that complete the page that the adrp at a lane puts into its register.

    Where the instructions differ in more than the low bits, no address is completed. `further` is whether what is added
    to complete addresses is wanted, too, and `complete` whether the one at `at` is complete.
    """
    mine, count = code.mine, len(code.mine)
    todo = deque([(mine[at] & ZERO, Completed(at + 1, 0, 0, complete, False))])
    seen: set[int] = set()
    spread: set[int] = set()
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
            # A function of the same file may be known to keep registers that others do not.
            doubtful = doubtful or _may_end(code, lane, word) or (word >> 26 == _CALL and register <= _LOST)
            if further and (word == NOP or word & _STACK_BITS in _STORES or word >> 26 == _JUMP):
                # All certain paths are taken before.
                path = Completed(lane, ours, theirs, derived, True)
                aside = _aside(code, word, register, spread)
                todo.extendleft((other, path._replace(lane=goal)) for goal, other in aside)
            lane = _after(word, lane, register)


def _aside(code: PairedCode, word: int, register: int, spread: set[int]) -> Iterator[tuple[int, int]]:
    """The instructions that may find the content of a register after one, not being after it: and in which register.

    `spread` are the registers that are known where nothing leads to.
    """
    if word & _STACK_BITS in _STORES:
        for slot, stored in _on_stack(word, _STORES):
            if stored == register:
                yield from ((lane + 1, loaded) for lane, loaded in code.detours.reloads.get(slot, ()))
    elif register not in spread:
        # It may be patched into a branch to what no other branch goes to.
        spread.add(register)
        yield from ((island, register) for island in code.detours.islands)


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
        if word >> 26 == _CALL and register not in _RETURNED:
            return lane + 1
        lost = (kind != BRANCH and word >> 21 & 0xF != 1) or register <= _LOST or register == _LINK
        return -1 if lost else lane + 1
    touched = register in (word & ZERO, word >> 5 & ZERO, word >> 10 & ZERO)
    return -1 if touched and overwrites(word, register) and not _only_reads(word, register) else lane + 1


def _only_reads(word: int, register: int) -> bool:
    """Whether an instruction does not change a register that it seems to: ccmp, msr, prfm, and stores."""
    if word & 0x1FE00000 == 0x1A400000 or word & 0xFFF00000 == 0xD5100000 or word & 0xFFC00000 == 0xF9800000:
        return True
    stores = word & 0x3FC00000 == 0x38000000 or word & 0x3FFFFC00 == 0x089FFC00
    return stores and word >> 5 & ZERO != register
