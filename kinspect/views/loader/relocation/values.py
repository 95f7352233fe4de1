"""The values of relocations: in which ranges they lie, as the address of a module is not known, and whether they fit.

All parts of a module and the kernel lie within 2 GiB of each other, and above any address that a file can name.
Source: arch/arm64/kernel/module.c, reloc_data(), reloc_insn_imm() and reloc_insn_movw().
"""

from enum import Enum, auto
from typing import NamedTuple

Range = tuple[int, int]
"""A lowest and a highest value."""
_WORD = 1 << 64
_LOWEST, _HIGHEST = -(1 << 47), -(1 << 33)
"""The range of addresses of the kernel and its modules, as signed numbers."""
_NEAR, _APART = (1 << 31) - (1 << 28), 1 << 20
"""The largest distance within the kernel and its modules, and the smallest from a module to what is in the kernel."""
_PARTS = 1 << 26
"""The largest distance between the areas of one module, which the kernel takes from the lowest free memory."""
_FAR = 1 << 33
"""The smallest distance from a module to the copy of its file, when the kernel's address is random."""


class Space(Enum):
    """What an address is relative to, beside the areas of a module."""

    ABSOLUTE = auto()
    KERNEL = auto()
    FILE = auto()


class Address(NamedTuple):
    """An offset in an area of the module or in a space."""

    space: object
    offset: int


def distances(target: Address, place: Address, randomized: bool) -> tuple[Range, ...]:
    """The ranges of `target - place`, as signed numbers."""
    offset = target.offset - place.offset
    if target.space == place.space:
        return ((offset, offset),)
    if target.space is Space.ABSOLUTE:
        return ((target.offset - _HIGHEST, target.offset - _LOWEST),)
    if Space.FILE in (target.space, place.space):
        far = -_LOWEST
        ranges = ((-far, -_FAR), (_FAR, far)) if randomized else ((-far, far),)
        return tuple((low + offset, high + offset) for low, high in ranges)
    if target.space is Space.KERNEL:
        return (offset - _NEAR, offset - _APART), (offset + _APART, offset + _NEAR)
    return ((offset - _PARTS, offset + _PARTS),)


def values(target: Address) -> tuple[Range, ...]:
    """The ranges of an address itself, as signed numbers."""
    if target.space is Space.ABSOLUTE:
        return ((target.offset, target.offset),)
    return ((_LOWEST + target.offset, _HIGHEST + target.offset),)


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
