"""Functions whose bytes are equal, which may refer to other things all the same: what lies at that distance changed.

Where code and what it refers to moved as far, an equal instruction refers to the same thing. So only those are left
that refer to something outside of the run of symbols that moved together.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import NamedTuple

from kinspect.views.changes.side import KernelSide
from kinspect.views.kernel.instructions import BRANCH, PAGE, page_target

_PAGE_SIZE = 4096
_BRANCHES, _PAGES = (bytes(number == kind for number in range(256)) for kind in (BRANCH, PAGE))


class SymbolRun(NamedTuple):
    """Symbols from `start` to `end` of the old kernel that are all `shift` bytes further in the new; None: not all."""

    start: int
    end: int
    shift: int | None


class Astray(NamedTuple):
    """An instruction at `at` of the old kernel, of a class, in a pair of functions, that may refer to another thing."""

    pair: tuple[int, int]
    kind: int
    at: int


def astray(
    old: KernelSide, new: KernelSide, pairs: Sequence[tuple[int, int]], known: dict[int, int], tops: bytes
) -> Iterator[Astray]:
    """The instructions of `pairs` of functions with equal bytes that may refer to another thing.

    `known` are the offsets of symbols that are the same, `tops` the classes of the old kernel's instructions.
    """
    runs = _runs(old, known)
    if len(runs) == 1 and runs[0].shift == 0 and old.data == new.data:
        return
    starts = [run.start for run in runs]
    fine: dict[tuple[int, int], bool] = {}
    ordered = sorted(pairs)
    firsts = [start for start, _ in ordered]
    for start, end, run in _stretches(old, ordered, runs, starts):
        first, last, shift, low, high = start >> 2, end >> 2, run.shift or 0, run.start, run.end
        kinds, words = tops[first:last], old.words[first:last]
        marks = kinds.translate(_BRANCHES)
        for lane, word in zip(compress(range(first, last), marks), compress(words, marks), strict=True):
            target = 4 * (lane + (word & 0x1FFFFFF) - (word & 0x2000000))
            if not low <= target < high and known.get(target) != target + shift:
                yield Astray(ordered[bisect_right(firsts, 4 * lane) - 1], BRANCH, 4 * lane)
        marks = kinds.translate(_PAGES)
        for lane, word in zip(compress(range(first, last), marks), compress(words, marks), strict=True):
            target = page_target(word, 4 * lane)
            key = target, page_target(word, 4 * lane + shift) - target
            alike = fine.get(key)
            if alike is None:
                alike = fine[key] = _same_page(old, new, key, runs, starts)
            if not alike:
                yield Astray(ordered[bisect_right(firsts, 4 * lane) - 1], PAGE, 4 * lane)


def _runs(side: KernelSide, known: dict[int, int]) -> list[SymbolRun]:
    found: list[SymbolRun] = []
    bounds = sorted({*side.functions, *side.objects, *side.veneers})
    for start, end in zip(bounds, [*bounds[1:], side.bounds[-1] + 1 if bounds else 0], strict=True):
        shift = known[start] - start if start in known else None
        if found and shift is not None and found[-1].shift == shift:
            found[-1] = found[-1]._replace(end=end)
        else:
            found.append(SymbolRun(start, end, shift))
    return found


def _stretches(
    side: KernelSide, pairs: Sequence[tuple[int, int]], runs: Sequence[SymbolRun], starts: Sequence[int]
) -> Iterator[tuple[int, int, SymbolRun]]:
    """Functions that lie together in a run, as one range of bytes."""
    following = dict(zip(side.bounds, side.bounds[1:], strict=False))
    begin, last, current = -1, -1, SymbolRun(0, 0, None)
    for start, _ in pairs:
        if following.get(last) != start or not current.start <= start < current.end:
            if begin >= 0:
                yield begin, side.ends[last], current
            begin, current = start, runs[bisect_right(starts, start) - 1]
        last = start
    if begin >= 0:
        yield begin, side.ends[last], current


def _same_page(
    old: KernelSide, new: KernelSide, key: tuple[int, int], runs: Sequence[SymbolRun], starts: Sequence[int]
) -> bool:
    """Whether all that is in a page moved as far, and has the same content."""
    page, shift = key
    if old.names_data:
        run = runs[max(0, bisect_right(starts, page) - 1)]
        if run.shift != shift or not run.start <= page or run.end < page + _PAGE_SIZE:
            return False
    other = page + shift
    return old.data[max(0, page) : page + _PAGE_SIZE] == new.data[max(0, other) : other + _PAGE_SIZE]
