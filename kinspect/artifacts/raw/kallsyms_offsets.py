"""The addresses of the symbols in kallsyms: a table of offsets or addresses, which has moved over time.

Up to 6.3 it lies before the number of symbols, since 6.4 after the tokens. The right one ascends.
Source: scripts/kallsyms.c, write_src(); kernel/kallsyms.c, kallsyms_sym_address().
"""

from collections.abc import Iterator, Sequence
from itertools import count, islice
from operator import add, gt
from struct import unpack_from
from typing import NamedTuple

from kinspect.artifacts.raw.embedded import Extent
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.source import Source

KERNEL_HALF = 0xFFFF << 48
"""Addresses of the kernel are from here on."""
_FEWEST_IN_ORDER = 50
"""Fewer than one in 50 symbols may be out of order, which a check reports: with more of them it is another table."""


class KallsymsOffsets(NamedTuple):
    """The table of addresses: where it is, what its entries mean, and their values.

    `form` is `relative` (to a base), `self-relative` (to the entry) or `absolute`: the values are offsets from the
    base, offsets in the file, or addresses. `base` is the base in the file, zero when a relocation sets it, and
    `base_at` its offset.
    """

    place: Extent
    form: str
    values: list[int]
    base: int | None = None
    base_at: int | None = None


class Surroundings(NamedTuple):
    """Where the table may be: `data` is what lies before the tokens, from `start` on, with the number of symbols at
    `number`; `after` is the end of the token index, and `end` that of the kernel.
    """

    source: Source
    start: int
    data: bytes
    number: int
    after: int
    end: int


def kallsyms_offsets(around: Surroundings, total: int) -> KallsymsOffsets | None:
    """The table for that many symbols; None when there is none."""
    best, least = None, total // _FEWEST_IN_ORDER + 1
    for found in (*_after(around, total), *_before(around, total)):
        faults = out_of_order(found.values)
        if faults < least and found.values[-1] > found.values[0]:
            best, least = found, faults
    return best


def out_of_order(values: Sequence[int]) -> int:
    """How many values are lower than the one before."""
    return sum(map(gt, values, islice(values, 1, None)))


def _after(around: Surroundings, total: int) -> Iterator[KallsymsOffsets]:
    source, end = around.source, around.end
    for alignment in (4, 8):
        place = (around.after + alignment - 1) & -alignment
        base_at = (place + 4 * total + 7) & -8
        if place + 4 * total > end or (alignment == 8 and place == around.after):
            continue
        extent = Extent(place, 4 * total)
        values = memoryview(source.read(*extent, "kallsyms_offsets")).cast("I")
        if base_at + 8 <= end and _is_base(base := unpack_from("<Q", source.read(base_at, 8))[0]):
            yield KallsymsOffsets(extent, "relative", values.tolist(), base, base_at)
        targets = list(map(add, values.cast("B").cast("i"), count(place, 4)))
        if any(values) and min(targets) >= 0 and max(targets) < LARGEST_KERNEL:
            yield KallsymsOffsets(extent, "self-relative", targets)
    place = (around.after + 7) & -8
    if place + 8 * total <= end:
        yield from _absolute(place, source.read(place, 8 * total, "kallsyms_addresses"))


def _before(around: Surroundings, total: int) -> Iterator[KallsymsOffsets]:
    start, data, number = around.start, around.data, around.number - around.start
    base_at = (number - 8) & -8
    place = base_at - (4 * total + 7 & -8)
    if place >= 0 and _is_base(base := unpack_from("<Q", data, base_at)[0]):
        values = memoryview(data[place : place + 4 * total]).cast("I").tolist()
        yield KallsymsOffsets(Extent(start + place, 4 * total), "relative", values, base, start + base_at)
    place = (number & -8) - 8 * total
    if place >= 0:
        yield from _absolute(start + place, data[place : place + 8 * total])


def _absolute(place: int, data: bytes) -> Iterator[KallsymsOffsets]:
    addresses = memoryview(data).cast("Q").tolist()
    if min(addresses) >= KERNEL_HALF:
        yield KallsymsOffsets(Extent(place, len(data)), "absolute", addresses)


def _is_base(value: int) -> bool:
    return not value or value >= KERNEL_HALF
