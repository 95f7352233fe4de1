"""The tables in a module that tell the kernel which code to write over before the module runs.

The kernel takes them as they are. Where one points elsewhere, the kernel writes there, and what comes of that nobody
can tell. A module whose signature is right is as it was built, and not looked at.
Source: arch/arm64/kernel/alternative.c, arch/arm64/kernel/ftrace.c, kernel/jump_label.c.
"""

from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.views.loading import Result, Unknown
from kinspect.views.loading_attempt import Attempt
from kinspect.views.loading_relocations import PREL32, relocations_of

_ABS64, _PREL64 = 257, 260
_ALTERNATIVES, _MOST_CAPABILITIES = b".altinstructions", 128


class _Table(NamedTuple):
    """The size of a row, and the fields that point to code or data: whether it must be code, and the relocation."""

    row: int
    fields: dict[int, tuple[bool, int]]


_TABLES = {
    _ALTERNATIVES: _Table(12, {0: (True, PREL32), 4: (False, PREL32)}),
    b"__patchable_function_entries": _Table(8, {0: (True, _ABS64)}),
    b"__jump_table": _Table(16, {0: (True, PREL32), 4: (True, PREL32)}),
}
_KEY = 8
"""Where a row of `__jump_table` points to its key, which may be the kernel's own."""


def code_tables(attempt: Attempt) -> Result:
    """Whether all of them point into the module's own code."""
    if attempt.signed:
        return None
    for name, table in _TABLES.items():
        for number in attempt.numbered(name):
            wrong = name == _ALTERNATIVES and not _replaceable(attempt.bytes_of(number))
            if attempt.sections.sizes[number] and (wrong or not _sound(attempt, number, table)):
                return Unknown(f"{name.decode()} points to no code of the module: the kernel writes there")
    return None


def _sound(attempt: Attempt, number: int, table: _Table) -> bool:
    size, sections = attempt.sections.sizes[number], attempt.sections
    if size % table.row or not sections.flags[number] & elf.SHF_ALLOC:
        return False
    wanted = {row + field for row in range(0, size, table.row) for field in table.fields}
    for offset, kind, symbol, addend in relocations_of(attempt, number):
        code, right = table.fields.get(offset % table.row, (False, _PREL64))
        if offset % table.row == _KEY and kind == right:
            continue
        target = attempt.symbol_sections[symbol]
        if kind != right or offset not in wanted or not 0 < target < attempt.count:
            return False
        if not sections.flags[target] & (elf.SHF_EXECINSTR if code else elf.SHF_ALLOC):
            return False
        place = attempt.symbol_values[symbol] + addend
        if (place % 4 and code) or not 0 <= place <= sections.sizes[target] - 4:
            return False
        wanted.discard(offset)
    return not wanted


def _replaceable(data: bytes) -> bool:
    """Whether rows of alternatives have a capability that there is, and as much code as they replace."""
    if len(data) % 12:
        return False
    words = memoryview(data).cast("H")
    capabilities, lengths = words[4::6], words[5::6]
    return all(one & 0x7FFF < _MOST_CAPABILITIES for one in capabilities) and all(
        one & 0xFF == one >> 8 and one % 4 == 0 for one in lengths
    )
