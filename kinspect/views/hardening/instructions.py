"""Instructions that protect a kernel's control flow, found in its code in bulk: a kernel has five million.

Source: Arm Architecture Reference Manual, A64 instruction set.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import compress


def _exact(*words: int) -> re.Pattern[bytes]:
    return re.compile(b"|".join(re.escape(word.to_bytes(4, "little")) for word in words))


PACIASP, PACIBSP, BTI_C, BTI_JC = 0xD503233F, 0xD503237F, 0xD503245F, 0xD50324DF
SIGNED = (PACIASP, PACIBSP)
"""They sign the return address, in x30; a branch may land on them as on bti."""
SIGN = _exact(*SIGNED)
LAND = _exact(BTI_C, BTI_JC)
SHADOW_PUSH = _exact(0xF800865E)
"""str x30, [x18], #8: the return address goes to the shadow call stack."""
_THREE = b"[" + b"".join(re.escape(bytes((byte,))) for byte in range(3, 256, 4)) + b"]"
_FIFTEEN = b"[" + b"".join(re.escape(bytes((byte,))) for byte in range(3, 256, 4) if byte & 15 in (3, 15)) + b"]"
SAVE = re.compile(
    rb"\xfd[\x7b\xfb][\x00-\x3f\x80-\xbf]\xa9"  # stp x29, x30
    rb"|\xfe(?:" + _THREE + rb"[\x00-\x3f\x80-\xbf]\xa9"  # stp x30, xN
    rb"|" + _FIFTEEN + rb"[\x00-\x1f]\xf8"  # str and stur with a signed offset
    rb"|" + _THREE + rb"[\x00-\x3f]\xf9)"  # str with an unsigned offset
)
"""The return address goes to the stack. No match hides one that begins inside it."""
NOP = 0xD503201F
_BL = bytes(top >> 2 == 0x25 for top in range(256))
_REACH = (1 << 26) - 1
_ENDS = (0xD65F03C0, 0xD65F0BFF, 0xD65F0FFF, 0xD69F03E0, NOP, 0)
"""ret, retaa, retab, eret, and padding."""


def aligned(pattern: re.Pattern[bytes], code: bytes) -> Iterator[int]:
    """Where instructions match a pattern, ascending."""
    return (match.start() for match in pattern.finditer(code) if not match.start() & 3)


def calls(code: bytes, targets: Mapping[int, int]) -> dict[int, list[int]]:
    """Where bl calls some places, by the number that each place has; all count from the first byte of the code."""
    flags = code[3::4].translate(_BL)
    words = memoryview(code).cast("I")
    # The low 26 bits are the distance in words.
    wanted = {target >> 2 & _REACH: number for target, number in targets.items()}
    sites: dict[int, list[int]] = {number: [] for number in targets.values()}
    for site, word in zip(compress(range(len(words)), flags), compress(words, flags), strict=True):
        target = word + site & _REACH
        if target in wanted:
            sites[wanted[target]].append(4 * site)
    return sites


def may_end_code(word: int) -> bool:
    """Whether a word before a function may be the end of another, or padding: b, bl, br, blr, ret, eret, brk, udf."""
    return word in _ENDS or is_branch(word) or word >> 25 == 0x6B or word >> 21 == 0x6A1 or not word >> 16


def is_branch(word: int) -> bool:
    """Whether an instruction is b or bl."""
    return word >> 26 & 0x1F == 5
