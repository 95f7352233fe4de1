"""The tables in a module that say which code the kernel patches before the module runs.

The kernel uses them without a test and writes wherever they point: the verdict on a wrong table is Unknown. A module
with a valid signature is as it was built, and its tables are not read.
Source: arch/arm64/kernel/alternative.c, arch/arm64/kernel/ftrace.c, kernel/jump_label.c.
"""

from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.schemas.elf import Symbol
from kinspect.schemas.record import parse_table, size_of
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.relocation.areas import Areas
from kinspect.views.loader.relocation.rows import PREL32, relocations_of
from kinspect.views.loader.verdict import Crash, Result, Unknown

_ABS64, _PREL64 = 257, 260
_ALTERNATIVES, _MOST_CAPABILITIES = b".altinstructions", 128
_PATCHED = b"__patchable_function_entries"
_REPLACEMENT, _CAPABILITY, _CALLBACK = 4, 8, 1 << 15
"""Offsets in struct alt_instr, and the bit of a capability that makes the replacement a callback."""
_CALLBACKS = "alt_cb_"
"""How the names of the kernel's own callbacks begin."""


class _Table(NamedTuple):
    """The size of a row, and by offset its pointers: whether to code, and the type of the relocation."""

    row: int
    fields: dict[int, tuple[bool, int]]


_TABLES = {
    _ALTERNATIVES: _Table(12, {0: (True, PREL32), 4: (False, PREL32)}),
    _PATCHED: _Table(8, {0: (True, _ABS64)}),
    b"__jump_table": _Table(16, {0: (True, PREL32), 4: (True, PREL32)}),
}
_POINTERS = {
    **dict.fromkeys(
        (b"_ftrace_events", b"_ftrace_eval_map", b"__trace_printk_fmt", b"___srcu_struct_ptrs"),
        _Table(8, {0: (False, _ABS64)}),
    ),
    b"__tracepoints_ptrs": _Table(4, {0: (False, PREL32)}),
}
"""Pointers that the kernel follows, in sections that some kernels look for."""
_KEY = 8
"""Offset of the key in a row of `__jump_table`; it may be one of the kernel's."""


def code_tables(info: LoadInfo) -> Result:
    """Whether all of these tables point into the module's own code."""
    if info.signed:
        return None
    if info.kernel.has_message("Misaligned patch-site") and _misaligned(info):
        return Crash(f"{_PATCHED.decode()} is not aligned to 8 bytes, and the kernel patches the code before it")
    for name, table in _TABLES.items():
        for number in info.numbered(name):
            wrong = name == _ALTERNATIVES and not _replaceable(info.bytes_of(number))
            if name != _ALTERNATIVES and number != info.find(name):
                continue  # a section that is not loaded means nothing
            if info.sections.sizes[number] and (wrong or not _sound(info, number, table)):
                return Unknown(f"{name.decode()} points outside the module's code, and the kernel writes there")
    for name, pointers in _POINTERS.items():
        number = info.find(name)
        sound = info.sections.sizes[number] < pointers.row or _sound(info, number, pointers)
        if number and not sound and info.kernel.has_message(name.decode()):
            return Unknown(f"{name.decode()} points outside the module, and the kernel follows it")
    return None


def _misaligned(info: LoadInfo) -> bool:
    """Whether code is to be patched where the pointer in front of it is not aligned.

    Source: arch/arm64/kernel/ftrace.c, ftrace_call_adjust(), in kernels where each function names its tracer.
    """
    areas = Areas(info)
    for number in info.numbered(_PATCHED):
        for _, kind, symbol, addend in relocations_of(info, number):
            target = info.symbol_sections[symbol]
            if kind == _ABS64 and 0 < target < info.count:
                misaligned = (areas.place(target).offset + info.symbol_values[symbol] + addend) % 8
                if misaligned:
                    return True
    return False


def _sound(info: LoadInfo, number: int, table: _Table) -> bool:
    size, sections = info.sections.sizes[number], info.sections
    called = _callbacks(info.bytes_of(number)) if info.names[number] == _ALTERNATIVES else set()
    if size % table.row or not sections.flags[number] & elf.SHF_ALLOC:
        return False
    pointers = {row + field for row in range(0, size, table.row) for field in table.fields}
    for offset, kind, symbol, addend in relocations_of(info, number):
        code, expected = table.fields.get(offset % table.row, (False, _PREL64))
        if offset % table.row == _KEY and kind == expected:
            continue
        target = info.symbol_sections[symbol]
        if offset in called and not target and kind == expected and not addend and _is_callback(info, symbol):
            pointers.discard(offset)
            continue
        if kind != expected or offset not in pointers or not 0 < target < info.count:
            return False
        if not sections.flags[target] & (elf.SHF_EXECINSTR if code else elf.SHF_ALLOC):
            return False
        place = info.symbol_values[symbol] + addend
        if (place % 4 and code) or not 0 <= place <= sections.sizes[target] - 4:
            return False
        pointers.discard(offset)
    return not pointers


def _callbacks(data: bytes) -> set[int]:
    """The offsets in `.altinstructions` that point to a callback, which writes the code."""
    capabilities = memoryview(data[: len(data) - len(data) % 12]).cast("H")[_CAPABILITY // 2 :: 6]
    return {12 * row + _REPLACEMENT for row, capability in enumerate(capabilities) if capability & _CALLBACK}


def _is_callback(info: LoadInfo, symbol: int) -> bool:
    """Whether a symbol is one of the kernel's own callbacks, which modules may refer to."""
    row = parse_table(Symbol, info.symbol_table[symbol * size_of(Symbol) : (symbol + 1) * size_of(Symbol)])[0]
    name = info.text_at(info.sections.offsets[info.index["str"]] + row.st_name)
    return name is not None and name.startswith(_CALLBACKS)


def _replaceable(data: bytes) -> bool:
    """Whether each alternative has a known capability, and as much code as it replaces or a callback."""
    if len(data) % 12:
        return False
    halfwords = memoryview(data).cast("H")
    capabilities, lengths = halfwords[4::6], halfwords[5::6]
    rows = zip(capabilities, lengths, strict=True)
    return all(
        capability & ~_CALLBACK < _MOST_CAPABILITIES
        and length % 4 == 0
        and (length >> 8 == length & 0xFF or (capability & _CALLBACK and length >> 8 == 0))
        for capability, length in rows
    )
