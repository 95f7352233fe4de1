"""Instructions that protect a kernel's control flow, found in its code in bulk: a kernel has five million.

Source: Arm Architecture Reference Manual, A64 instruction set.
"""

import re
from collections.abc import Mapping

from kinspect.views.kernel.instructions import NOP, RETURNS, is_branch

Patterns = tuple[re.Pattern[bytes], ...]
"""Each is searched for alone: an alternative takes five times as long as two patterns that begin with a byte."""


def _exact(*words: int) -> Patterns:
    return tuple(re.compile(re.escape(word.to_bytes(4, "little"))) for word in words)


PACIASP, PACIBSP, BTI_C, BTI_JC = 0xD503233F, 0xD503237F, 0xD503245F, 0xD50324DF
SIGNED = (PACIASP, PACIBSP)
"""They sign the return address, in x30; a branch may land on them as on bti."""
SIGN = _exact(*SIGNED)
LAND = _exact(BTI_C, BTI_JC)
SHADOW_PUSH = _exact(0xF800865E)
"""str x30, [x18], #8: the return address goes to the shadow call stack."""
_THREE = b"[" + b"".join(re.escape(bytes((byte,))) for byte in range(3, 256, 4)) + b"]"
_FIFTEEN = b"[" + b"".join(re.escape(bytes((byte,))) for byte in range(3, 256, 4) if byte & 15 in (3, 15)) + b"]"
SAVE = (
    re.compile(rb"\xfd[\x7b\xfb][\x00-\x3f\x80-\xbf]\xa9"),  # stp x29, x30
    re.compile(
        rb"\xfe(?:" + _THREE + rb"[\x00-\x3f\x80-\xbf]\xa9"  # stp x30, xN
        rb"|" + _FIFTEEN + rb"[\x00-\x1f]\xf8"  # str and stur with a signed offset
        rb"|" + _THREE + rb"[\x00-\x3f]\xf9)"  # str with an unsigned offset
    ),
)
"""The return address goes to the stack. No match hides one that begins inside it."""
_BL = re.compile(rb"[\x94-\x97]")
"""The top byte of bl."""
_REACH = (1 << 26) - 1
_ENDS = (*RETURNS, NOP, 0)
"""Returns and padding."""


def aligned(patterns: Patterns, code: bytes) -> list[int]:
    """Where instructions match one of some patterns, ascending."""
    found = [match.start() for pattern in patterns for match in pattern.finditer(code)]
    return sorted(place for place in found if not place & 3)


def calls(code: bytes, targets: Mapping[int, int]) -> dict[int, list[int]]:
    """Where bl calls some places, by the number that each place has; all count from the first byte of the code."""
    words = memoryview(code).cast("I")
    # The low 26 bits are the distance in words.
    wanted = {target >> 2 & _REACH: number for target, number in targets.items()}
    sites: dict[int, list[int]] = {number: [] for number in targets.values()}
    for match in _BL.finditer(code[3::4]):
        site = match.start()
        target = words[site] + site & _REACH
        if target in wanted:
            sites[wanted[target]].append(4 * site)
    return sites


def may_end_code(word: int) -> bool:
    """Whether a word before a function may be the end of another, or padding: b, bl, br, blr, ret, eret, brk, udf."""
    return word in _ENDS or is_branch(word) or word >> 25 == 0x6B or word >> 21 == 0x6A1 or not word >> 16
