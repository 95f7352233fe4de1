"""The owners of strings that the linker merged.

GNU ld keeps strings in link order, and places a string that several objects have where the first of them has it. An
object that points to a string therefore owns it, or comes later in the link. The longest sequence of pointers in link
order gives the owners. LLD orders strings differently, so there they have no owner.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from kinspect.artifacts.elf.mapping_symbols import ObjectMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import column, size_of
from kinspect.views.size.symbol_runs import STRINGS

_BIAS = 1 << 64
"""The difference between a kernel address and the same bits as a signed number, which addends are."""


def string_owners(
    vmlinux: Vmlinux, pools: Iterable[tuple[int, int]], found: ObjectMap, sources: Sequence[str]
) -> Iterator[tuple[int, int, list[tuple[int, str]]]]:
    """Each pool as (start, end, runs): ascending addresses, each with the owner from there to the next."""
    blocks = sorted(pair for starts, owners in found.blocks.values() for pair in zip(starts, owners, strict=True))
    starts = [start for start, _ in blocks]
    for start, end in pools:
        # For each place in the pool, the first object in link order that marks it or points to it.
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
    """The longest subsequence of marks (place, owner), sorted by place, in which owners never decrease."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, owner) in enumerate(marks):
        # This mark extends the longest sequence that it can; of those of that length it has the lowest end.
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
    """The pointers into [start, end), each as its own address and its target."""
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
                found += [
                    (section.address + 8 * at, word) for at, word in words_in(vmlinux.contents(section), start, end)
                ]
    except KinspectError:
        pass
    return found


def words_in(data: bytes, low: int, high: int) -> Iterator[tuple[int, int]]:
    """The 64-bit words of `data` with low <= word < high, as (number of the word, word).

    Most of millions of words are out of the question by two of their bytes, which are compared for all words at once.
    """
    data = data[: len(data) & -8]
    words = memoryview(data).cast("Q") if data else ()
    possible = [_ones(data[7::8], low >> 56, high - 1 >> 56)]
    if low >> 32 == high - 1 >> 32:
        possible.append(_ones(data[3::8], low >> 24 & 0xFF, high - 1 >> 24 & 0xFF))
    both = int.from_bytes(possible[0]) & int.from_bytes(possible[-1])
    mask = both.to_bytes(len(words))
    at = mask.find(1)
    while at >= 0:
        if low <= words[at] < high:
            yield at, words[at]
        at = mask.find(1, at + 1)


def _ones(data: bytes, low: int, high: int) -> bytes:
    """1 for each byte from `low` to `high`, 0 for all others."""
    return data.translate(bytes(low <= byte <= high for byte in range(256)))
