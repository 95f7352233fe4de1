"""The immediate value in an A64 instruction, and the instruction without it.

Source: Arm Architecture Reference Manual, A64 instruction set.
"""

from typing import NamedTuple


class Immediate(NamedTuple):
    """An instruction's immediate value, in bytes where it is an offset. `form` is the instruction without it.

    `address` says whether the value can be part of an address, or the size of an object: it is added to a register of
    64 bits, or moved to a register.
    """

    form: tuple[int, int]
    value: int
    address: bool


_ADDED, _MOVED, _SCALED, _UNSCALED, _WRITTEN_BACK, _PAIR, _OTHER = range(7)
_KINDS = (
    (0x1F800000, 0x11000000, _ADDED, 0x007FFC00),  # add, adds, sub, subs
    (0x1F800000, 0x12800000, _MOVED, 0x001FFFE0),  # movn, movz, movk
    (0x3B000000, 0x39000000, _SCALED, 0x3B3FFC00),  # ldr, str
    # ldur, stur: the same to the assembler, which takes one or the other for an offset.
    (0x3B200C00, 0x38000000, _UNSCALED, 0x3B3FFC00),
    (0x3B200400, 0x38000400, _WRITTEN_BACK, 0x001FF000),  # ldr, str that change the base
    (0x3A000000, 0x28000000, _PAIR, 0x003F8000),  # ldp, stp, ldpsw, ldnp ...
    (0x1F800000, 0x12000000, _OTHER, 0x007FFC00),  # and, orr, eor, ands
    (0x1F800000, 0x13000000, _OTHER, 0x003FFC00),  # sbfm, bfm, ubfm: shifts, fields of bits
    (0x7E000000, 0x36000000, _OTHER, 0x80F80000),  # tbz, tbnz: the number of the bit
    (0x3FE00C10, 0x3A400800, _OTHER, 0x001F0000),  # ccmn, ccmp
)
"""Which bits of an instruction are what; the kind; the bits that the immediate is in, or that follow from its form."""


def immediate_of(word: int) -> Immediate | None:
    """The immediate of an instruction; None if it has none, or one that is relative to the program counter."""
    for mask, bits, kind, field in _KINDS:
        if word & mask == bits:
            # ldr and ldur, str and stur are one form.
            form = _SCALED if kind == _UNSCALED else kind
            return Immediate((form, word & ~field & 0xFFFFFFFF), _value(word, kind, field), _is_address(word, kind))
    return None


def _value(word: int, kind: int, field: int) -> int:
    if kind == _ADDED:
        return (word >> 10 & 0xFFF) << (12 if word & 0x00400000 else 0)
    if kind == _MOVED:
        return (word >> 5 & 0xFFFF) << 16 * (word >> 21 & 3)
    if kind == _SCALED:
        return (word >> 10 & 0xFFF) << (4 if word & 0x04800000 == 0x04800000 else word >> 30)
    if kind == _PAIR:
        return _signed(word >> 15, 7) << 2 + (word >> 30 if word & 0x04000000 else word >> 31)
    return _signed(word >> 12, 9) if kind in (_UNSCALED, _WRITTEN_BACK) else word & field


def _is_address(word: int, kind: int) -> bool:
    if kind == _ADDED:
        return bool(word >> 31)
    return bool(word & 0x60000000) if kind == _MOVED else kind != _OTHER


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - ((value & 1 << bits - 1) << 1)
