"""A closer look at functions that may have changed: what remains of the differences, and how many instructions."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kinspect.views.changes.bodies import Token, body_size, replaced
from kinspect.views.changes.names import compared_name
from kinspect.views.changes.padding import differ_in_padding, same_code
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import Targets
from kinspect.views.changes.tokens import tokens
from kinspect.views.disassembly.alignment import aligned
from kinspect.views.kernel.instructions import BRANCH, CLASSES, MASKS, PAGE

_MOST_ALIGNED, _MOST_TRIED = 1500, 16
_PAIR = tuple[int, int]


class FunctionChange(NamedTuple):
    """A function whose code changed. Offsets count from `_text`, sizes in bytes; `instructions` is how many differ.

    `first` is the offset of the first of them in the function, `expected` and `actual` are it in both kernels; None
    past the end. `old_text` and `new_text` are the same as assembly, if the library for that is there. `lanes` are the
    numbers of the instructions that differ; empty where instructions were added or removed.

    `only_values` is whether they differ in immediate values alone, and `types` are types that changed which all of
    these values can come from, as offsets of members, sizes, or enumerators: from each of them if `types_alone`, else
    from all together.
    """

    name: str
    old_offset: int
    new_offset: int
    old_size: int
    new_size: int
    instructions: int
    first: int
    expected: int | None
    actual: int | None
    lanes: tuple[int, ...] = ()
    old_text: str | None = None
    new_text: str | None = None
    only_values: bool = False
    types: tuple[str, ...] = ()
    types_alone: bool = False


def changed_functions(
    old: KernelSide,
    new: KernelSide,
    suspects: dict[_PAIR, set[int]],
    targets: Targets,
    replaced: Iterable[tuple[_PAIR, int]] = (),
) -> list[FunctionChange]:
    """Those of the pairs that changed. Of those in `replaced`, other code replaces an instruction at boot."""
    look = _Look(old, new, targets)
    left: dict[_PAIR, list[int]] = {}
    for pair, lanes in suspects.items():
        kept = [lane for lane in sorted(lanes) if not look.explains(pair, lane)]
        if (kept or not lanes) and not differ_in_padding(old, new, pair, kept, targets):
            left[pair] = kept
    changed = [look.change(pair, lanes) for pair, lanes in look.repaired(left)]
    others: dict[_PAIR, set[int]] = defaultdict(set)
    for pair, lane in replaced:
        if pair not in left:
            others[pair].add(lane)
    return changed + [look.change(pair, sorted(lanes)) for pair, lanes in others.items()]


class _Look:
    def __init__(self, old: KernelSide, new: KernelSide, targets: Targets) -> None:
        self.old, self.new, self.targets = old, new, targets

    def explains(self, pair: _PAIR, lane: int) -> bool:
        """Whether a difference is one of places alone."""
        ours, theirs = pair
        one, two = self.old.words[(ours >> 2) + lane], self.new.words[(theirs >> 2) + lane]
        kinds = CLASSES[one >> 24], CLASSES[two >> 24]
        # One is in a veneer of the linker.
        moved = replaced(self.old, ours, lane), replaced(self.new, theirs, lane)
        one, two = moved[0] or one, moved[1] or two
        if moved != (None, None) and not (one ^ two) & MASKS[one >> 24]:
            return True
        beyond = kinds == (BRANCH, BRANCH) and 4 * lane >= body_size(self.old, ours)
        return beyond and 4 * lane >= body_size(self.new, theirs)

    def repaired(self, left: dict[_PAIR, list[int]]) -> Iterator[tuple[_PAIR, list[int]]]:
        """The pairs that are not the same; functions of one name, of which another may be the right one, once more."""
        groups: dict[str, list[_PAIR]] = defaultdict(list)
        for pair in left:
            groups[compared_name(self.old.names[pair[0]])].append(pair)
        for pairs in groups.values():
            if len(pairs) == 1:
                yield pairs[0], left[pairs[0]]
                continue
            found = self._exchanged(pairs)
            others = {theirs for _, theirs in found}
            same = {one for one, _ in found}
            ours = [one for one, _ in pairs if one not in same]
            rest = [theirs for _, theirs in pairs if theirs not in others]
            for pair in self._together(ours, rest, pairs):
                yield pair, left.get(pair, [])

    def _exchanged(self, pairs: Sequence[_PAIR]) -> set[_PAIR]:
        """Of pairs that differ, the functions of other pairs that are the same."""
        forms: dict[tuple[Token, ...], list[int]] = defaultdict(list)
        for _, theirs in pairs:
            forms[tuple(tokens(self.new, theirs))].append(theirs)
        found = set()
        for one, own in pairs:
            alike = forms.get(tuple(tokens(self.old, one)), [])
            # The values in the instructions may differ still, as those of its own pair do.
            for theirs in alike[:_MOST_TRIED]:
                if theirs != own and same_code(self.old, self.new, (one, theirs), self.targets):
                    alike.remove(theirs)
                    found.add((one, theirs))
                    break
        return found

    @staticmethod
    def _together(ours: Sequence[int], theirs: Sequence[int], pairs: Sequence[_PAIR]) -> list[_PAIR]:
        """Functions of one name that differ: those that were pairs, and the others in their order."""
        one_by_one = dict(pairs)
        others = set(theirs)
        kept = [(one, one_by_one[one]) for one in ours if one_by_one[one] in others]
        taken = {one for one, _ in kept}, {other for _, other in kept}
        left = [one for one in ours if one not in taken[0]], [other for other in theirs if other not in taken[1]]
        return sorted([*kept, *zip(*left, strict=True)])

    def change(self, pair: _PAIR, lanes: Sequence[int]) -> FunctionChange:
        """A pair that changed. Without `lanes`, the instructions are aligned."""
        ours, theirs = pair
        sizes = body_size(self.old, ours), body_size(self.new, theirs)
        if not lanes:
            mine, yours = tokens(self.old, ours), tokens(self.new, theirs)
            lanes = self._other_values(pair, len(mine)) if mine == yours else ()
        first, number = (lanes[0], len(lanes)) if lanes else _aligned(mine, yours)
        words = [
            side.words[(start >> 2) + first] if 4 * first < size else None
            for side, start, size in ((self.old, ours, sizes[0]), (self.new, theirs, sizes[1]))
        ]
        found = FunctionChange(self.new.names[theirs], ours, theirs, *sizes, number, 4 * first, words[0], words[1])
        return found._replace(lanes=tuple(lanes))

    def _other_values(self, pair: _PAIR, size: int) -> list[int]:
        """The instructions that differ in functions that are the same but for values."""
        ours, theirs = pair[0] >> 2, pair[1] >> 2
        words = zip(self.old.words[ours : ours + size], self.new.words[theirs : theirs + size], strict=True)
        differ = (lane for lane, (one, two) in enumerate(words) if one != two)
        return [lane for lane in differ if CLASSES[self.old.words[ours + lane] >> 24] not in (BRANCH, PAGE)]


def _aligned(ours: Sequence[Token], theirs: Sequence[Token]) -> tuple[int, int]:
    """How many instructions are equal at the beginning, and how many then differ."""
    blocks = list(aligned(ours, theirs, _MOST_ALIGNED))
    return blocks[0][2], sum(max(end - start, stop - at) for equal, start, end, at, stop in blocks if not equal)
