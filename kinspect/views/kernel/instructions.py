"""A64 instructions that hold an address: branches, adr and adrp, and the low twelve bits that follow an adrp.

Source: Arm Architecture Reference Manual, A64 instruction set. All addresses are those of bytes.
"""

OTHER, BRANCH, PAGE, LOW, SHORT = range(5)
"""Classes of instructions: b and bl; adr and adrp; those with the low bits of an address, or with another number in
their place; branches on a condition, which reach 1 MiB; all others.
"""
ZERO = 31
NOP = 0xD503201F
RETURNS = (0xD65F03C0, 0xD65F0BFF, 0xD65F0FFF, 0xD69F03E0)
"""ret, retaa, retab, eret."""
_CALLED = 18
"""Registers up to x18 and x30 are lost in a call."""


def _classes() -> tuple[bytes, tuple[int, ...]]:
    classes, masks = bytearray(256), [0xFFFFFFFF] * 256
    for top in (*range(0x14, 0x18), *range(0x94, 0x98)):
        classes[top], masks[top] = BRANCH, 0xFC000000
    for top in range(0x10, 0x100, 0x20):
        # The linker makes an adr of an adrp to avoid an erratum of the Cortex-A53.
        classes[top], masks[top] = PAGE, 0x1F00001F
    for top in (0x11, 0x91, 0x39, 0x79, 0xB9, 0xF9, 0x3D, 0x7D, 0xBD, 0xFD):
        classes[top], masks[top] = LOW, 0xFFC003FF
    for top in (0x54, 0x34, 0x35, 0xB4, 0xB5, 0x36, 0x37, 0xB6, 0xB7):
        classes[top] = SHORT
    return bytes(classes), tuple(masks)


CLASSES, MASKS = _classes()
"""By the top byte of an instruction, its class, and the bits that stay when code or data moves."""


def is_branch(word: int) -> bool:
    """Whether an instruction is b or bl."""
    return word >> 26 & 0x1F == 5


def branch_target(word: int, at: int) -> int:
    """Where b or bl at an address goes."""
    return at + 4 * ((word & 0x1FFFFFF) - (word & 0x2000000))


def short_target(word: int, at: int) -> int:
    """Where a branch on a condition goes: b.cond, cbz, cbnz, tbz, tbnz."""
    if word >> 25 & 0x3F == 0x1B:
        return at + 4 * ((word >> 5 & 0x1FFF) - (word >> 5 & 0x2000))
    return at + 4 * ((word >> 5 & 0x3FFFF) - (word >> 5 & 0x40000))


def short_mask(word: int) -> int:
    """The bits of a branch on a condition that stay when it or its target moves."""
    return 0xFFF8001F if word >> 25 & 0x3F == 0x1B else 0xFF00001F


def page_target(word: int, at: int) -> int:
    """What adr or adrp at an address puts into its register."""
    distance = (word >> 3 & 0x1FFFFC) | word >> 29 & 3
    distance -= (distance & 1 << 20) << 1
    return (at & ~0xFFF) + (distance << 12) if word >> 31 else at + distance


def low_bits(word: int) -> int | None:
    """The bytes that add, a load or a store adds to its base register; None for another instruction.

    It is so with an immediate without shift or sign.
    """
    if word & 0x7FC00000 == 0x11000000:
        return word >> 10 & 0xFFF
    if word & 0x3B000000 == 0x39000000:
        scale = 4 if word & 0x04800000 == 0x04800000 else word >> 30
        return (word >> 10 & 0xFFF) << scale
    return None


def never_continues(word: int) -> bool:
    """Whether the instruction after it is not the next that runs: b, br, ret, eret."""
    return word >> 26 == 0x05 or word in RETURNS or word & 0xFFFFFC1F == 0xD61F0000


def overwrites(word: int, register: int) -> bool:
    """Whether an instruction may change a register. It may say so of some that do not."""
    top = word >> 24
    kind = CLASSES[top]
    if kind == SHORT:
        return False
    if kind == BRANCH:
        return top >= 0x94 and (register <= _CALLED or register == 30)
    if word & 0x3B000000 == 0x39000000:
        return word & 31 == register and (word >> 22 & 3 != 0) and not word & 0x04000000
    if word & 0x3A000000 == 0x28000000:  # a pair
        loaded = word & 0x00400000 and register in (word & 31, word >> 10 & 31)
        return bool(loaded) or (bool(word & 0x00800000) and word >> 5 & 31 == register)
    if word & 0xFFFFFC1F == 0xD63F0000:  # blr
        return register <= _CALLED or register == 30
    return word & 31 == register or (word & 0x3B200400 == 0x38000400 and word >> 5 & 31 == register)
