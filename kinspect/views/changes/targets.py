"""Whether an address in one kernel is the same thing as an address in the other: by name, by text, or by agreement."""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cached_property

from kinspect.views.changes.causes.banner import Stamps
from kinspect.views.changes.names import compared_name
from kinspect.views.changes.side import KernelSide

CPIO = b"070701"
"""How the header of a file in an initramfs begins."""
_LONGEST = 2048
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
        self._known: dict[tuple[int, int], bool] = {}
        self._votes: dict[int, Counter[int]] = defaultdict(Counter)
        self._back: dict[int, Counter[int]] = defaultdict(Counter)

    def vote(self, uses: Iterable[tuple[int, int]]) -> None:
        """Count pairs of addresses that matching instructions use: what most agree on is the same."""
        for (ours, theirs), number in Counter(uses).items():
            self._votes[ours][theirs] += number
            self._back[theirs][ours] += number
        self._known.clear()

    def same(self, ours: int, theirs: int) -> bool:
        """Whether two addresses are the same thing."""
        if self.pairs.get(ours) == theirs:
            return True
        key = ours, theirs
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._same(ours, theirs)
        return known

    def texts(self, ours: int, theirs: int) -> tuple[bytes, bytes] | None:
        """The texts at two addresses when both have one. The start of an initramfs, which has times, is none."""
        texts = text_at(self._old.data, ours), text_at(self._new.data, theirs)
        if texts[0] is None or texts[1] is None or (texts[0].startswith(CPIO) and texts[1].startswith(CPIO)):
            return None
        return texts[0], texts[1]

    def _same(self, ours: int, theirs: int) -> bool:
        texts = self.texts(ours, theirs)
        if texts and self.same_text(*texts):
            return True
        named = self._named(self._old, ours), self._named(self._new, theirs)
        if named[0] and named[0] == named[1] and (texts is None or not named[0][1]):
            return True
        if texts and min(map(len, texts)) > 2:
            return False
        if (ours < len(self._old.data)) != (theirs < len(self._new.data)):
            return False
        # All variables in .bss have names.
        if ours >= len(self._old.data) and self._old.owner(ours) in self.pairs:
            return False
        return self._agreed(ours, theirs)

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
            theirs, number = votes.most_common(1)[0]
            if number > 1 and self._back[theirs][ours] == max(self._back[theirs].values()):
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

    def _agreed(self, ours: int, theirs: int) -> bool:
        votes, back = self._votes.get(ours), self._back.get(theirs)
        if not votes or not back:
            return False
        return votes[theirs] == max(votes.values()) and back[ours] == max(back.values())


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
