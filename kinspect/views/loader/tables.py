"""The tables in a module that tell the kernel which code to write over before the module runs.

The kernel takes them as they are. Where one points elsewhere, the kernel writes there, and what comes of that nobody
can tell. A module whose signature is right is as it was built, and not looked at.
Source: arch/arm64/kernel/alternative.c, arch/arm64/kernel/ftrace.c, kernel/jump_label.c.
"""

from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.schemas.elf import Symbol
from kinspect.schemas.record import parse_table, size_of
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.relocations import PREL32, relocations_of
from kinspect.views.loader.verdict import Result, Unknown

_ABS64, _PREL64 = 257, 260
_ALTERNATIVES, _MOST_CAPABILITIES = b".altinstructions", 128
_REPLACEMENT, _CAPABILITY, _CALLBACK = 4, 8, 1 << 15
"""Fields of a row of alternatives, and the bit of a capability that makes the replacement a function to be called."""
_CALLBACKS = "alt_cb_"
"""What the kernel's own callbacks are named."""


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


def code_tables(attempt: LoadInfo) -> Result:
    """Whether all of them point into the module's own code."""
    if attempt.signed:
        return None
    for name, table in _TABLES.items():
        for number in attempt.numbered(name):
            wrong = name == _ALTERNATIVES and not _replaceable(attempt.bytes_of(number))
            if attempt.sections.sizes[number] and (wrong or not _sound(attempt, number, table)):
                return Unknown(f"{name.decode()} points to no code of the module: the kernel writes there")
    return None


def _sound(attempt: LoadInfo, number: int, table: _Table) -> bool:
    size, sections = attempt.sections.sizes[number], attempt.sections
    called = _callbacks(attempt.bytes_of(number)) if attempt.names[number] == _ALTERNATIVES else set()
    if size % table.row or not sections.flags[number] & elf.SHF_ALLOC:
        return False
    wanted = {row + field for row in range(0, size, table.row) for field in table.fields}
    for offset, kind, symbol, addend in relocations_of(attempt, number):
        code, right = table.fields.get(offset % table.row, (False, _PREL64))
        if offset % table.row == _KEY and kind == right:
            continue
        target = attempt.symbol_sections[symbol]
        if offset in called and not target and kind == right and not addend and _is_callback(attempt, symbol):
            wanted.discard(offset)
            continue
        if kind != right or offset not in wanted or not 0 < target < attempt.count:
            return False
        if not sections.flags[target] & (elf.SHF_EXECINSTR if code else elf.SHF_ALLOC):
            return False
        place = attempt.symbol_values[symbol] + addend
        if (place % 4 and code) or not 0 <= place <= sections.sizes[target] - 4:
            return False
        wanted.discard(offset)
    return not wanted


def _callbacks(data: bytes) -> set[int]:
    """Where rows of alternatives name a function that is called to write the code."""
    words = memoryview(data[: len(data) - len(data) % 12]).cast("H")[_CAPABILITY // 2 :: 6]
    return {12 * row + _REPLACEMENT for row, capability in enumerate(words) if capability & _CALLBACK}


def _is_callback(attempt: LoadInfo, symbol: int) -> bool:
    """Whether an undefined symbol is one of the kernel's own callbacks, which modules may name too."""
    row = parse_table(Symbol, attempt.symbol_table[symbol * size_of(Symbol) : (symbol + 1) * size_of(Symbol)])[0]
    name = attempt.text_at(attempt.sections.starts[attempt.index["str"]] + row.st_name)
    return name is not None and name.startswith(_CALLBACKS)


def _replaceable(data: bytes) -> bool:
    """Whether rows of alternatives have a capability that there is, and as much code as they replace.

    A row with a callback has none: the function writes it.
    """
    if len(data) % 12:
        return False
    words = memoryview(data).cast("H")
    capabilities, lengths = words[4::6], words[5::6]
    rows = zip(capabilities, lengths, strict=True)
    return all(
        capability & ~_CALLBACK < _MOST_CAPABILITIES
        and length % 4 == 0
        and (length >> 8 == length & 0xFF or (capability & _CALLBACK and length >> 8 == 0))
        for capability, length in rows
    )
