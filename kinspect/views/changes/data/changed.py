"""The data of two kernels that changed, by symbol."""

from collections.abc import Mapping
from typing import NamedTuple

from kinspect.views.changes.causes.banner import Stamps
from kinspect.views.changes.data.comparison import DataComparison
from kinspect.views.changes.data.details import DataChange, Differences, differences, shown
from kinspect.views.changes.data.named import is_by_macro, object_name
from kinspect.views.changes.side import KernelSide, SymbolExtent
from kinspect.views.changes.targets import text_around, text_at, text_end
from kinspect.views.changes.uses.slots import places_of

_VARIABLES = (("__start_ro_after_init", "__end_ro_after_init"), ("__per_cpu_start", "__per_cpu_end"))
_DATA = ("_sdata", "_data")


class ChangedData(NamedTuple):
    """The data of two kernels compared: how many objects both have, which changed, and those that only one has.

    Without names of data there are none. `unjudged` is how many differ behind what is certainly theirs: kallsyms has
    no sizes.
    """

    objects: int = 0
    changed: tuple[DataChange, ...] = ()
    added: tuple[SymbolExtent, ...] = ()
    removed: tuple[SymbolExtent, ...] = ()
    unjudged: int = 0


def compared_data(old: KernelSide, new: KernelSide, functions: Mapping[int, int], stamps: Stamps) -> ChangedData:
    """The data with names of two kernels compared. `functions` are pairs of functions that are the same."""
    found = DataComparison(old, new, functions, stamps)
    pairs = [pair for pair in found.differing() if not is_by_macro(found.names[0][pair[0]])]
    removed, added = (
        tuple(
            SymbolExtent(object_name(side, offset), offset, _size(side, offset))
            for offset in sorted(alone)
            if not is_by_macro(names[offset])
        )
        for alone, names, side in zip(found.alone, found.names, found.sides, strict=True)
    )
    suspects = [suspect for pair in pairs if (suspect := _suspect(found, pair))]
    judge = _Judge(found)
    certain = [suspect for suspect in suspects if suspect.first < judge.certain(suspect.pair)]
    changes = sorted((_change(found, suspect) for suspect in certain), key=lambda change: change.new_offset)
    return ChangedData(len(found.pairs), tuple(changes), added, removed, len(suspects) - len(certain))


class _Suspect(NamedTuple):
    """A pair of objects that seem to differ, their sizes, what differs, and the offset at which it begins."""

    pair: tuple[int, int]
    sizes: tuple[int, int]
    differs: Differences
    first: int


def _suspect(found: DataComparison, pair: tuple[int, int]) -> _Suspect | None:
    known = [start in side.sizes for side, start in zip(found.sides, pair, strict=True)]
    sizes = _size(found.sides[0], pair[0]), _size(found.sides[1], pair[1])
    # .bss has no bytes, which is as good as zeros.
    in_file = any(start < len(side.data) for side, start in zip(found.sides, pair, strict=True))
    size = min(sizes)
    differs = _without_stamps(found, pair, differences(found.refs, *pair, size)) if in_file else Differences([], [])
    first = differs.first
    if first is None and sizes[0] != sizes[1] and (all(known) or (in_file and _has_more(found, pair, sizes))):
        first = size
    return None if first is None else _Suspect(pair, sizes, differs, first)


def _size(side: KernelSide, start: int) -> int:
    return side.sizes.get(start, side.ends[start] - start)


def _has_more(found: DataComparison, pair: tuple[int, int], sizes: tuple[int, int]) -> bool:
    """Whether the longer of two objects of unknown size has more than zeros where the other ends."""
    number = 0 if sizes[0] > sizes[1] else 1
    first, last = pair[number] + min(sizes), pair[number] + max(sizes)
    texts = _beginning_alike(found, pair, min(sizes), (number,))
    if texts[0] and texts[1] and found.refs.same_text(texts[0], texts[1]):
        first = min(last, text_end(found.held[number].data, first))
    here, there = found.held[number].slots.within(first, last)
    return here < there or any(found.held[number].data[first:last])


def _without_stamps(found: DataComparison, pair: tuple[int, int], differs: Differences) -> Differences:
    """Without the bytes that differ with every build: in notes of a vDSO, in texts with a version, in known parts."""
    if not differs.bytes:
        return differs
    kept = []
    for number in differs.bytes:
        places = pair[0] + number, pair[1] + number
        if all(
            any(first <= place < end for first, end in found.stamped[number]) for number, place in enumerate(places)
        ):
            continue
        texts = [text_around(held.data, place) for held, place in zip(found.held, places, strict=True)]
        if not texts[0] or not texts[1]:
            texts = _beginning_alike(found, pair, number)
        if not texts[0] or not texts[1] or not found.refs.same_text(texts[0], texts[1]):
            kept.append(number)
    return differs._replace(bytes=kept)


def _beginning_alike(
    found: DataComparison, pair: tuple[int, int], number: int, sides: tuple[int, ...] = (0, 1)
) -> list[bytes | None]:
    """The text that holds a byte of one object, and the shorter one of the other that begins at the same place."""
    for held, start in ((found.held[side], pair[side]) for side in sides):
        if text_around(held.data, start + number):
            first = held.data.rfind(b"\0", 0, start + number) + 1 - start
            return [text_at(other.data, begin + first) for other, begin in zip(found.held, pair, strict=True)]
    return [None, None]


def _change(found: DataComparison, suspect: _Suspect) -> DataChange:
    (ours, theirs), first, differs = suspect.pair, suspect.first, suspect.differs
    pointer = first in differs.pointers
    texts = [
        shown(found.refs, number, start, suspect.sizes[number], first, pointer)
        for number, start in enumerate(suspect.pair)
    ]
    numbers = len(differs.bytes) + differs.more, len(differs.pointers)
    name = object_name(found.sides[1], theirs)
    return DataChange(name, ours, theirs, *suspect.sizes, *numbers, first, texts[0], texts[1])


class _Judge:
    """Says how much of an object whose size is not known is certainly the object's."""

    def __init__(self, found: DataComparison) -> None:
        self._found = found
        self._zones = [_variables(side) for side in found.sides]

    def certain(self, pair: tuple[int, int]) -> int:
        """The size of what is certainly part of a pair of objects; one more if that is all up to the next symbol."""
        return min(self._certain(number, start) for number, start in enumerate(pair))

    def _certain(self, number: int, start: int) -> int:
        end = self._found.sides[number].ends[start]
        at = end if self._is_sure(number, start) else self._found.refs.goals[number].first(start, end)
        return at - start + (at == end)

    def _is_sure(self, number: int, start: int) -> bool:
        """Whether no data without a name can be behind an object."""
        side = self._found.sides[number]
        return start in side.sizes or any(first <= start < end for first, end in self._zones[number])


def _variables(side: KernelSide) -> list[tuple[int, int]]:
    """The parts of a kernel in which all data has a name."""
    places = places_of(side, {*_DATA, *(name for pair in _VARIABLES for name in pair)})
    found = [(places[start], places[end]) for start, end in _VARIABLES if start in places and end in places]
    start = next((places[name] for name in _DATA if name in places), None)
    return found if start is None else [*found, (start, 1 << 64)]
