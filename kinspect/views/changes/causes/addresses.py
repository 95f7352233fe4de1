"""Addresses that differ in kernels of one layout, but are of the same thing, which lies at another place."""

from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import CPIO, text_at

_WIDE, _SHORT = 8, 4
_RELATIVE = (0x403).to_bytes(8, "little")
"""R_AARCH64_RELATIVE."""
_NEAR, _FEWEST = 4096, 6
"""A number of 32 bits is a distance if it leads this far, to a text of so many characters."""


class MovedThings:
    """The things of two kernels that are the same at different places: texts, and what follows the type information.

    `ends` is where .BTF ends in both: .BTF_ids, to which code and tables point.
    """

    def __init__(self, old: KernelSide, new: KernelSide, ends: tuple[int, int] | None, limits: tuple[int, int]) -> None:
        self._old, self._new, self._ends, self._limits = old, new, ends, limits

    def explain(self, start: int, end: int) -> bool:
        """Whether the bytes from `start` to `end` are addresses of the same things in both kernels."""
        first, last = start & -_WIDE, end + _WIDE - 1 & -_WIDE
        if all(self._wide(at) for at in range(first, last, _WIDE)):
            return True
        first, last = start & -_SHORT, end + _SHORT - 1 & -_SHORT
        return all(self._short(at) for at in range(first, last, _SHORT))

    def _wide(self, at: int) -> bool:
        one, other = (side.data[at : at + _WIDE] for side in (self._old, self._new))
        if one == other:
            return True
        base, other_base = self._old.start, self._new.start
        if base is None or other_base is None:
            return False
        return self._same(int.from_bytes(one, "little") - base, int.from_bytes(other, "little") - other_base)

    def _short(self, at: int) -> bool:
        """Whether two distances lead to the same thing, each from its own place."""
        one, other = (side.data[at : at + _SHORT] for side in (self._old, self._new))
        if one == other:
            return True
        ours, theirs = (at + int.from_bytes(word, "little", signed=True) for word in (one, other))
        text = text_at(self._old.data, ours) or b""
        return abs(ours - at) >= _NEAR and len(text) >= _FEWEST and self._same(ours, theirs)

    def _same(self, ours: int, theirs: int) -> bool:
        if self._ends:
            # .BTF_ids begin at the next multiple of four.
            ends = [end + 3 & -4 for end in self._ends]
            if (ours, theirs) == self._ends:
                return True
            if 0 <= ours - ends[0] == theirs - ends[1] and ours < self._limits[0] and theirs < self._limits[1]:
                return True
        text = text_at(self._old.data, ours)
        return text is not None and text == text_at(self._new.data, theirs) and not text.startswith(CPIO)


def pointer_at(side: KernelSide, offset: int) -> int:
    """Where the pointer is whose value is at an offset, which may be in a relocation of a relocatable kernel."""
    word = offset & -_WIDE
    if side.start is None or side.data[max(0, word - _WIDE) : word] != _RELATIVE:
        return offset
    place = int.from_bytes(side.data[word - 2 * _WIDE : word - _WIDE], "little") - side.start
    return place + offset - word if 0 <= place < len(side.data) else offset
