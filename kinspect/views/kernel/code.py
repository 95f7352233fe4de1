"""What a function of a kernel returns after it has logged a message, read off its machine code.

Distributions change what the kernel does and leave its messages: there the words alone decide nothing.
Source: Arm Architecture Reference Manual, A64 instruction set.
"""

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.views.kernel.instructions import CLASSES, SHORT, branch_target, short_target

_MOST_HITS, _MOST_STEPS, _REACH, _AROUND = 8, 1024, 16, 512
"""Places where the message is used, and instructions: followed from each, before it, around it."""
_ZERO, _RETURNED, _KEPT = 31, 0, (*range(19, 29), 31)
"""Registers: zero, the first argument and returned value, and those that a called function leaves alone."""
_MESSAGE, _RET = -1, 0xD65F03C0
"""The address of the message as the value of a register; the instruction `ret`."""


class _Use(NamedTuple):
    """The addresses of the first and the last instruction that load the message's address, and the register."""

    start: int
    end: int
    register: int


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
                found = found.union(*(_returned(code, use) for use in uses))
    return found.pop() if len(found) == 1 else None


def _parts(kernel: Image | Vmlinux) -> Iterator[_Code]:
    if isinstance(kernel, Image):
        yield _Code(0, kernel.source.read(0, kernel.searched))
        return
    for section in kernel.loaded_sections:
        if section.in_file and section.name in (".text", ".rodata", ".rodata.str", ".head.text"):
            yield _Code(section.address, kernel.source.read(section.offset, section.size, section.name))


def _uses(code: _Code, target: int) -> Iterator[_Use]:
    """Where a register gets the address of the message: `adrp xN, ...` followed by `add xN, xN, ...`."""
    add = 0x91000000 | (target & 0xFFF) << 10
    for hit in re.finditer(re.escape(add.to_bytes(4, "little")[2:]), code.data):
        at = code.address + hit.start() - 2
        register = code.word(at) & 31
        if at % 4 or code.word(at) != add | register << 5 | register:
            continue
        for before in range(at - 4, at - 4 * _REACH, -4):
            word = code.word(before)
            if word & 0x9F00001F == 0x90000000 | register:
                pages = (word >> 29 & 3) | (word >> 5 & 0x7FFFF) << 2
                pages -= (pages & 1 << 20) << 1
                if (before >> 12) + pages == target >> 12:
                    yield _Use(before, at, register)
                break


def _returned(code: _Code, use: _Use) -> set[int | None]:
    """The numbers in w0 at the ends of the function that it reaches by logging the message; None for a variable.

    A compiler may set the number some instructions before it loads the address of the message.
    """
    found: set[int | None] = {None}
    for start in range(use.start, use.start - 4 * _REACH, -4):
        if None not in found or any(start < place <= use.end for place in _jumps(code, start, use.end)):
            break
        found = _ends(code, use, start)
    return found


def _jumps(code: _Code, start: int, end: int) -> Iterator[int]:
    """The addresses that the instructions around some others jump to."""
    around = chain(range(start - 4 * _AROUND, start, 4), range(end + 4, end + 4 * _AROUND, 4))
    return (at + _distance(code.word(at)) for at in around if _distance(code.word(at)))


def _ends(code: _Code, use: _Use, start: int) -> set[int | None]:
    """The numbers that are returned after the message, on all ways from an instruction on."""
    found: set[int | None] = set()
    seen: set[tuple[int, frozenset[tuple[int, int]], bool]] = set()
    pending: list[tuple[int, dict[int, int], bool]] = [(start, {_ZERO: 0}, False)]
    while pending and len(seen) < _MOST_STEPS:
        at, known, logged = pending.pop()
        state = at, frozenset(known.items()), logged
        word = code.word(at)
        if word == _RET and logged:
            found.add(known.get(_RETURNED))
        if state not in seen and word and word >> 25 != 0x6B:  # no way goes on from br and ret
            seen.add(state)
            logged = logged or (word >> 26 == 0x25 and known.get(_RETURNED) == _MESSAGE)
            pending += [(after, _after(word, known, at, use), logged) for after in _next(word, at)]
    return {None} if pending else found


def _next(word: int, at: int) -> list[int]:
    """The addresses after an instruction: where it jumps to, and the one behind it unless it always jumps."""
    distance = _distance(word)
    return [at + distance, *([] if word >> 26 == 0x05 else [at + 4])] if distance else [at + 4]


def _after(word: int, known: dict[int, int], at: int, use: _Use) -> dict[int, int]:
    """The known registers after an instruction."""
    if word >> 26 == 0x25:  # bl
        return {number: value for number, value in known.items() if number in _KEPT}
    found = dict(known)
    if not _distance(word):
        _step(word, found)
    if at == use.end:
        found[use.register] = _MESSAGE
    return found


def _distance(word: int) -> int:
    """The distance that a branch jumps, always or on a condition; 0 for another instruction."""
    if word >> 26 == 0x05:  # b
        return branch_target(word, 0)
    return short_target(word, 0) if CLASSES[word >> 24] == SHORT else 0


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
