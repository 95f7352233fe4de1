"""The values of relocations: in which ranges they lie, as the address of a module is not known, and whether they fit.

All parts of a module and the kernel lie within 2 GiB of each other, and above any address that a file can name.
Source: arch/arm64/kernel/module.c, reloc_data(), reloc_insn_imm() and reloc_insn_movw().
"""

from enum import Enum, auto
from typing import NamedTuple

from kinspect.schemas.elf import Rela
from kinspect.schemas.record import size_of

Range = tuple[int, int]
"""A lowest and a highest value."""
_WORD = 1 << 64
_APART = 1 << 20
"""The smallest distance from a module to what is in the kernel."""
_PARTS = 1 << 26
"""The largest distance between the areas of one module, which the kernel takes from the lowest free memory."""
_FAR = 1 << 33
"""The smallest distance from a module to the copy of its file, when the kernel's address is random."""
_DIRECT, _ANYWHERE = 1 << 27, (1 << 31) - (1 << 28)
"""The largest distance from modules to the kernel: within reach of a branch, or random within 2 GiB."""


class AddressSpace(NamedTuple):
    """What is known of the addresses of a kernel: `lowest` to `highest` are those of its code and of modules.

    `reach` is the largest distance between both, `copies` are the ranges of distances from a module to the copy of its
    file.
    """

    lowest: int
    highest: int
    reach: int
    copies: tuple[Range, ...]


def address_space(bits: int | None, *, randomized: bool, direct: bool) -> AddressSpace:
    """The addresses of a kernel: `bits` of virtual addresses, or an unknown number from 36 to 48.

    The kernel has the upper half of them: modules and kernel lie at its beginning, or when their address is random in
    its middle half; the copy of a file lies at the beginning of the rest. `direct`: modules lie in reach of a branch.
    Source: arch/arm64/include/asm/memory.h; arch/arm64/kernel/kaslr.c, kaslr_early_init(); arch/arm64/mm/init.c.
    """
    reach = _DIRECT if direct else _ANYWHERE
    if bits is None:
        far = 1 << 47
        copies = ((-far, -_FAR), (_FAR, far)) if randomized else ((-far, far),)
        return AddressSpace(-far, -_FAR, reach, copies)
    lowest, part = -(1 << bits - 1), 1 << bits - 3
    copies = ((lowest, -part // 2),) if randomized else ((lowest, -lowest),)
    return AddressSpace(lowest, -part + (1 << 32) if randomized else lowest + (1 << 33), reach, copies)


class Space(Enum):
    """What an address is relative to, beside the areas of a module."""

    ABSOLUTE = auto()
    KERNEL = auto()
    PER_CPU = auto()  # in the kernel, where nothing is after the start: each processor has a copy elsewhere
    FILE = auto()


class Address(NamedTuple):
    """An offset in an area of the module or in a space."""

    space: object
    offset: int


def distances(target: Address, place: Address, memory: AddressSpace) -> tuple[Range, ...]:
    """The ranges of `target - place`, as signed numbers."""
    offset = target.offset - place.offset
    if target.space == place.space:
        return ((offset, offset),)
    if target.space is Space.ABSOLUTE:
        return ((target.offset - memory.highest, target.offset - memory.lowest),)
    if Space.FILE in (target.space, place.space):
        return tuple((low + offset, high + offset) for low, high in memory.copies)
    if target.space in (Space.KERNEL, Space.PER_CPU):
        return (offset - memory.reach, offset - _APART), (offset + _APART, offset + memory.reach)
    return ((offset - _PARTS, offset + _PARTS),)


def values(target: Address, memory: AddressSpace) -> tuple[Range, ...]:
    """The ranges of an address itself, as signed numbers."""
    if target.space is Space.ABSOLUTE:
        return ((target.offset, target.offset),)
    return ((memory.lowest + target.offset, memory.highest + target.offset),)


def fits(ranges: tuple[Range, ...], allowed: Range) -> bool | None:
    """Whether values in these ranges, modulo 2^64, are in the allowed one; None when that depends on the address."""
    results = {_fits(found, allowed) for found in ranges}
    return results.pop() if len(results) == 1 else None


def _fits(found: Range, allowed: Range) -> bool | None:
    low, high = found
    shift = (low + (_WORD >> 1)) // _WORD * _WORD
    copies = [(low - shift + turn, high - shift + turn) for turn in (-_WORD, 0, _WORD)]
    if any(allowed[0] <= start and end <= allowed[1] for start, end in copies):
        return True
    return None if any(start <= allowed[1] and allowed[0] <= end for start, end in copies) else False


def has_types_among(data: bytes, low_bytes: bytes) -> bool:
    """Whether all rows of a table have types from 256 to 511, and of these only some, by their low bytes."""
    row = size_of(Rela)
    count = len(data) // row
    high = data[9::row].count(1) == count and data[10::row].count(0) == data[11::row].count(0) == count
    return high and not data[8::row].translate(None, low_bytes)
