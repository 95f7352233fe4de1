"""The places in a kernel's data that hold an address, and what address each holds.

In a relocatable kernel these are the relative relocations that it applies to itself at start-up; in others, the words
that are an address of the kernel.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import compress
from operator import lt
from typing import NamedTuple

from kinspect.schemas.elf import R_AARCH64_RELATIVE
from kinspect.views.changes.side import KernelSide
from kinspect.views.rebuilt.tables import relocation_tables
from kinspect.views.tables.relocations import unpacked

_STARTS, _ENDS = ("__rela_start", "__pi_rela_start"), ("__rela_end", "__pi_rela_end")
_PACKED = ("__relr_start", "__pi_relr_start"), ("__relr_end", "__pi_relr_end")
_ROW, _WORD = 24, 8


class Slots(NamedTuple):
    """Where addresses are held, ascending, and the address in each. Offsets count from `_text`."""

    places: list[int]
    targets: list[int]

    def within(self, start: int, end: int) -> tuple[int, int]:
        """The numbers of the slots in [start, end)."""
        return bisect_left(self.places, start), bisect_left(self.places, end)

    def held(self, place: int) -> int | None:
        """The address that is held at a place; None when none is."""
        at = bisect_left(self.places, place)
        return self.targets[at] if self.places[at : at + 1] == [place] else None


def slots_of(side: KernelSide) -> Slots:
    """The slots of a kernel; none when it is not known where it was linked."""
    if side.start is None:
        return Slots([], [])
    rela, relr = _tables(side)
    places, targets = _relative(side.data, side.start, *rela) if rela else ([], [])
    if places and not relr and all(map(lt, places, places[1:])):
        return Slots(places, targets)
    found = dict(zip(places, targets, strict=True))
    if relr:
        found.update(_packed(side.data, side.start, *relr))
    if not found:
        found = _absolute(side, side.start)
    places = sorted(found)
    return Slots(places, list(map(found.__getitem__, places)))


def _tables(side: KernelSide) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """The extents of the relocations and of the packed ones: by their symbols, else as they are found."""
    places = places_of(side, {name for names in (_STARTS, _ENDS, *_PACKED) for name in names})
    rela, relr = (_between(side, places, *names) for names in ((_STARTS, _ENDS), _PACKED))
    if rela or relr:
        return rela, relr
    found = {claim.name: (claim.start, claim.end or 0) for claim in relocation_tables(side.image, side.data)}
    return found.get(".rela.dyn"), found.get(".relr.dyn")


def places_of(side: KernelSide, wanted: set[str]) -> dict[str, int]:
    """The offsets of some names of data."""
    names = side.names
    places = {name: offset for offset in side.objects if (name := names[offset]) in wanted}
    for offset, several in side.aliases.items():
        places.update((name, offset) for _, name in several if name in wanted)
    return places


def _between(
    side: KernelSide, places: dict[str, int], starts: Sequence[str], ends: Sequence[str]
) -> tuple[int, int] | None:
    start = next((places[name] for name in starts if name in places), None)
    end = next((places[name] for name in ends if name in places), None)
    if start is None or end is None or not 0 <= start < end <= len(side.data) or start % _WORD:
        return None
    return start, end


def _relative(data: bytes, base: int, start: int, end: int) -> tuple[list[int], list[int]]:
    """The relative rows of a table: where each stores an address, and which."""
    words = memoryview(data)[start : end - (end - start) % _ROW].cast("Q")
    places, infos, addends = (words[number::3].tolist() for number in range(3))
    low, high = base, base + len(data) - _WORD
    kept = [info == R_AARCH64_RELATIVE and low <= place <= high for place, info in zip(places, infos, strict=True)]
    if not all(kept):
        places, addends = list(compress(places, kept)), list(compress(addends, kept))
    return [place - base for place in places], [addend - base for addend in addends]


def _packed(data: bytes, base: int, start: int, end: int) -> dict[int, int]:
    """The same of a table of packed relocations: each is of an address that is in its place already."""
    words = memoryview(data)[start : end - (end - start) % _WORD].cast("Q").tolist()
    every = memoryview(data)[: len(data) & -_WORD].cast("Q")
    last = len(data) - _WORD
    places = [place - base for place in unpacked(words)]
    return {place: every[place >> 3] - base for place in places if 0 <= place <= last and not place & 7}


def _absolute(side: KernelSide, base: int) -> dict[int, int]:
    """The words outside of code that are an address of the kernel."""
    end = base + max(side.bounds[-1] if side.bounds else 0, len(side.data)) + 1
    first = side.code_end + 7 >> 3
    words = memoryview(side.data)[8 * first : len(side.data) & -_WORD].cast("Q").tolist()
    return {8 * at: word - base for at, word in enumerate(words, first) if base <= word < end}
