"""Where the code of a function ends, and code that belongs to it but lies elsewhere.

Behind the last function of an object file lie parts of its others: what a branch leaves and comes back from
(`.subsection 1`: the fallbacks of atomics, the replacements of alternatives), and the linker's veneers.
"""

from collections.abc import Sequence
from itertools import compress

from kinspect.views.changes.names import compared_name
from kinspect.views.changes.side import KernelSide
from kinspect.views.kernel.instructions import (
    BRANCH,
    CLASSES,
    MASKS,
    PAGE,
    SHORT,
    branch_target,
    low_bits,
    never_continues,
    page_target,
    short_target,
)

_LONGEST_ASIDE, _LONGEST_PART = 48, 256
_EVENTS = bytes(CLASSES[top] == SHORT or 0x14 <= top < 0x18 or top == 0xD6 for top in range(256))
"""Instructions by their last byte: those after which another than the next may run, except for calls."""
_BR, _BLR_BITS = 0xD61F0000, 0xFFFFFC1F
Token = int | tuple[object, ...]
"""An instruction as it is compared: without the fields that move, with what it refers to."""


def body_size(side: KernelSide, start: int) -> int:
    """The bytes of a function up to where its own code ends."""
    size = side.body_sizes.get(start)
    if size is None:
        size = side.body_sizes[start] = 4 * _body(side.data[start : side.ends[start]])
    return size


def _body(code: bytes) -> int:
    words = memoryview(code).cast("I")
    size = len(words)
    furthest, jumps = 0, False
    for lane in compress(range(size), code[3::4].translate(_EVENTS)):
        word = words[lane]
        if CLASSES[word >> 24] == SHORT:
            furthest = max(furthest, short_target(word, 4 * lane) >> 2)
            continue
        if word >> 26 == 0x05:
            target = branch_target(word, 4 * lane) >> 2
            if target < size:
                if _comes_back(words, target, lane):
                    # Far ahead it is one that is left for a while.
                    continue
                furthest = max(furthest, target)
        jumps = jumps or word & _BLR_BITS == _BR
        if lane >= furthest and never_continues(word):
            # With a jump table, what follows may be reached through it.
            if jumps:
                return size
            furthest = _part_after(words, lane)
            if not furthest:
                return lane + 1
    return size


def _part_after(words: Sequence[int], last: int) -> int:
    """The last instruction of code behind the end of a function if it goes back to it; a jump label may lead there."""
    goes_back = False
    for lane in range(last + 1, min(last + 1 + _LONGEST_PART, len(words))):
        word = words[lane]
        if CLASSES[word >> 24] == SHORT:
            goes_back = goes_back or 0 <= short_target(word, 4 * lane) >> 2 <= last
        elif word >> 26 == 0x05:
            goes_back = goes_back or 0 <= branch_target(word, 4 * lane) >> 2 <= last
        if never_continues(word):
            return lane if goes_back else 0
    return 0


def _comes_back(words: Sequence[int], target: int, lane: int) -> bool:
    """Whether a branch goes to a few instructions that end with one back to right after it."""
    for at in range(max(target, 0), min(target + _LONGEST_ASIDE, len(words))):
        if words[at] >> 26 == 0x05:
            return lane < branch_target(words[at], 4 * at) >> 2 <= lane + 4
        if never_continues(words[at]):
            return False
    return False


def aside(side: KernelSide, start: int, target: int) -> Token:
    """What a branch of the function at `start` goes to: a name, or the code there if nothing begins there."""
    target = through_veneers(side, target)
    name = side.names.get(target)
    if name is not None:
        return (compared_name(name),)
    end = side.ends.get(start, start)
    if start <= target < end and target - start < body_size(side, start):
        return ("here", target - start)
    return code_at(side, start, target, 4 * _LONGEST_ASIDE, whole=False)


def code_at(side: KernelSide, start: int, target: int, size: int, whole: bool = True) -> tuple[Token, ...]:
    """Code somewhere that belongs to the function at `start`: up to where it never continues, if not `whole`.

    Outside of the kernel, only the place.
    """
    if not 0 <= target < len(side.data):
        return (("outside", target),)
    end = side.ends.get(start, start)
    found: list[Token] = []
    for at in range(target, min(target + size, len(side.data) & -4), 4):
        word = side.words[at >> 2]
        kind = CLASSES[word >> 24]
        if kind in (BRANCH, SHORT):
            goal = branch_target(word, at) if kind == BRANCH else short_target(word, at)
            place: tuple[str, object] = ("back", goal - start) if start <= goal < end else ("on", goal - target)
            if goal in side.names:
                place = ("to", compared_name(side.names[goal]))
            found += (word & 0xFC000000, place)
        else:
            found.append(word & MASKS[word >> 24])
        if never_continues(word) and not whole:
            break
    return tuple(found)


def through_veneers(side: KernelSide, target: int) -> int:
    """Where a branch ends up that goes to a veneer of the linker, which leads to a distant function."""
    for _ in range(2):
        if target not in side.veneers or target + 12 > len(side.data):
            return target
        first = target >> 2
        words = side.words[first : first + 3].tolist()
        if words[0] & 0xFFFFFF3F == 0xD503241F:  # bti
            words, target = words[1:], target + 4
        if words[0] >> 26 == 0x05:
            target = branch_target(words[0], target)
        elif CLASSES[words[0] >> 24] == PAGE and (low := low_bits(words[1])) is not None:
            target = page_target(words[0], target) + low
        else:
            return target
    return target


def replaced(side: KernelSide, start: int, lane: int) -> int | None:
    """The instruction that a branch stands for, which the linker moved into a veneer against an erratum.

    The veneer has it and a branch back to the next.
    """
    at = start + 4 * lane
    word = side.words[at >> 2]
    if word >> 26 != 0x05:
        return None
    target = branch_target(word, at)
    if not 0 <= target <= len(side.data) - 8 or target & 3:
        return None
    moved, back = side.words[target >> 2], side.words[(target >> 2) + 1]
    return moved if back >> 26 == 0x05 and branch_target(back, target + 4) == at + 4 else None
