"""One function of two kernels compared, as assembly."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kinspect.views.disassembly.alignment import aligned
from kinspect.views.disassembly.listing import ListedInstruction

_MOST_ALIGNED = 12_000
_Same = Callable[[int, int], bool]


class ComparedInstruction(NamedTuple):
    """An instruction of one kernel or of both: its offset in the function of each, None where it is not, and as text.

    Of one that both have, the text is that of the new kernel.
    """

    old_offset: int | None
    new_offset: int | None
    text: str

    @property
    def same(self) -> bool:
        """Whether both kernels have it."""
        return self.old_offset is not None and self.new_offset is not None


class FunctionDifference(NamedTuple):
    """A function of two kernels. Offsets count from `_text`, sizes in bytes.

    `removed` and `added` are how many instructions only the old and only the new kernel has. `instructions` are all of
    both, in order. `replaced` is the offset of the first instruction that other code replaces at boot than before
    (alternatives); None if there is none. `unnamed` is that of the first one that refers to data without a name which
    changed. `hashes` are the type hashes if they differ (kCFI), None of a kernel in which the function has none.
    """

    old: str
    new: str
    old_name: str
    new_name: str
    old_offset: int
    new_offset: int
    old_size: int
    new_size: int
    removed: int
    added: int
    instructions: tuple[ComparedInstruction, ...]
    replaced: int | None = None
    unnamed: int | None = None
    hashes: tuple[int | None, int | None] | None = None

    @property
    def same(self) -> bool:
        """Whether the function is the same in both kernels."""
        besides = self.replaced, self.unnamed, self.hashes
        return not self.removed and not self.added and besides == (None, None, None)


def compared(
    ours: Sequence[ListedInstruction], theirs: Sequence[ListedInstruction], same: _Same
) -> tuple[ComparedInstruction, ...]:
    """The instructions of a function of two kernels, aligned. `same` says whether two offsets are the same thing."""
    found: list[ComparedInstruction] = []
    blocks = list(aligned([line.key for line in ours], [line.key for line in theirs], _MOST_ALIGNED))
    offsets = [[*(line.offset for line in lines), -1] for lines in (ours, theirs)]
    places = {(offsets[0][start], offsets[1][at]) for _, start, _, at, _ in blocks}
    for equal, start, end, at, stop in blocks:
        if equal:
            places.update(zip(offsets[0][start:end], offsets[1][at:stop], strict=True))
    for equal, start, end, at, stop in blocks:
        if not equal:
            found += (ComparedInstruction(line.offset, None, line.text) for line in ours[start:end])
            found += (ComparedInstruction(None, line.offset, line.text) for line in theirs[at:stop])
            continue
        for one, two in zip(ours[start:end], theirs[at:stop], strict=True):
            if _alike(one, two, places, same):
                found.append(ComparedInstruction(one.offset, two.offset, two.text))
            else:
                found.append(ComparedInstruction(one.offset, None, one.text))
                found.append(ComparedInstruction(None, two.offset, two.text))
    return tuple(found)


def _alike(one: ListedInstruction, two: ListedInstruction, places: set[tuple[int, int]], same: _Same) -> bool:
    """Whether two instructions of equal text have the same target."""
    if one.inside is not None and two.inside is not None:
        return (one.inside, two.inside) in places
    if one.outside is not None and two.outside is not None:
        return same(one.outside, two.outside)
    return (one.inside, one.outside) == (two.inside, two.outside)
