"""The data of two kernels compared in bulk: which objects differ in a byte, or in what an address in them refers to."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby

from kinspect.views.changes.causes.banner import Stamps
from kinspect.views.changes.causes.parts import known_parts
from kinspect.views.changes.causes.stamps import notes
from kinspect.views.changes.data.masked import masked
from kinspect.views.changes.data.named import named_data, paired_data
from kinspect.views.changes.data.references import References
from kinspect.views.changes.side import KernelSide

_LARGEST_NOTE = 256
_Pair = tuple[int, int]


class DataComparison:
    """Two kernels whose objects are compared. `functions` are pairs of functions that are the same.

    What it has of both kernels is a pair: the old one first. `names` are those of objects as they are compared, `parts`
    what is known to differ, `pairs` the objects that are the same, and `alone` those that only one kernel has.
    """

    def __init__(self, old: KernelSide, new: KernelSide, functions: Mapping[int, int], stamps: Stamps) -> None:
        self.sides = old, new
        self.parts = [[(at.offset, at.offset + at.size) for _, at in known_parts(side)] for side in self.sides]
        objects = [named_data(side, parts) for side, parts in zip(self.sides, self.parts, strict=True)]
        self.held = masked(old), masked(new)
        self.names = [dict(zip(found.offsets, found.names, strict=True)) for found in objects]
        found = paired_data(*objects)
        self.pairs, self._several, self._anchors = found.pairs, found.several, found.anchors
        self.alone = set(found.removed), set(found.added)
        self.refs = References(self.sides, self.held, {**functions, **self.pairs}, stamps)

    @cached_property
    def stamped(self) -> list[list[tuple[int, int]]]:
        """Where bytes differ with every build: in `parts`, and in the notes of a vDSO."""
        found = []
        for parts, side in zip(self.parts, self.sides, strict=True):
            places = [(note.start, note.end) for note in notes(side.data)]
            found.append([*parts, *((start, end) for start, end in places if end - start <= _LARGEST_NOTE)])
        return found

    def differing(self) -> list[_Pair]:
        """The pairs of objects that may differ."""
        odd, uses = self._unequal()
        sizes, others = self.sides[0].sizes, self.sides[1].sizes
        odd.update(pair for pair in self.pairs.items() if sizes.get(pair[0]) != others.get(pair[1]))
        odd |= self._users({use for use in uses if not self.refs.same(*use)})
        self._pair_again(odd)
        return sorted(pair for pair in odd if self.pairs.get(pair[0]) == pair[1])

    def _unequal(self) -> tuple[set[_Pair], set[_Pair]]:
        """The pairs that differ in bytes, size or places of addresses; of the others all pairs of addresses."""
        odd: set[_Pair] = set()
        uses: set[_Pair] = set()
        left = list(self._runs())
        while left:
            run = left.pop()
            if self._equal(run[0], run[-1], uses):
                continue
            if len(run) == 1:
                odd.add(run[0])
            else:
                left += run[: len(run) // 2], run[len(run) // 2 :]
        return odd, uses

    def _runs(self) -> Iterator[list[_Pair]]:
        """Pairs that follow each other in both kernels."""
        ends, others = self.sides[0].ends, self.sides[1].ends
        run: list[_Pair] = []
        end = stop = -1
        for pair in sorted(self.pairs.items()):
            if run and pair != (end, stop):
                yield run
                run = []
            run.append(pair)
            end, stop = ends[pair[0]], others[pair[1]]
        if run:
            yield run

    def _equal(self, first: _Pair, last: _Pair, uses: set[_Pair]) -> bool:
        """Whether all from one pair to another has the same bytes and as many addresses, which are added to `uses`."""
        old, new = self.sides
        start, end, other, stop = first[0], old.ends[last[0]], first[1], new.ends[last[1]]
        if end - start != stop - other or (start < len(old.data)) != (other < len(new.data)):
            return False
        mine, yours = self.held
        if mine.data[start:end] != yours.data[other:stop]:
            return False
        here, there = slice(*mine.slots.within(start, end)), slice(*yours.slots.within(other, stop))
        shift = other - start
        if [place + shift for place in mine.slots.places[here]] != yours.slots.places[there]:
            return False
        uses.update(zip(mine.slots.targets[here], yours.slots.targets[there], strict=True))
        return True

    def _users(self, bad: set[_Pair]) -> set[_Pair]:
        """The pairs of objects that hold some pairs of addresses."""
        found: set[_Pair] = set()
        if not bad:
            return found
        targets, bounds = {ours for ours, _ in bad}, self.sides[0].bounds
        for place, target in zip(*self.held[0].slots, strict=True):
            if target in targets:
                start = bounds[bisect_right(bounds, place) - 1]
                other = self.pairs.get(start)
                if other is not None and (target, self.held[1].slots.held(place - start + other)) in bad:
                    found.add((start, other))
        return found

    def _pair_again(self, odd: set[_Pair]) -> None:
        """Pair those of one name that differ, or that only one kernel has: by content, then by their neighbours."""
        pools: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        offsets = [[pair[number] for pair in odd] for number in range(2)]
        for number, alone in enumerate(self.alone):
            for offset in {*offsets[number], *alone}:
                name = self.names[number][offset]
                if name in self._several:
                    pools[name][number].append(offset)
        for olds, news in pools.values():
            self._pair_pool(sorted(olds), sorted(news), odd)

    def _pair_pool(self, olds: list[int], news: list[int], odd: set[_Pair]) -> None:
        before = {offset: self.pairs.pop(offset) for offset in olds if offset in self.pairs}
        alike = dict(self._alike(olds, news))
        rest = [offset for offset in olds if offset not in alike]
        left = set(news).difference(alike.values())
        kept = {offset: before[offset] for offset in rest if before.get(offset) in left}
        rest = [offset for offset in rest if offset not in kept]
        left.difference_update(kept.values())
        near = dict(self._near(rest, sorted(left)))
        odd.difference_update(alike.items())
        odd.update(kept.items(), near.items())
        pairs = {**alike, **kept, **near}
        self.pairs.update(pairs)
        self.alone[0].difference_update(olds)
        self.alone[1].difference_update(news)
        self.alone[0].update(offset for offset in olds if offset not in pairs)
        self.alone[1].update(set(news).difference(pairs.values()))
        self.refs.pair(olds, pairs)

    def _alike(self, olds: Sequence[int], news: Sequence[int]) -> Iterator[_Pair]:
        """Those of equal content."""
        places: dict[Hashable, list[int]] = defaultdict(list)
        for offset in reversed(news):
            places[self.refs.content(1, offset)].append(offset)
        for offset in olds:
            alike = places.get(self.refs.content(0, offset))
            if alike:
                yield offset, alike.pop()

    def _near(self, olds: Sequence[int], news: Sequence[int]) -> Iterator[_Pair]:
        """Those that follow the same object with a name of its own, in order."""
        groups = [
            {anchor: list(found) for anchor, found in groupby(offsets, anchors.__getitem__)}
            for offsets, anchors in zip((olds, news), self._anchors, strict=True)
        ]
        for anchor, ours in groups[0].items():
            yield from zip(ours, groups[1].get(anchor, []), strict=False)
