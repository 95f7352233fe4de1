"""Pointers to code in the data of a kernel, as they are in the file: in their place, or as addends of relocations."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_LONGEST = 2048
"""So many in a row are ftrace's list of places to patch (__mcount_loc), not of functions that are called."""
_WORD, _ROW = 8, 24
"""Bytes of a pointer, and of a relocation with an addend."""


class Pointer(NamedTuple):
    """The number of a word, the address in it, and the word two before: where a relocation puts the address."""

    number: int
    target: int
    place: int


def pointers(data: bytes, ranges: Iterable[tuple[int, int]]) -> Iterator[Pointer]:
    """The words that are addresses in some ranges."""
    words = memoryview(data)[: len(data) & -_WORD].cast("Q")
    bounds = list(ranges)
    for high in sorted({address >> 32 for pair in bounds for address in pair}):
        for match in re.finditer(re.escape(high.to_bytes(4, "little")), data):
            if match.start() & 7 == 4:
                number = match.start() >> 3
                word = words[number]
                if any(start <= word < end for start, end in bounds):
                    yield Pointer(number, word, words[number - 2] if number > 1 else 0)


def without_long_tables(found: Iterable[Pointer]) -> Iterator[int]:
    """The targets of pointers, without those of very long tables, in the data or in its relocations."""
    table: list[int] = []
    number, place = -_ROW, 0
    for pointer in found:
        relocated = pointer.number - number == _ROW // _WORD and pointer.place - place == _WORD
        if pointer.number != number + 1 and not relocated:
            yield from table if len(table) < _LONGEST else ()
            table = []
        table.append(pointer.target)
        number, place = pointer.number, pointer.place
    yield from table if len(table) < _LONGEST else ()
