"""Where the code of a function ends, and code that belongs to it but lies elsewhere.

Behind the last function of an object file lie parts of its others: what a branch leaves and comes back from
(`.subsection 1`: the fallbacks of atomics, the replacements of alternatives), and the linker's veneers.
"""

from collections.abc import Sequence

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

_LONGEST_ASIDE = 48
_BR, _BLR_BITS = 0xD61F0000, 0xFFFFFC1F
Token = int | tuple[object, ...]
"""An instruction as it is compared: without the fields that move, with what it refers to."""


def body_size(side: KernelSide, start: int) -> int:
    """The bytes of a function up to where its own code ends."""
    size = side.ends[start] - start >> 2
    words = side.words[start >> 2 : (start >> 2) + size].tolist()
    return 4 * _body(words)


def _body(words: Sequence[int]) -> int:
    furthest, jumps = 0, False
    for lane, word in enumerate(words):
        kind = CLASSES[word >> 24]
        if kind == SHORT:
            furthest = max(furthest, short_target(word, 4 * lane) >> 2)
        elif kind == BRANCH and word >> 26 == 0x05:
            target = branch_target(word, 4 * lane) >> 2
            # Far ahead it is one that is left for a while.
            if target < len(words) and not _comes_back(words, target, lane):
                furthest = max(furthest, target)
        jumps = jumps or word & _BLR_BITS == _BR
        if lane >= furthest and never_continues(word):
            # With a jump table, what follows may be reached through it.
            return len(words) if jumps else lane + 1
    return len(words)


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
    found: list[Token] = []
    for at in range(target, min(target + 4 * _LONGEST_ASIDE, len(side.data) & -4), 4):
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
        if never_continues(word):
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
