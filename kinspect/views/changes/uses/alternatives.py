"""The code that replaces other code at boot, on processors with a capability, compared in two kernels.

It lies behind the functions that it belongs to, or behind all code. A callback writes the code itself.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from struct import iter_unpack
from typing import NamedTuple

from kinspect.views.changes.bodies import Token, code_at
from kinspect.views.changes.side import KernelSide
from kinspect.views.kernel.instructions import NOP
from kinspect.views.rebuilt.tables import alternatives

_START, _END = "__alt_instructions", "__alt_instructions_end"
_ROW, _FORMAT, _CALLBACK = 12, "<iiHBB", 1 << 15
_ALIGNMENT, _MOST_PARTS = 1 << 16, 64
_PAIR = tuple[int, int]


class Alternative(NamedTuple):
    """Code that may be replaced: how far it is in its function, the capability, sizes in bytes, the replacement."""

    place: int
    capability: int
    size: int
    length: int
    replacement: int


def changed_alternatives(
    old: KernelSide, new: KernelSide, pairs: dict[int, int], same: Callable[[int, int], bool | None]
) -> Iterator[tuple[_PAIR, int]]:
    """The pairs of functions whose replacements differ, with the first instruction that has another.

    `same` says whether two addresses are the same thing.
    """
    ours, theirs = _by_function(old), _by_function(new)
    if not ours or not theirs:
        return
    found: list[tuple[_PAIR, Alternative, Alternative]] = []
    for start, rows in ours.items():
        other = pairs.get(start)
        if other is None:
            continue
        others = theirs.get(other, [])
        if [row[:1] + row[2:4] for row in rows] == [row[:1] + row[2:4] for row in others]:
            found += (((start, other), one, two) for one, two in zip(rows, others, strict=True))
            continue
        # Nops that align a loop move what is behind them.
        forms = [
            [(_code_before(side, at, row.place), row.size, row.length) for row in found]
            for side, at, found in ((old, start, rows), (new, other, others))
        ]
        if forms[0] != forms[1]:
            places = [row.place for row, one, two in zip(rows, *forms, strict=False) if one != two]
            yield (start, other), (places or [0])[0] >> 2
        else:
            found += (((start, other), one, two) for one, two in zip(rows, others, strict=True))
    for start, other in pairs.items():
        if other in theirs and start not in ours:
            yield (start, other), theirs[other][0].place >> 2
    capabilities = _capabilities(found)
    for pair, one, two in found:
        if capabilities.get(one.capability) != two.capability or not _alike(old, new, pair, one, two, same):
            yield pair, one.place >> 2


def without_replacements(side: KernelSide, suspects: dict[_PAIR, set[int]]) -> dict[_PAIR, set[int]]:
    """The pairs without instructions that replace others: these are compared with what they replace.

    They lie behind the last function of an object file. A pair without others is dropped.
    """
    rows = sorted((row.replacement, row.length) for rows in _by_function(side).values() for row in rows if row.length)
    starts = [start for start, _ in rows]
    found = {}
    for pair, lanes in suspects.items():
        left = set(lanes)
        for lane in lanes:
            place = pair[0] + 4 * lane
            at = bisect_right(starts, place) - 1
            if at >= 0 and place < sum(rows[at]):
                left.discard(lane)
        if left or not lanes:
            found[pair] = left
    return found


def _capabilities(found: list[tuple[_PAIR, Alternative, Alternative]]) -> dict[int, int]:
    """The numbers of capabilities in the new kernel, by those in the old: versions number them anew."""
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for _, one, two in found:
        votes[one.capability][two.capability] += 1
    return {number: others.most_common(1)[0][0] for number, others in votes.items()}


def _alike(
    old: KernelSide,
    new: KernelSide,
    pair: _PAIR,
    one: Alternative,
    two: Alternative,
    same: Callable[[int, int], bool | None],
) -> bool:
    if one.capability & _CALLBACK or not one.length:
        return one.replacement == two.replacement == 0 or same(one.replacement, two.replacement) is not False
    return _code(old, pair[0], one) == _code(new, pair[1], two)


def _code(side: KernelSide, start: int, row: Alternative) -> tuple[Token, ...]:
    found = code_at(side, start, row.replacement, row.length)
    return tuple(
        ("back", _code_before(side, start, token[1])) if isinstance(token, tuple) and token[0] == "back" else token  # type: ignore[arg-type]
        for token in found
    )


def _code_before(side: KernelSide, start: int, size: int) -> int:
    """How many instructions there are in the first bytes of a function, apart from nops."""
    words = side.words[start >> 2 : start + size >> 2].tolist()
    return len(words) - words.count(NOP)


def _by_function(side: KernelSide) -> dict[int, list[Alternative]]:
    """The alternatives of each function, in order."""
    first, data = _table(side)
    found: dict[int, list[Alternative]] = defaultdict(list)
    bounds = side.functions
    for number, (original, replacement, capability, size, length) in enumerate(iter_unpack(_FORMAT, data)):
        at = first + _ROW * number
        place = at + original
        owner = bisect_right(bounds, place) - 1
        if owner >= 0 and place < side.ends[bounds[owner]]:
            start = bounds[owner]
            target = at + 4 + replacement if replacement else 0
            found[start].append(Alternative(place - start, capability, size, length, target))
    for rows in found.values():
        rows.sort()
    return found


def _table(side: KernelSide) -> tuple[int, bytes]:
    """Where the table is, and its rows: by its symbols, else as it is found behind the last code."""
    places = {name: offset for offset, name in side.names.items() if name in (_START, _END)}
    for offset, several in side.aliases.items():
        places.update((name, offset) for _, name in several if name in (_START, _END))
    if _START in places and _END in places:
        first, last = places[_START], places[_END]
        return first, side.data[first : first + max(0, last - first) // _ROW * _ROW]
    if side.names_data or not side.bounds:
        return 0, b""
    start = side.bounds[-1]
    for part in range(1, _MOST_PARTS):
        claim = alternatives(side.data, start, (start + _ALIGNMENT * part) & -_ALIGNMENT)
        if claim and claim.end:
            return claim.start, side.data[claim.start : _last(side, claim.end)]
    return 0, b""


def _last(side: KernelSide, at: int) -> int:
    """Where the table ends that has a row before an offset."""
    rows = len(side.data[at:]) // _ROW * _ROW
    for original, _, _, size, length in iter_unpack(_FORMAT, memoryview(side.data)[at : at + rows]):
        if size % 4 or not size or length not in (0, size) or not 0 <= at + original < len(side.data):
            break
        at += _ROW
    return at
