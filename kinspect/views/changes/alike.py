"""Instructions that are equal in both kernels, which may refer to other things all the same.

Where code and what it refers to moved as far, an equal instruction refers to the same thing. So only those are left
that refer to something outside of the run of symbols that moved together.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import NamedTuple

from kinspect.views.changes.side import KernelSide
from kinspect.views.kernel.instructions import BRANCH, CLASSES, PAGE, SHORT, page_target, short_target

_PAGE_SIZE = 4096
_BRANCHES, _PAGES = (bytes(number == kind for number in range(256)) for kind in (BRANCH, PAGE))
_SET = bytes(number > 0 for number in range(256))
_NEAR = 2048
"""Instructions that a branch on a condition skips at most, unless its third byte says that it goes farther."""
_ANY = bytes(kind == SHORT for kind in CLASSES)
_WIDE = bytes(CLASSES[number] == SHORT and number & 0x7E != 0x36 for number in range(256))
_NARROW = bytes(number & 0x7E == 0x36 for number in range(256))
_FAR = (
    (_WIDE, bytes(number not in (0, 255) for number in range(256))),
    (_NARROW, bytes(number & 7 not in (0, 7) for number in range(256))),
)
"""Branches on a condition by their last byte, and whether they may go farther by their third."""


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
    """The instructions of `pairs` of functions of the same size that may refer to another thing if they are equal.

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
        code, kinds, words = old.data[start:end], tops[first:last], old.words[first:last]
        kept = _kept(code, new.data[start + shift : end + shift])
        marks = _both(kinds.translate(_BRANCHES), kept)
        for lane, word in zip(compress(range(first, last), marks), compress(words, marks), strict=True):
            target = 4 * (lane + (word & 0x1FFFFFF) - (word & 0x2000000))
            if not low <= target < high and known.get(target) != target + shift:
                yield Astray(ordered[bisect_right(firsts, 4 * lane) - 1], BRANCH, 4 * lane)
        marks = _both(_leaving(code, start - low >> 2, high - start >> 2), kept)
        for lane in compress(range(first, last), marks):
            target = short_target(old.words[lane], 4 * lane)
            if not low <= target < high:
                yield Astray(ordered[bisect_right(firsts, 4 * lane) - 1], SHORT, 4 * lane)
        marks = _both(kinds.translate(_PAGES), kept)
        for lane, word in zip(compress(range(first, last), marks), compress(words, marks), strict=True):
            at = 4 * lane
            target = page_target(word, at)
            key = target, (at + shift & -_PAGE_SIZE) - (at & -_PAGE_SIZE) if word >> 31 else shift
            alike = fine.get(key)
            if alike is None:
                alike = fine[key] = _same_page(old, new, key, runs, starts)
            if not alike:
                yield Astray(ordered[bisect_right(firsts, at) - 1], PAGE, at)


def _kept(one: bytes, two: bytes) -> int | None:
    """The instructions that are equal in two ranges of code: a byte each, 1 if so. None when all are."""
    if one == two:
        return None
    both = (int.from_bytes(one, "little") ^ int.from_bytes(two, "little")).to_bytes(len(one), "little")
    changed = 0
    for byte in range(4):
        changed |= int.from_bytes(both[byte::4].translate(_SET), "little")
    return int.from_bytes(b"\1" * (len(one) >> 2), "little") ^ changed


def _both(marks: bytes, kept: int | None) -> bytes:
    return marks if kept is None else (int.from_bytes(marks, "little") & kept).to_bytes(len(marks), "little")


def _leaving(code: bytes, before: int, after: int) -> bytes:
    """Marks of the branches on a condition that may leave a run.

    `code` are instructions in it, `before` is how many are before them, and `after` how many there are up to its end.
    """
    lasts, thirds = code[3::4], code[2::4]
    size = len(lasts)
    both = 0
    for kind, far in _FAR:
        both |= int.from_bytes(lasts.translate(kind), "little") & int.from_bytes(thirds.translate(far), "little")
    marks = bytearray(both.to_bytes(size, "little"))
    head = max(0, min(size, _NEAR - before))
    tail = max(head, min(size, after - _NEAR))
    for first, last in ((0, head), (tail, size)):
        marks[first:last] = lasts[first:last].translate(_ANY)
    return bytes(marks)


def _runs(side: KernelSide, known: dict[int, int]) -> list[SymbolRun]:
    found: list[SymbolRun] = []
    bounds = sorted({*side.functions, *side.objects, *side.veneers})
    begin, last = 0, None
    for start in bounds:
        other = known.get(start)
        shift = None if other is None else other - start
        if shift is None or shift != last:
            if start > begin:
                found.append(SymbolRun(begin, start, last))
            begin, last = start, shift
    if bounds:
        found.append(SymbolRun(begin, side.bounds[-1] + 1, last))
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
