"""The relocations that a kernel applies at start-up: `.rela.dyn`, and `.relr.dyn`, where they are packed."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError
from kinspect.schemas.elf import R_AARCH64_NONE, R_AARCH64_RELATIVE, Rela
from kinspect.schemas.record import column, size_of
from kinspect.views.tables.parts import ADDRESS_MASK, contents

ROW, WORD = size_of(Rela), 8
MOST_PLACES = 1 << 22
"""The largest number of packed relocations that is unpacked: a kernel has some 400,000."""

_DISTANCES = [[WORD * bit for bit in range(8) if byte >> bit & 1] for byte in range(256)]
"""The bytes from the first of eight words to those that a byte of a bitmap stands for."""

Key = tuple[tuple[int, int, int], ...]
"""The relocations of an object: offset in it, r_info, addend; a packed one has its addend in its place."""


class DynamicRelocations:
    """The dynamic relocations of a vmlinux; none where a table cannot be read."""

    def __init__(self, vmlinux: Vmlinux) -> None:
        self._vmlinux = vmlinux

    @cached_property
    def _rows(self) -> tuple[list[int], list[int], list[int]]:
        """The columns of `.rela.dyn`."""
        data = loaded_contents(self._vmlinux, self._vmlinux.section(".rela.dyn"), Rela)
        offsets, infos, addends = (list(column(Rela, field, data)) for field in Rela._fields)
        return offsets, infos, addends

    @property
    def dead(self) -> int:
        """The number of rows of type NONE."""
        return sum(info & 0xFFFFFFFF == R_AARCH64_NONE for info in self._rows[1])

    @cached_property
    def packable(self) -> list[int]:
        """The addresses that could be in `.relr.dyn`, ascending: of relative relocations, and even."""
        rows = zip(self._rows[0], self._rows[1], strict=True)
        return sorted({place for place, info in rows if info & 0xFFFFFFFF == R_AARCH64_RELATIVE and not place & 1})

    @cached_property
    def addends(self) -> dict[int, int]:
        """The address that each relative row of `.rela.dyn` stores, by where it stores it."""
        rows = zip(*self._rows, strict=True)
        return {place: addend & ADDRESS_MASK for place, info, addend in rows if info & 0xFFFFFFFF == R_AARCH64_RELATIVE}

    @cached_property
    def _sorted(self) -> tuple[list[int], list[tuple[int, int]]]:
        """All relocated addresses, ascending, with r_info and addend."""
        rows = zip(*self._rows, strict=True)
        found = [(place, (info, addend)) for place, info, addend in rows if info & 0xFFFFFFFF != R_AARCH64_NONE]
        section = self._vmlinux.section(".relr.dyn")
        if section is not None and section.size % WORD == 0:
            data = loaded_contents(self._vmlinux, section)
            found += [(place, (R_AARCH64_RELATIVE, 0)) for place in unpacked(memoryview(data).cast("Q"))]
        found.sort()
        return [place for place, _ in found], [relocation for _, relocation in found]

    def within(self, start: int, end: int) -> Key:
        """The relocations of [start, end)."""
        places, relocations = self._sorted
        first, last = bisect_left(places, start), bisect_left(places, end)
        return tuple((places[number] - start, *relocations[number]) for number in range(first, last))


def loaded_contents(vmlinux: Vmlinux, section: Section | None, *rows: type[NamedTuple]) -> bytes:
    """The bytes of a loaded section; empty when there is no such section, or when it cannot be read."""
    if section is None or not section.in_file or not section.allocated:
        return b""
    try:
        return contents(vmlinux, section, *rows)
    except KinspectError:
        return b""


def unpacked(words: Iterable[int]) -> Iterator[int]:
    """The addresses in a table of packed relocations, at most MOST_PLACES.

    An even word is an address; an odd one is a bitmap of which of the next 63 words are relocated as well.
    Source: the generic ELF specification, section "Relative relocations".
    """
    return islice(_unpacked(words), MOST_PLACES)


def _unpacked(words: Iterable[int]) -> Iterator[int]:
    at = 0
    for word in words:
        if not word & 1:
            yield word
            at = word + WORD
            continue
        bits, place = word >> 1, at
        while bits:
            for distance in _DISTANCES[bits & 0xFF]:
                yield place + distance & ADDRESS_MASK
            bits >>= 8
            place += 8 * WORD
        at += 63 * WORD


def packed_size(places: Sequence[int]) -> int:
    """The size of ascending addresses when packed, in bytes: an address, then a bitmap for each 63 words."""
    words = number = 0
    while number < len(places):
        # An address.
        words, base, number = words + 1, places[number] + WORD, number + 1
        while True:
            first = number
            while number < len(places):
                ahead = places[number] - base
                if ahead % WORD or not 0 <= ahead < 63 * WORD:
                    break
                number += 1
            if number == first:
                break
            words, base = words + 1, base + 63 * WORD
    return words * WORD
