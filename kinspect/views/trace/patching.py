"""The places where a kernel writes other instructions over its own: alternatives, jump labels, runtime constants.

There the `Code:` line of a log may differ from the file. Other places are patched too, but show by the instructions:
calls of ftrace, and breakpoints of kprobes.
Source: arch/arm64/include/asm/alternative.h, struct alt_instr; include/linux/jump_label.h, struct jump_entry;
arch/arm64/include/asm/runtime-const.h.
"""

import struct
from collections.abc import Callable, Iterator

from kinspect.views.kernel.instructions import NOP, is_branch
from kinspect.views.trace.symbols import CodeSymbols

_SAVE_LINK = 0xAA1E03E9
"""`mov x9, x30`, before a call of ftrace."""
_BREAKPOINT, _BREAKPOINT_MASK = 0xD4200000, 0xFFE0001F
_LARGEST_TABLE = 8 << 20
_CONSTANTS = "__start_runtime_"
_CONSTANT_SIZE = 16
"""Four instructions load an address."""

Code = Callable[[int, int], bytes | None]


def patched_ranges(symbols: CodeSymbols, code: Code) -> tuple[tuple[int, int], ...] | None:
    """The ranges of addresses that tables of a kernel name, sorted; None when it is not known where the tables are.

    kallsyms has their symbols only with CONFIG_KALLSYMS_ALL.
    """
    if symbols.address("__alt_instructions") is None:
        return None
    return tuple(sorted((*_alternatives(symbols, code), *_jumps(symbols, code), *_constants(symbols, code))))


def _table(symbols: CodeSymbols, code: Code, start: str, stop: str, row: int) -> tuple[int, bytes]:
    first, last = symbols.address(start), symbols.address(stop)
    if first is None or last is None or not 0 <= last - first <= _LARGEST_TABLE:
        return 0, b""
    return first, code(first, (last - first) // row * row) or b""


def _alternatives(symbols: CodeSymbols, code: Code) -> Iterator[tuple[int, int]]:
    start, data = _table(symbols, code, "__alt_instructions", "__alt_instructions_end", 12)
    for number, (original, _, _, size, _) in enumerate(struct.iter_unpack("<iiHBB", data)):
        at = start + 12 * number + original
        yield at, at + size


def _jumps(symbols: CodeSymbols, code: Code) -> Iterator[tuple[int, int]]:
    start, data = _table(symbols, code, "__start___jump_table", "__stop___jump_table", 16)
    for number, (place, _, _) in enumerate(struct.iter_unpack("<iiq", data)):
        at = start + 16 * number + place
        yield at, at + 4


def _constants(symbols: CodeSymbols, code: Code) -> Iterator[tuple[int, int]]:
    for first in symbols.beginning_with(_CONSTANTS):
        start, data = _table(symbols, code, first, first.replace("start", "stop", 1), 4)
        for number, (place,) in enumerate(struct.iter_unpack("<i", data)):
            at = start + 4 * number + place
            yield at, at + _CONSTANT_SIZE


def looks_patched(linked: int, found: int) -> bool:
    """Whether an instruction is one that a kernel may write over another: a call for a nop, a breakpoint."""
    if found & _BREAKPOINT_MASK == _BREAKPOINT:
        return True
    fillers = (NOP, _SAVE_LINK)
    branches = [is_branch(word) for word in (linked, found)]
    return (linked in fillers or branches[0]) and (found in fillers or branches[1]) and not all(branches)
