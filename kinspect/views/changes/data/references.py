"""Whether an address in the data of one kernel is the same thing as an address in the other."""

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping

from kinspect.views.changes.causes.banner import Stamps
from kinspect.views.changes.data.goals import Goals
from kinspect.views.changes.data.masked import Masked
from kinspect.views.changes.data.named import object_name
from kinspect.views.changes.names import compared_name
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import text_at

_DEEPEST, _MOST_BYTES, _PART = 8, 256, 8
_SHORT = 48
_BEFORE_TEXTS = "kallsyms_"
"""What all the texts that are merged may lie behind."""


class References:
    """What the addresses in the data of two kernels refer to. `pairs` are offsets of symbols that are the same."""

    def __init__(
        self,
        sides: tuple[KernelSide, KernelSide],
        held: tuple[Masked, Masked],
        pairs: dict[int, int],
        stamps: Stamps,
    ) -> None:
        self.sides, self.pairs, self._stamps = sides, pairs, stamps
        self.data, self.slots = [found.data for found in held], [found.slots for found in held]
        self._known: dict[tuple[int, int], bool] = {}
        self.goals = [Goals(side, found.slots) for side, found in zip(sides, held, strict=True)]

    def same(self, ours: int, theirs: int, depth: int = 0) -> bool:
        """Whether two addresses are the same thing: by name, as texts, or by the bytes of data without a name."""
        # The kernel begins at 0: that is `_text`.
        if self.pairs.get(ours) == theirs or ours == theirs == 0:
            return True
        key = ours, theirs
        known = self._known.get(key)
        if known is None:
            # While it is being compared, what refers back to it is the same.
            self._known[key] = True
            known = self._known[key] = self._same(ours, theirs, depth)
        return known

    def pair(self, ours: Iterable[int], pairs: Mapping[int, int]) -> None:
        """Take objects of the old kernel for others of the new than before, or for none."""
        for offset in ours:
            self.pairs.pop(offset, None)
        self.pairs.update(pairs)
        self._known.clear()

    def _same(self, ours: int, theirs: int, depth: int) -> bool:
        old, new = self.sides
        one, other = self.data[0][ours : ours + _SHORT], self.data[1][theirs : theirs + _SHORT]
        if one == other and one[:1] > b" " and 0 in one and ours not in old.names and theirs not in new.names:
            return True
        mine, yours = self.place(0, ours), self.place(1, theirs)
        exact = ours in old.names and theirs in new.names
        if exact and (mine[0] == yours[0] or self._aliases(ours, theirs)):
            return True
        texts = text_at(self.data[0], ours), text_at(self.data[1], theirs)
        if texts[0] is not None and texts[1] is not None and not (exact and mine[0] and yours[0]):
            if self.same_text(texts[0], texts[1]):
                return True
            if min(len(texts[0]), len(texts[1])) > 2:
                return False
        if mine[0] and mine == yours:
            return True
        if not mine[0] or not yours[0]:
            return self._alike(ours, theirs, depth)
        sizes = self._size(0, ours), self._size(1, theirs)
        if exact or None not in sizes:
            # A part of something that grew is elsewhere in it.
            grown = mine[0] == yours[0] and not exact and sizes[0] != sizes[1]
            return grown and self._alike(ours, theirs, depth, _PART)
        return self._alike(ours, theirs, depth)

    def _size(self, number: int, offset: int) -> int | None:
        """The size of the object that holds an offset, if it is known."""
        side = self.sides[number]
        return side.sizes.get(side.bounds[bisect_right(side.bounds, offset) - 1])

    def same_text(self, ours: bytes, theirs: bytes) -> bool:
        """Whether two texts are the same but for the stamps of their kernels."""
        return ours == theirs or self._stamps.renewed(ours) == theirs

    def named(self, ours: int, theirs: int) -> bool:
        """Whether two addresses are the same symbol, and the same place in it."""
        mine = self.place(0, ours)
        return bool(mine[0]) and mine == self.place(1, theirs)

    def place(self, number: int, offset: int) -> tuple[str, int]:
        """The symbol that holds an offset of the old (0) or new kernel, as names are compared, and the place in it."""
        side = self.sides[number]
        at = bisect_right(side.bounds, offset) - 1
        if at < 0:
            return "", offset
        start = side.bounds[at]
        if start not in side.names or offset > start + side.sizes.get(start, offset - start):
            return "", offset
        if offset > start and side.names[start].startswith(_BEFORE_TEXTS):
            return "", offset
        return compared_name(object_name(side, start)), offset - start

    def _aliases(self, ours: int, theirs: int) -> bool:
        old, new = self.sides
        if ours not in old.aliases and theirs not in new.aliases:
            return False
        mine = {compared_name(name) for _, name in old.aliases.get(ours, [("", old.names[ours])])}
        return any(compared_name(name) in mine for _, name in new.aliases.get(theirs, [("", new.names[theirs])]))

    def _alike(self, ours: int, theirs: int, depth: int, most: int = _MOST_BYTES) -> bool:
        """Whether data without a name has the same bytes, as far as it reaches in both kernels."""
        size = min(self._reach(0, ours), self._reach(1, theirs), most)
        if size <= 0 or depth >= _DEEPEST:
            return False
        if self.data[0][ours : ours + size] != self.data[1][theirs : theirs + size]:
            # Perhaps it ends before the difference, and what code refers to follows.
            size = min(
                self.goals[0].first(ours, ours + size) - ours, self.goals[1].first(theirs, theirs + size) - theirs
            )
            if self.data[0][ours : ours + size] != self.data[1][theirs : theirs + size]:
                return False
        held = [
            {slots.places[at] - start: slots.targets[at] for at in range(*slots.within(start, start + size))}
            for slots, start in zip(self.slots, (ours, theirs), strict=True)
        ]
        return held[0].keys() == held[1].keys() and all(
            self.same(target, held[1][at], depth + 1) for at, target in held[0].items()
        )

    def _reach(self, number: int, offset: int) -> int:
        """How far data without a name reaches at most: to what else has a name, or what data refers to."""
        side = self.sides[number]
        if not 0 <= offset < len(side.data):
            return 0
        at = bisect_right(side.bounds, offset)
        end = min([len(side.data), *side.bounds[at : at + 1]])
        return self.goals[number].first_held(offset, end) - offset

    def key(self, number: int, offset: int, depth: int = 0) -> Hashable:
        """What an address refers to, as a value to compare with those of the other kernel."""
        side = self.sides[number]
        text = text_at(self.data[number], offset) if offset not in side.names else None
        if text is not None and (len(text) > 2 or not self.place(number, offset)[0]):
            return text if number else self._stamps.renewed(text)
        return self.place(number, offset)

    def content(self, number: int, start: int) -> Hashable:
        """The bytes of an object without the zeros after it, and what it refers to, as a value to compare."""
        slots, side = self.slots[number], self.sides[number]
        end = start + side.sizes[start] if start in side.sizes else side.ends[start]
        first, last = slots.within(start, end)
        held = tuple((slots.places[at] - start, self.key(number, slots.targets[at])) for at in range(first, last))
        return self.data[number][start:end].rstrip(b"\0"), held
