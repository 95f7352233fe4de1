"""The words before functions that say of which type they are: Clang's kCFI, which indirect calls check.

Source: Clang's documentation, -fsanitize=kcfi. A hash may look like any instruction.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Sequence

from kinspect.views.kernel.instructions import (
    CLASSES,
    NOP,
    RETURNS,
    SHORT,
    branch_target,
    is_branch,
    never_continues,
    short_target,
)

_SHARE, _PATCHED = 4, 10
"""A kernel with hashes has them before more than a fourth of its functions; ftrace's nops are before a tenth."""
_FURTHEST = 1 << 13
"""Instructions before the last one of a function that may branch to it: tbz reaches 32 KiB."""


def type_hashes(
    words: Sequence[int], bounds: Sequence[int], functions: Sequence[int], asides: Collection[int] = ()
) -> dict[int, int]:
    """Where the hashes of functions are, by the functions; empty for a kernel without.

    All are byte offsets in ascending order; `bounds` are all places with a symbol, and `asides` those where code ends
    that lies behind functions, and replaces other code at boot.
    """
    size = 4 * len(words)
    places = {start: start - 4 for start in functions if 4 <= start < size and not start & 3}
    # ftrace may patch two instructions before a function; they come after its hash.
    patched = {
        start: start - 12
        for start, at in places.items()
        if start >= 12 and words[at >> 2] == NOP == words[(at >> 2) - 1]
    }
    if len(patched) * _PATCHED > len(places) and _odd(words, patched) * 2 > len(patched):
        places |= patched
    if _odd(words, places) * _SHARE <= len(places):
        return {}
    often = Counter(word for at in places.values() if is_branch(word := words[at >> 2]))
    starts = set(bounds)
    sure: dict[int, int] = {}
    unsure: dict[int, int] = {}
    for start, at in places.items():
        lane = at >> 2
        word = words[lane]
        before = bounds[max(0, bisect_left(bounds, start) - 1)]
        if is_branch(word):
            target = branch_target(word, at)
            if before <= target <= start:
                continue
            # A branch to one place is another word at each place.
            if often[word] > 1 or at in asides or not _runs(words, before, lane, after_calls=target in starts):
                sure[start] = at
        elif not _may_end(word):
            (sure if at in asides or _ends(words, before, lane) else unsure)[start] = at
    known = {words[at >> 2] for at in sure.values()}
    return sure | {start: at for start, at in unsure.items() if words[at >> 2] in known}


def _odd(words: Sequence[int], places: dict[int, int]) -> int:
    """How many of some words cannot be the end of a function, or padding."""
    return sum(not (is_branch(word := words[at >> 2]) or _may_end(word)) for at in places.values())


def _may_end(word: int) -> bool:
    """Whether it may be the last word of a function, or padding, but for b and bl."""
    if word in RETURNS or word == NOP or not word >> 16 or word & 0xFFFFFC1F == 0xD65F0000:
        return True
    # br and blr, brk, and barriers after a return.
    return word & 0xFFDFFC1F == 0xD61F0000 or word & 0xFFE0001F == 0xD4200000 or word >> 12 == 0xD5033


def _ends(words: Sequence[int], start: int, lane: int) -> bool:
    """Whether a function that begins at `start` may end before an instruction."""
    if 4 * lane <= start:
        return True
    word = words[lane - 1]
    return is_branch(word) or _may_end(word)


def _runs(words: Sequence[int], start: int, lane: int, after_calls: bool) -> bool:
    """Whether an instruction may run in a function: after the one before it, or after a branch.

    `after_calls` is whether what is called, or brk, may return.
    """
    first = max(start >> 2, lane - _FURTHEST)
    last = lane - 1
    while last >= first and words[last] == NOP:
        last -= 1
    if last < first < lane:
        return True
    word = words[last]
    if last >= first and not (is_branch(word) or _may_end(word)):
        return True
    if last >= first and after_calls and word >> 16 and not never_continues(word):
        return True
    for at in range(first, lane):
        word = words[at]
        if CLASSES[word >> 24] == SHORT:
            if short_target(word, 4 * at) >> 2 == lane:
                return True
        elif word >> 26 == 5 and branch_target(word, 4 * at) >> 2 == lane:
            return True
    return False
