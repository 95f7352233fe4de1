"""The `Code:` lines of a log, compared with the code of the kernel.

arm64 prints the instruction at pc in parentheses, and four before it. Source: arch/arm64/kernel/traps.c,
dump_kernel_instr().
"""

import re

from kinspect.views.trace.facts import StrangeCode
from kinspect.views.trace.kernel import TracedKernel
from kinspect.views.trace.lines import CodePlace
from kinspect.views.trace.patching import looks_patched
from kinspect.views.trace.symbols import CodeSymbol

_CODE = re.compile(r"\bCode: ((?:(?:[0-9a-f]{8}|\([0-9a-f]{8}\)|\?{8}) ?){1,32})\s*$")
_AT_PC = re.compile(r"(?:\bpc : |\bPC is at |\bpc: )(?:\[<[^>]{0,20}>\] ?)?$")
_MOST = 100


class CodeLines:
    """Compares the `Code:` lines of a log with a kernel, each at the pc of the lines before it."""

    def __init__(self, kernel: TracedKernel) -> None:
        self._kernel = kernel
        self._pc: tuple[int, str] | None = None
        self.compared = 0
        self.strange: list[StrangeCode] = []

    def runs_at(self, place: CodePlace, symbols: list[CodeSymbol], line: str) -> None:
        """Remember the place of a line `pc : symbol+0x10/0x20`, where one symbol fits."""
        if place.offset is not None and _AT_PC.search(line[max(0, place.start - 40) : place.start]):
            found = f"{place.name}+{place.offset:#x}"
            self._pc = (symbols[0].address + place.offset, found) if len(symbols) == 1 else None

    def read(self, number: int, line: str) -> None:
        """Compare a line, if it is a `Code:` line of the kernel; forget the pc at the start of a new report."""
        if "pc : " in line or "PC is at" in line or "cut here" in line:
            self._pc = None
        found = _CODE.search(line) if "Code: " in line else None
        if found is None or self._pc is None:
            return
        (address, place), self._pc = self._pc, None
        words = found[1].split()
        at_pc = next((index for index, word in enumerate(words) if word.startswith("(")), None)
        if at_pc is None:
            return
        for index, word in enumerate(words):
            if word.startswith("?"):
                continue
            self._compare(number, address + 4 * (index - at_pc), place, 4 * (index - at_pc), int(word.strip("()"), 16))

    def _compare(self, number: int, address: int, place: str, distance: int, word: int) -> None:
        code = self._kernel.code(address, 4)
        if code is None:
            return
        self.compared += 1
        linked = int.from_bytes(code, "little")
        if linked == word or looks_patched(linked, word) or self._kernel.is_patched(address):
            return
        if len(self.strange) < _MOST:
            where = place + (f", {abs(distance)} bytes {'before' if distance < 0 else 'after'} pc" if distance else "")
            self.strange.append(StrangeCode(number, where, linked, word))
