"""What a function of a kernel returns after it has logged a message, read off its machine code.

Distributions change what the kernel does and leave its messages: there the words alone decide nothing.
Source: Arm Architecture Reference Manual, A64 instruction set.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux

_MOST_HITS, _MOST_STEPS, _REACH = 16, 64, 16
"""Instructions that are followed after a message, and those between the two that load its address."""
_ZERO, _RETURNED, _KEPT = 31, 0, range(19, 29)
"""Register numbers: of zero, of the returned value, and those that a called function leaves alone."""


class _Code(NamedTuple):
    """Bytes of a kernel and their address; in an Image the offset, which has the same place in its page."""

    address: int
    data: bytes

    def word(self, address: int) -> int:
        """The instruction at an address; 0, which is none, outside."""
        at = address - self.address
        return int.from_bytes(self.data[at : at + 4], "little") if 0 <= at <= len(self.data) - 4 else 0


def returned_after(kernel: Image | Vmlinux, message: bytes) -> int | None:
    """The number that a function returns right after it logs a message; None when its code does not show that.

    `message` is the whole text with what precedes it (KERN_SOH and the level). Raises as `source.read` does.
    """
    found: set[int | None] = set()
    parts = list(_parts(kernel))
    for text in parts:
        at = text.data.find(message)
        if at >= 0:
            for code in parts:
                uses = islice(_uses(code, text.address + at), _MOST_HITS)
                found.update(_returned(code, place) for place in uses)
    return found.pop() if len(found) == 1 else None


def _parts(kernel: Image | Vmlinux) -> Iterator[_Code]:
    if isinstance(kernel, Image):
        yield _Code(0, kernel.source.read(0, kernel.searched))
        return
    for section in kernel.loaded_sections:
        if section.in_file and section.name in (".text", ".rodata", ".rodata.str", ".head.text"):
            yield _Code(section.address, kernel.source.read(section.offset, section.size, section.name))


def _uses(code: _Code, target: int) -> Iterator[int]:
    """Where x0 gets the address of the message: `adrp x0, ...` followed by `add x0, x0, ...`."""
    add = 0x91000000 | (target & 0xFFF) << 10
    for hit in re.finditer(re.escape(add.to_bytes(4, "little")), code.data):
        at = code.address + hit.start()
        for before in range(at - 4, at - 4 * _REACH, -4):
            word = code.word(before)
            if at % 4 == 0 and word & 0x9F00001F == 0x90000000:
                pages = (word >> 29 & 3) | (word >> 5 & 0x7FFFF) << 2
                pages -= (pages & 1 << 20) << 1
                if (before >> 12) + pages == target >> 12:
                    yield before
                break


def _returned(code: _Code, start: int) -> int | None:
    """The constant in w0 at the end of the function, from an instruction on; None after any condition."""
    known: dict[int, int] = {_ZERO: 0}
    at = start
    for _ in range(_MOST_STEPS):
        word = code.word(at)
        at += 4
        if word == 0xD65F03C0:  # ret
            return known.get(_RETURNED)
        if word >> 26 == 0x05:  # b
            at += (word & 0x03FFFFFF) * 4 - 4 - ((word & 0x02000000) << 3)
        elif word >> 26 == 0x25:  # bl
            known = {number: value for number, value in known.items() if number in _KEPT or number == _ZERO}
        elif word == 0 or word >> 25 & 0x3F in (0x1A, 0x1B) or word >> 25 in (0x2A, 0x6B):  # cbz, tbz, b.cond, br
            return None
        else:
            _step(word, known)
    return None


def _step(word: int, known: dict[int, int]) -> None:
    """What an instruction without a jump does to the known registers."""
    target = word & 31
    if word & 0x3A000000 == 0x38000000:  # load or store
        changed = [target] if word >> 22 & 3 else []
    elif word & 0x3A000000 == 0x28000000:  # load or store of a pair
        changed = [target, word >> 10 & 31] if word >> 22 & 1 else []
    elif word & 0x3F000000 == 0x08000000:  # load or store exclusive
        changed = [target, word >> 10 & 31, word >> 16 & 31]
    elif word & 0xFFE00000 == 0x52800000:  # mov w, #
        known[target], changed = word >> 5 & 0xFFFF, []
    elif word & 0x7FE0FFE0 == 0x2A0003E0 and word >> 16 & 31 in known:  # mov w, w
        known[target], changed = known[word >> 16 & 31], []
    else:
        changed = [target]
    for number in changed:
        if number != _ZERO:
            known.pop(number, None)
