"""Whose the strings are that the linker merged.

GNU ld keeps the order of objects, and a string that several have is where the first of them has it. So whoever points
into the strings has what it points to, or comes later in the link: the most pointers that are in the order of the link
tell the order of the strings. LLD orders strings otherwise: there they are nobody's.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from kinspect.artifacts.elf.mapping_symbols import ObjectMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import column, size_of
from kinspect.views.size.symbol_layer import STRINGS

_BIAS = 1 << 64
"""What an address of the kernel is above the same bits with a sign, as relocations have it."""


def string_owners(
    vmlinux: Vmlinux, pools: Iterable[tuple[int, int]], found: ObjectMap, sources: Sequence[str]
) -> Iterator[tuple[int, int, list[tuple[int, str]]]]:
    """The pools [start, end), each with its runs: addresses in ascending order, with the owner from there on."""
    blocks = sorted(pair for starts, owners in found.blocks.values() for pair in zip(starts, owners, strict=True))
    starts = [start for start, _ in blocks]
    for start, end in pools:
        # Objects at the places in the pool that they mark or point to; of several the first in the link.
        marks: dict[int, int] = {}
        for place, owner in blocks[bisect_left(starts, start) : bisect_left(starts, end)]:
            marks[place] = min(owner, marks.get(place, owner))
        for pointer, place in _pointers(vmlinux, found, start, end):
            owner = blocks[bisect_right(starts, pointer) - 1][1]
            if owner >= 0:
                marks[place] = min(owner, marks.get(place, owner))
        kept = in_order(sorted(marks.items()))
        runs = [(place, sources[owner]) for place, owner in kept if owner >= 0]
        yield start, end, [(start, STRINGS), *(runs if 2 * len(kept) > len(marks) else [])]


def in_order(marks: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The most of some marks (place, owner), sorted by place, whose owners never go back."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, owner) in enumerate(marks):
        # The longest run that this one prolongs; it is then the best of its length, for it ends the lowest.
        length = bisect_right(ends, owner)
        ends[length : length + 1] = [owner]
        last[length : length + 1] = [number]
        before.append(last[length - 1] if length else -1)
    found, number = [], last[-1] if last else -1
    while number >= 0:
        found.append(marks[number])
        number = before[number]
    return found[::-1]


def _pointers(vmlinux: Vmlinux, linked: ObjectMap, start: int, end: int) -> list[tuple[int, int]]:
    """The pointers to [start, end): where each lies, and what it points to."""
    found = []
    try:
        section = vmlinux.section(".rela.dyn")
        if section and section.in_file and section.size % size_of(Rela) == 0:
            data, bias = vmlinux.contents(section), _BIAS if start > _BIAS >> 1 else 0
            low, high = start - bias, end - bias
            rows = zip(column(Rela, "r_addend", data), column(Rela, "r_offset", data), strict=True)
            found = [(pointer, addend + bias) for addend, pointer in rows if low <= addend < high]
        # Kernels with .relr.dyn have the addends in place.
        for section in vmlinux.loaded_sections if not found else ():
            known = section.number in linked.blocks and not section.executable
            if known and section.in_file and section.address % 8 == 0:
                words = memoryview(vmlinux.contents(section))[: section.size & -8].cast("Q")
                places = zip(range(section.address, section.end, 8), words, strict=False)
                found += [(pointer, word) for pointer, word in places if start <= word < end]
    except KinspectError:
        pass
    return found
