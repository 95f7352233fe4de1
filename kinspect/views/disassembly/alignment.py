"""Two sequences of instructions aligned, unless that takes too long."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from operator import eq


def aligned(
    ours: Sequence[Hashable], theirs: Sequence[Hashable], most: int
) -> Iterator[tuple[bool, int, int, int, int]]:
    """Runs of instructions: whether they are equal, and where they are on both sides.

    If more than `most` are left without the equal ones at both ends, or pairs of equal ones 100 times as many, all of
    them are one run that differs: code that repeats itself would take minutes.
    """
    first = sum(1 for _ in takewhile(bool, map(eq, ours, theirs)))
    last = sum(1 for _ in takewhile(bool, map(eq, reversed(ours[first:]), reversed(theirs[first:]))))
    end, stop = len(ours) - last, len(theirs) - last
    yield True, 0, first, 0, first
    mine, yours = ours[first:end], theirs[first:stop]
    if not mine or not yours or max(len(mine), len(yours)) > most or _alike(mine, yours) > 100 * most:
        yield False, first, end, first, stop
    else:
        for tag, start, until, at, to in SequenceMatcher(None, mine, yours, autojunk=False).get_opcodes():
            yield tag == "equal", first + start, first + until, first + at, first + to
    yield True, end, len(ours), stop, len(theirs)


def _alike(ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> int:
    """How many pairs of instructions are equal."""
    counts = Counter(theirs)
    return sum(number * counts[one] for one, number in Counter(ours).items())
