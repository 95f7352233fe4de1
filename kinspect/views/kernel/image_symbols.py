"""The symbols of a raw Image, from its kallsyms, and the addresses that the kernel was linked at."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice, repeat
from operator import add
from typing import NamedTuple

from kinspect.artifacts.boot.ending import relocations
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.raw.kallsyms import Kallsyms, kallsyms_in
from kinspect.artifacts.raw.kallsyms_offsets import KERNEL_HALF, KallsymsOffsets
from kinspect.errors import UnsupportedError
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import column, parse_table, size_of

ALIGNMENT = 2 << 20
"""The kernel is linked to a multiple of it, plus text_offset. Source: Documentation/arch/arm64/booting.rst."""
_PAIRS = (
    ("init_mm", "swapper_pg_dir"),
    ("init_mm", "init_mm"),
    ("init_task", "init_task"),
    ("init_task", "init_cred"),
    ("init_task", "init_nsproxy"),
    ("init_nsproxy", "init_uts_ns"),
    ("init_pid_ns", "init_user_ns"),
    ("init_uts_ns", "init_user_ns"),
    ("sys_call_table", "__arm64_sys_read"),
    ("sys_call_table", "__arm64_sys_write"),
)
"""Data of every kernel, and what it points to."""
_FEWEST_PAIRS = 2
_LONGEST = 8192
"""Bytes of such data that are read."""
_LARGEST_TABLE = 1 << 19


class ImageSymbols(NamedTuple):
    """The symbols of an Image in the order of kallsyms. `offsets` count from its first byte, which is `_text`.

    `start` is the address of that byte; None when it is not known. `known_from` says what it follows from.
    """

    names: list[str]
    letters: list[str]
    offsets: list[int]
    start: int | None
    known_from: str
    kallsyms: Kallsyms


def image_symbols(image: Image) -> ImageSymbols:
    """The symbols, kept with the Image. UnsupportedError when it has none or no known form; else as `kallsyms_in`."""
    return image.cached(_symbols)


def has_kallsyms(image: Image) -> bool:
    """Whether an Image has kallsyms, in a form that kinspect reads or in another."""
    return image.cached(_kallsyms) is not None


def _kallsyms(image: Image) -> Kallsyms | UnsupportedError | None:
    try:
        return kallsyms_in(image.source, image.searched)
    except UnsupportedError as error:
        return error


def _symbols(image: Image) -> ImageSymbols:
    found = image.cached(_kallsyms)
    if isinstance(found, UnsupportedError):
        raise found
    if found is None:
        problem = "no kallsyms: the kernel was built without CONFIG_KALLSYMS; use its vmlinux instead"
        raise UnsupportedError(problem, image.at())
    table = found.offsets
    if table.form == "self-relative":
        start, known_from = _start_of(image, found)
        return ImageSymbols(found.names, found.letters, table.values, start, known_from, found)
    base, start, known_from = (
        (0, None, "the addresses of kallsyms") if table.form == "absolute" else _base(image, table)
    )
    if start is None and "_text" in found.names:
        start = base + table.values[found.names.index("_text")]
    if start is None:
        # The first symbol lies in the first pages of the kernel.
        lead = image.header.text_offset
        start = (base + table.values[0] - lead & -ALIGNMENT) + lead
    offsets = list(map(add, table.values, repeat(base - start)))
    return ImageSymbols(found.names, found.letters, offsets, start, known_from, found)


def _base(image: Image, table: KallsymsOffsets) -> tuple[int, int | None, str]:
    """The relative base, the address of the first byte where that is known too, and what they follow from."""
    if table.form == "absolute":
        return 0, None, "the addresses of kallsyms"
    if table.base:
        return table.base, None, "kallsyms_relative_base"
    found, row = relocations(image), size_of(Rela)
    if found is not None and table.base_at is not None and found.end - found.start <= _LARGEST_TABLE * row:
        data = image.source.read(found.start, found.end - found.start, "relocations")
        places = column(Rela, "r_offset", data)
        wanted = found.base + table.base_at
        number = next((index for index, place in enumerate(places) if place == wanted), None)
        if number is not None:
            addend = parse_table(Rela, data[number * row : (number + 1) * row])[0].r_addend & (1 << 64) - 1
            return addend, found.base, "the relocation of kallsyms_relative_base"
    at = image.at("kallsyms_relative_base", table.base_at)
    raise UnsupportedError("the base of kallsyms is zero, and no relocation sets it", at)


def _start_of(image: Image, found: Kallsyms) -> tuple[int | None, str]:
    """The address of the first byte of an Image whose kallsyms have no base, and what it follows from.

    Data that points to other data gives an address for a known offset; several such pairs must agree.
    """
    wanted, numbers = {name for pair in _PAIRS for name in pair}, dict[str, int]()
    for number, name in enumerate(found.names):
        if name in wanted:
            numbers.setdefault(name, number)
    votes: Counter[int] = Counter()
    for owner, target in _PAIRS:
        if owner in numbers and target in numbers:
            votes.update(set(_starts(image, found.offsets.values, numbers[owner], numbers[target])))
    agreed = [start for start, number in votes.items() if number >= _FEWEST_PAIRS]
    if len(agreed) == 1:
        return agreed[0], "pointers between known symbols"
    table = relocations(image)
    return (table.base, "the relocations") if table and not agreed else (None, "")


def _starts(image: Image, offsets: list[int], owner: int, target: int) -> Iterator[int]:
    """The starts that follow from each word of a symbol, if it points to another; both by their numbers."""
    place, pointed = offsets[owner], offsets[target]
    if place & 7:
        return
    end = next((offset for offset in islice(offsets, owner, None) if offset > place), place + _LONGEST)
    size = min(end - place, _LONGEST, image.size - place) & -8
    if size <= 0:
        return
    lead = image.header.text_offset
    for word in memoryview(image.source.read(place, size)).cast("Q"):
        start = word - pointed
        if start >= KERNEL_HALF and not start - lead & ALIGNMENT - 1:
            yield start
