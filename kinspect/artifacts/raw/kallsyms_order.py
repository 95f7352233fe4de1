"""The order of names in kallsyms, by which a kernel finds a symbol by its name (since 6.2).

The table lies after the markers up to 6.3, and behind the offsets since 6.4: one number of three bytes for each symbol.
Source: scripts/kallsyms.c, write_src() and compare_names(); kernel/kallsyms.c, kallsyms_lookup_names().
"""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.raw.embedded import Extent
from kinspect.artifacts.raw.kallsyms import Kallsyms
from kinspect.source import Source

WIDTH = 3
_LIKELY = 0.9
"""The share of different numbers of symbols in a table that may be one, damaged or not."""


class NameOrder(NamedTuple):
    """The table, `kallsyms_seqs_of_names`: where it is, and the numbers of the symbols in the order of their names."""

    place: Extent
    numbers: list[int]


def name_order(source: Source, found: Kallsyms, end: int) -> NameOrder | None:
    """The order of names in a kernel that ends at `end`; None when there is no such table."""
    total, best, most = len(found.names), None, int(_LIKELY * len(found.names))
    for at in _places(found):
        if at + WIDTH * total <= end:
            data = source.read(at, WIDTH * total, "kallsyms_seqs_of_names")
            columns = zip(data[0::WIDTH], data[1::WIDTH], data[2::WIDTH], strict=True)
            numbers = [first << 16 | second << 8 | third for first, second, third in columns]
            different = sum(number < total for number in set(numbers))
            if different > most:
                best, most = NameOrder(Extent(at, WIDTH * total), numbers), different
    return best


def _places(found: Kallsyms) -> Iterator[int]:
    """Where the table may begin."""
    offsets, markers = found.offsets, found.table.markers
    if offsets.place.offset < found.tokens.offset:
        end = markers.start + markers.width * len(markers.values)
        if end + WIDTH * len(found.names) > found.tokens.offset:
            return
    else:
        end = offsets.place.offset + offsets.place.size
        if offsets.base_at is not None:
            end = offsets.base_at + 8
    yield from dict.fromkeys((end + 7 & -8, end + 3 & -4))
