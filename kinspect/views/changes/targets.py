"""Whether an address in one kernel is the same thing as an address in the other: by name, by text, or by agreement."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from operator import itemgetter
from typing import Self

from kinspect.views.changes.causes.banner import Stamps
from kinspect.views.changes.names import compared_name, is_boundary
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.uses.contents import UnnamedData

CPIO = b"070701"
"""How the header of a file in an initramfs begins."""
_LONGEST, _SHORTEST = 2048, 4
_TEXT = re.compile(rb"(?:[\x20-\x7e\t\n\r\x1b]|\x01[0-7c])[\x20-\x7e\t\n\r\x1b\x80-\xff]*\0")


class Targets:
    """The addresses of two kernels that are the same thing, from `pairs` of symbols. Offsets count from `_text`.

    `stamps` are texts of both that stand for each other, such as the release.
    """

    def __init__(
        self,
        old: KernelSide,
        new: KernelSide,
        pairs: Iterable[tuple[int, int]],
        stamps: Stamps | None = None,
    ) -> None:
        self.pairs = dict(pairs)
        self._old, self._new, self._stamps = old, new, stamps or Stamps()
        self._contents = UnnamedData(old, new)
        self._known: dict[tuple[int, int], bool | None] = {}
        self._votes: dict[int, dict[int, int]] = {}
        self._back: dict[int, dict[int, int]] = {}

    def with_pairs(self, pairs: Iterable[tuple[int, int]]) -> Self:
        """The same kernels with other pairs of symbols, before any vote."""
        found = type(self)(self._old, self._new, pairs, self._stamps)
        # What was read of the data holds for both.
        found._contents = self._contents
        return found

    def vote(self, uses: Iterable[tuple[int, int]]) -> None:
        """Count pairs of addresses that matching instructions use: what most agree on is the same."""
        counts = Counter(uses)
        for (ours, theirs), number in counts.items():
            for votes, one, other in ((self._votes, ours, theirs), (self._back, theirs, ours)):
                found = votes.setdefault(one, {})
                found[other] = found.get(other, 0) + number
        self._contents.refer(counts)
        self._known.clear()

    def same(self, ours: int, theirs: int) -> bool | None:
        """Whether two addresses are the same thing; None when nothing says so, or otherwise."""
        if self.pairs.get(ours) == theirs:
            return True
        key = ours, theirs
        if key not in self._known:
            self._known[key] = self._same(ours, theirs)
        return self._known[key]

    def texts(self, ours: int, theirs: int) -> tuple[bytes, bytes] | None:
        """The texts at two addresses when both have one. The start of an initramfs, which has times, is none."""
        texts = text_at(self._old.data, ours), text_at(self._new.data, theirs)
        if texts[0] is None or texts[1] is None or (texts[0].startswith(CPIO) and texts[1].startswith(CPIO)):
            return None
        return texts[0], texts[1]

    def _same(self, ours: int, theirs: int) -> bool | None:
        certain = self._certain(ours, theirs)
        if certain is not None:
            return certain
        if self._agreed(ours, theirs) > 1 or self._beside(ours, theirs):
            return True
        texts = self.texts(ours, theirs)
        if texts and self.same_text(*texts):
            return True
        alike = self._contents.alike(ours, theirs, self._referred)
        return False if alike is None and self._taken(ours, theirs) else alike

    def _taken(self, ours: int, theirs: int) -> bool:
        """Whether it is certain that one of two addresses is the same thing as another address."""
        rival = max(self._votes.get(ours, {}).items(), key=itemgetter(1), default=(theirs, 0))[0]
        other = max(self._back.get(theirs, {}).items(), key=itemgetter(1), default=(ours, 0))[0]
        return any(
            pair != (ours, theirs) and self._agreed(*pair) and (self._certain(*pair) or self.between(*pair))
            for pair in ((ours, rival), (other, theirs))
        )

    def _certain(self, ours: int, theirs: int) -> bool | None:
        """What names and texts say of two addresses; None when they say nothing."""
        texts = self.texts(ours, theirs)
        if texts and min(map(len, texts)) >= _SHORTEST and self.same_text(*texts):
            return True
        named = self._named(self._old, ours), self._named(self._new, theirs)
        if named[0] and named[0] == named[1] and (texts is None or not named[0][1]):
            return True
        if texts and min(map(len, texts)) >= _SHORTEST and all(map(_is_utf_8, texts)):
            return False
        if named[0] and named[1] and self._aliases(ours, theirs):
            return True
        size, length = len(self._old.data), len(self._new.data)
        if (ours < size) != (theirs < length):
            # The end of .data may be the beginning of .bss.
            return None if (ours == size or theirs == length) else False
        if ours >= size and self._old.owner(ours) in self.pairs:
            # All variables in .bss have names.
            return False
        if self._old.names_data and self._new.names_data and named[0] and named[1]:
            return self._elsewhere(ours, theirs, named[0][1], named[1][1])
        return None

    def _elsewhere(self, ours: int, theirs: int, place: int, other: int) -> bool | None:
        """False if one address is in a symbol that both kernels have, and the other is not in that."""
        mine, yours = not place and ours in self.pairs, not other and theirs in self._targets
        if not (mine and not self._bounds(self._old, ours)) and not (yours and not self._bounds(self._new, theirs)):
            return None
        before = self._old.owner(ours - 1), self._new.owner(theirs - 1)
        # One may be the end of what is before.
        return not place and not other and before[0] is not None and self.pairs.get(before[0]) == before[1]

    def _bounds(self, side: KernelSide, offset: int) -> bool:
        """Whether a part of the kernel begins or ends at an offset: data without a name may be there as well."""
        return any(is_boundary(name) for _, name in side.aliases.get(offset, [("", side.names[offset])]) if name)

    @cached_property
    def _targets(self) -> frozenset[int]:
        return frozenset(self.pairs.values())

    def _aliases(self, ours: int, theirs: int) -> bool:
        """Whether some of the names at two addresses are the same."""
        mine, yours = self._old.aliases.get(ours, ()), self._new.aliases.get(theirs, ())
        if not mine and not yours:
            return False
        names = {compared_name(name) for _, name in mine} | {compared_name(self._old.name(ours))}
        others = {compared_name(name) for _, name in yours} | {compared_name(self._new.name(theirs))}
        return bool(names & others - {""})

    def _referred(self, ours: int, theirs: int) -> bool:
        """Whether two addresses in data are the same thing, as far as is known without their content."""
        if self.pairs.get(ours) == theirs or self._certain(ours, theirs):
            return True
        return bool(self._agreed(ours, theirs)) or self.between(ours, theirs)

    def _beside(self, ours: int, theirs: int) -> bool:
        """Whether what code refers to before or after it moved as far, according to other uses."""
        known, shift = self._anchors, theirs - ours
        at = bisect_right(known, (ours, -1))
        for there in known[max(0, at - 1) : at]:
            if there[1] - there[0] == shift:
                return True
        while at < len(known) and known[at][0] == ours:
            at += 1
        return at < len(known) and known[at][1] - known[at][0] == shift

    def within(self, ours: int, theirs: int) -> bool:
        """Whether two addresses are the same place in the same data, or in data that lies together."""
        named = self._named(self._old, ours), self._named(self._new, theirs)
        if named[0] is not None and named[0] == named[1]:
            return True
        return self.between(ours, theirs) or bool(self._contents.alike(ours, theirs, self._referred))

    def between(self, ours: int, theirs: int) -> bool:
        """Whether known addresses near by on both sides have moved as far, and there are no texts that differ."""
        texts = self.texts(ours, theirs)
        if texts and not self.same_text(*texts):
            return False
        known, shift = self._anchors, theirs - ours
        at = bisect_right(known, (ours, 0))
        return any(there - here == shift for here, there in known[max(0, at - 1) : at]) and any(
            there - here == shift for here, there in known[at : at + 1]
        )

    @cached_property
    def _anchors(self) -> list[tuple[int, int]]:
        """The addresses of data that are known to be the same, sorted."""
        found = set(self.pairs.items())
        for ours, votes in self._votes.items():
            theirs, number = max(votes.items(), key=itemgetter(1))
            if number == max(self._back[theirs].values()) == self._back[theirs][ours]:
                found.add((ours, theirs))
        return sorted(found)

    def same_text(self, ours: bytes, theirs: bytes) -> bool:
        """Whether two texts are the same but for the stamps of their kernels."""
        return ours == theirs or self._stamps.renewed(ours) == theirs

    def _named(self, side: KernelSide, offset: int) -> tuple[str, int] | None:
        """The symbol that an address is in, and the place in it."""
        at = bisect_right(side.bounds, offset) - 1
        if at < 0:
            return None
        start = side.bounds[at]
        if not side.names_data and not side.ends.get(start, 0) > offset:
            return None
        return compared_name(side.name(start)), offset - start

    def _agreed(self, ours: int, theirs: int) -> int:
        """How many instructions agree on a pair of addresses; none when more agree on another."""
        votes, back = self._votes.get(ours), self._back.get(theirs)
        if not votes or not back:
            return 0
        number = votes.get(theirs, 0)
        return number if number == max(votes.values()) == max(back.values()) else 0


def _is_utf_8(text: bytes) -> bool:
    """Whether it is a text, and not a number or code that looks like one up to the next zero."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def text_at(data: bytes, offset: int) -> bytes | None:
    """The text that begins at an offset, up to its NUL; None when it is not printable."""
    if not 0 <= offset < len(data):
        return None
    found = _TEXT.match(data, offset, offset + _LONGEST)
    return found.group()[:-1] if found else None


def text_around(data: bytes, offset: int) -> bytes | None:
    """The text that holds an offset; None when what is there is not printable."""
    start = data.rfind(b"\0", max(0, offset - _LONGEST), offset) + 1
    return text_at(data, start) if start else None


def text_end(data: bytes, offset: int) -> int:
    """Where the text ends that holds an offset, with its NUL."""
    end = data.find(b"\0", offset, offset + _LONGEST)
    return end + 1 if end >= 0 else min(offset + _LONGEST, len(data))
