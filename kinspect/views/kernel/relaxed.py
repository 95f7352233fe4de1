"""What LLD makes of adrp and add if the address is near: nop and adr. Whether it is depends on the layout.

Source: LLVM, lld/ELF/Arch/AArch64.cpp, AArch64Relaxer.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from kinspect.views.kernel.instructions import page_target

_RELAXED = re.compile(rb"\x1f\x20\x03\xd5(?=...[\x10\x30\x50\x70])", re.S)


def unrelaxed(data: bytes, functions: Sequence[int], ends: Mapping[int, int]) -> bytes:
    """The bytes of a kernel with adrp and add again, in functions from `functions` to `ends`, ascending."""
    found: bytearray | None = None
    for match in _RELAXED.finditer(data, functions[0] if functions else len(data)):
        at = match.start()
        start = functions[bisect_right(functions, at) - 1]
        if at & 3 or at + 8 > ends[start]:
            continue
        word = int.from_bytes(data[at + 4 : at + 8], "little")
        target, register = page_target(word, at + 4), word & 31
        # An address in the function is one of a table of jumps: the compiler wrote adr.
        if start <= target < ends[start] or register == 31:
            continue
        pages = (target >> 12) - (at >> 12)
        adrp = 0x90000000 | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5 | register
        add = 0x91000000 | (target & 0xFFF) << 10 | register << 5 | register
        found = bytearray(data) if found is None else found
        found[at : at + 8] = adrp.to_bytes(4, "little") + add.to_bytes(4, "little")
    return data if found is None else bytes(found)
