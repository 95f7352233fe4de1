"""Sections of kernels whose kallsyms has code alone: found by what code refers to, and by what their rows must be."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from struct import unpack_from

from kinspect.schemas.elf import Rela
from kinspect.schemas.record import size_of, table_row
from kinspect.schemas.tables import BugEntry, BugEntryTerse, KernelParam
from kinspect.views.kernel.instructions import ZERO, low_bits, page_target
from kinspect.views.rebuilt.claims import DATA, READ_ONLY, Claim

_PAGE, _FEWEST = 4096, 8
"""The least alignment of variables of each CPU; rows of a table that are not there by chance."""
_BRK = (0xD4210000).to_bytes(4, "little")
"""brk #0x800, which BUG() and WARN() are. Source: arch/arm64/include/asm/brk-imm.h, BUG_BRK_IMM."""
_LONGEST = 4096
"""Bytes of a function, of a name, or of the space before a table."""
_LARGEST_DATA, _STEP = 32 << 20, 2048
_ROWS = (size_of(BugEntryTerse), size_of(BugEntry))
_MODE = 0o777


def per_cpu(data: bytes, places: Mapping[str, int], bounds: Sequence[int], region: tuple[int, int]) -> Claim | None:
    """The variables of each CPU: what code copies for each, and compares addresses with.

    Source: mm/percpu.c, __is_kernel_percpu_address(); drivers/base/arch_numa.c, setup_per_cpu_areas().
    """
    compared = _addresses(data, places.get("__is_kernel_percpu_address"), bounds, region)
    copied = _addresses(data, places.get("setup_per_cpu_areas"), bounds, region)
    starts = [place for place in compared & copied if not place % _PAGE]
    ends = [place for place in compared if starts and place > starts[0]]
    if len(starts) == len(ends) == 1:
        return Claim(".data..percpu", DATA, starts[0], ends[0])
    return None


def _addresses(data: bytes, start: int | None, bounds: Sequence[int], region: tuple[int, int]) -> set[int]:
    """The addresses in a region that a function puts together in a register."""
    if start is None or not 0 <= start < len(data):
        return set()
    after = bisect_right(bounds, start)
    end = min(bounds[after] if after < len(bounds) else len(data), start + _LONGEST, len(data))
    pages: dict[int, int] = {}
    found = set()
    for at in range(start & -4, end & -4, 4):
        (word,) = unpack_from("<I", data, at)
        if word & 0x9F000000 == 0x90000000:
            pages[word & ZERO] = page_target(word, at)
        elif word & 0xFFC00000 == 0x91000000 and word >> 5 & ZERO in pages:
            found.add(pages[word >> 5 & ZERO] + (low_bits(word) or 0))
    return {place for place in found if region[0] <= place < region[1]}


def bug_table(data: bytes, region: tuple[int, int]) -> Claim | None:
    """The table of BUG() and WARN(): each row begins with the distance to a `brk`, which lies before the region."""
    start, end = region[0] + 3 & -4, min(region[1], region[0] + _LARGEST_DATA) & -4
    traps = set(_traps(data, start))
    if not traps or end <= start:
        return None
    best = _longest_run(data, traps, _coarse(start, end))
    if _length(best) < _FEWEST * _ROWS[0]:
        best = _longest_run(data, traps, range(start, end, 4))
    return Claim("__bug_table", DATA, *best) if _length(best) >= _FEWEST * _ROWS[0] else None


def _coarse(start: int, end: int) -> Iterator[int]:
    """Some places in a region: a row of every table of more than a step."""
    for at in range(start, end - _ROWS[-1] - 4, _STEP):
        yield from range(at, at + _ROWS[-1], 4)


def _traps(data: bytes, end: int) -> Iterator[int]:
    at = data.find(_BRK, 0, end)
    while at >= 0:
        if not at & 3:
            yield at
        at = data.find(_BRK, at + 1, end)


def _longest_run(data: bytes, traps: set[int], places: Iterable[int]) -> tuple[int, int]:
    """The longest range of rows around some places."""
    best = (0, 0)
    for place in places:
        if not best[0] <= place < best[1] and place + unpack_from("<i", data, place)[0] in traps:
            for step in _ROWS:
                start = end = place
                while end + step <= len(data) and end + unpack_from("<i", data, end)[0] in traps:
                    end += step
                while start >= step and start - step + unpack_from("<i", data, start - step)[0] in traps:
                    start -= step
                best = max(best, (start, end), key=_length)
    return best


def _length(extent: tuple[int, int]) -> int:
    return extent[1] - extent[0]


def parameters(
    data: bytes, relocations: tuple[int, int], base: int, region: tuple[int, int], size: int
) -> Claim | None:
    """The table of parameters: rows with a name, operations and no module, whose pointers are often relocations.

    `relocations` is where those are, `base` the address of the first byte.
    """
    start, end = relocations
    rows = memoryview(data)[start : start + (end - start) // size_of(Rela) * size_of(Rela)].cast("Q")
    low, high = base + region[0], base + region[1]
    inside = [number for number, place in enumerate(rows[::3].tolist()) if low <= place < high]
    addends = {rows[3 * number] - base: rows[3 * number + 2] for number in inside}

    def pointer(at: int) -> int | None:
        address = addends.get(at) or unpack_from("<Q", data, at)[0]
        return address - base if base <= address < base + size else None

    def fits(at: int) -> bool:
        row = KernelParam._make(table_row(KernelParam).unpack_from(data, at))
        name = pointer(at)
        if row.mod or at + 8 in addends or row.perm & ~_MODE or name is None or pointer(at + 16) is None:
            return False
        text = data[name : name + _LONGEST].partition(b"\0")[0]
        return bool(text) and text.isascii() and text.decode().isprintable()

    step, last = size_of(KernelParam), min(region[1], len(data))
    for start in range(region[0] + 7 & -8, min(last - step, region[0] + _LONGEST) + 1, 8):
        if start in addends or pointer(start) is not None:
            end = start
            while end + step <= last and fits(end):
                end += step
            return Claim("__param", READ_ONLY, start, end) if end - start >= _FEWEST * step else None
    return None
