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
        compared, differing, known = 0, [], True
        for index, word in enumerate(words):
            distance = 4 * (index - at_pc)
            code = None if word.startswith("?") else self._kernel.code(address + distance, 4)
            if code is None:
                continue
            compared += 1
            linked, printed = int.from_bytes(code, "little"), int(word.strip("()"), 16)
            if linked != printed and not looks_patched(linked, printed):
                patched = self._kernel.is_patched(address + distance)
                known = known and patched is not None
                if not patched:
                    differing.append(StrangeCode(number, place + _from_pc(distance), linked, printed))
        self.compared += compared
        # Without the tables of what is patched, some instructions may differ, but not all.
        if (known or len(differing) == compared) and len(self.strange) < _MOST:
            self.strange += differing


def _from_pc(distance: int) -> str:
    if not distance:
        return ""
    return f", {abs(distance)} bytes {'before' if distance < 0 else 'after'} pc"
