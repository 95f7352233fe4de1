"""The instructions of a function as they are compared where they may be in other places of it."""

from kinspect.views.changes.bodies import Token, aside, body_size, replaced
from kinspect.views.changes.side import KernelSide
from kinspect.views.kernel.instructions import BRANCH, CLASSES, MASKS, SHORT, branch_target, short_mask


def tokens(side: KernelSide, start: int) -> list[Token]:
    """The instructions of a function without the fields that move; of calls, what they call."""
    first, size = start >> 2, body_size(side, start) >> 2
    found: list[Token] = []
    for lane, original in enumerate(side.words[first : first + size].tolist()):
        word = replaced(side, start, lane) or original
        kind = CLASSES[word >> 24]
        if kind == BRANCH:
            target = branch_target(word, start + 4 * lane)
            inside = 0 <= target - start < 4 * size
            found.append((word >> 26, None if inside else aside(side, start, target)))
        elif kind == SHORT:
            found.append(word & short_mask(word))
        else:
            found.append(word & MASKS[word >> 24])
    return found
