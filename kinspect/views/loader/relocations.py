"""The kernel's tests of relocations: their types, and whether their values fit.

The address of a module is not known, but all of it lies within 2 GiB of itself and of the kernel. So a relocation with
a small addend fits, and one with an addend over 16 GiB does not; between them it depends on the address.
Source: arch/arm64/kernel/module.c, apply_relocate_add().
"""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import column, size_of, table_row
from kinspect.views.loader.elf import PER_CPU, refuse
from kinspect.views.loader.kernel import Order, TargetKernel
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.verdict import Refusal, Result, Unknown

_REL, _ROW = 9, size_of(Rela)
_LIVEPATCH = 0x00100000
"""SHF_RELA_LIVEPATCH: only a kernel with live patching reads such a section."""
_LIVEPATCH_SYMBOL = 0xFF20
_NONE = frozenset((0, 256))
_ANY_VALUE = frozenset((257, 260, 264, 266, 268, 269, 276, 277, 278, 284, 285, 286, 288, 290, 292, 293, 299))
"""Types that take any value: 64 bits wide, or not checked (`_NC`)."""
_BRANCHES = frozenset((282, 283))
"""Calls and jumps: the kernel makes a stub for a target that is too far away."""
PREL32 = 261
_NEAR = frozenset((PREL32, 275))
"""PREL32 and ADR_PREL_PG_HI21: within 2 and 4 GiB."""
_SHORT = {273: 20, 274: 20, 279: 15, 280: 20}
"""Types with a short range, by its bits: loads, addresses and branches of one instruction."""
_OTHERS = frozenset((258, 259, 262, 263, 265, 267, 270, 271, 272, 287, 289, 291))
"""Types with fewer bits than an address, which compilers do not emit for modules."""
_ABSOLUTE = frozenset((258, 259))
"""R_AARCH64_ABS32 and ABS16: no address fits."""
_SUPPORTED = _NONE | _ANY_VALUE | _BRANCHES | _NEAR | _SHORT.keys() | _OTHERS
_FREE = _NONE | _ANY_VALUE
_WIDTHS = {0: 0, 256: 0, 257: 8, 260: 8, 259: 2, 262: 2}
_SMALL, _LARGE, _REACH = 1 << 27, 1 << 34, 1 << 31
NO_STUB = Unknown("a branch is too far even for a stub, and the kernel does not test that: it may crash")


class RelocationResult(NamedTuple):
    """The result of the tests, and the relocation types that need a weak symbol nearby, by the symbol's name."""

    result: Result
    weak: dict[str, int]


def relocations(info: LoadInfo, weak: dict[int, str]) -> RelocationResult:
    """Test the relocations of all loaded sections; `weak` has the names of weak undefined symbols by number."""
    near: dict[str, int] = {}
    distant = _distant(info)
    for number, table in _tables(info):
        if table is None:
            return RelocationResult(refuse(f"module {info.struct_name}: REL relocation unsupported"), near)
        result = _table(info, info.sections.infos[number], table, distant, weak, near)
        if result is not None:
            return RelocationResult(result, near)
    return RelocationResult(None, near)


def _tables(info: LoadInfo) -> Iterator[tuple[int, bytes | None]]:
    """The tables of relocations that the kernel reads, by section number; None for SHT_REL, which arm64 refuses."""
    sections, index, gone = info.sections, info.index, _not_kept(info)
    if info.kernel.order is Order.FIRST:
        gone.add(index["pcpu"])
    for number, kind in enumerate(sections.types):
        target = sections.infos[number]
        if kind not in (elf.SHT_RELA, _REL) or not number or target >= info.count or target in gone:
            continue
        loaded = sections.flags[target] & elf.SHF_ALLOC or info.names[target] in (b".plt", b".init.plt")
        if loaded and not sections.flags[number] & _LIVEPATCH:
            yield number, info.bytes_of(number) if kind == elf.SHT_RELA else None


def relocations_of(info: LoadInfo, target: int) -> Iterator[tuple[int, int, int, int]]:
    """The relocations of a section: offset, type, symbol number, addend; without those of symbols beyond the table."""
    for number, data in _tables(info):
        if target and data and info.sections.infos[number] == target:
            for offset, r_info, addend in table_row(Rela).iter_unpack(data[: len(data) - len(data) % _ROW]):
                if r_info >> 32 < len(info.symbol_sections):
                    yield offset, r_info & 0xFFFFFFFF, r_info >> 32, addend


def _not_kept(info: LoadInfo) -> set[int]:
    """The sections that the kernel reads but does not load."""
    return {info.index[name] for name in ("info", "vers", "ext_crc", "ext_name")}


class _Distant(NamedTuple):
    """Symbols that may be anywhere, by number.

    `absolute` has the values of absolute symbols, None for those whose address is not known; `far` has the symbols of
    the module whose value lies outside it; `symbols` is the number of all symbols.
    """

    absolute: dict[int, int | None]
    far: dict[int, int]
    symbols: int


def _distant(info: LoadInfo) -> _Distant:
    sections, values = info.symbol_sections, info.symbol_values
    flags = info.sections.flags
    absolute: dict[int, int | None] = {}
    loose = {n for n, flag in enumerate(flags) if not flag & elf.SHF_ALLOC and info.names[n] != PER_CPU}
    loose |= _not_kept(info)
    for number in set(sections) - {elf.SHN_UNDEF}:
        if number >= info.count or number in loose:
            value_of = values if number == elf.SHN_ABS else None
            for at, section in enumerate(sections):
                if section == number:
                    absolute[at] = value_of[at] if value_of else None
    far = {}
    if max(values, default=0) > _SMALL:
        far = {at: value for at, value in enumerate(values) if value > _SMALL and sections[at] and at not in absolute}
    return _Distant(absolute, far, len(sections))


def _table(
    info: LoadInfo, target: int, data: bytes, distant: _Distant, weak: dict[int, str], near: dict[str, int]
) -> Result:
    """Test one table. In most nothing is unusual, which its columns show without a look at each row."""
    data = data[: len(data) - len(data) % _ROW]
    if not data:
        return None
    columns, room = memoryview(data).cast("I"), info.sections.sizes[target]
    types = set(columns[2::6])
    # A module with a valid signature is as it was built: only types that no kernel takes can be wrong there.
    odd = weak.keys() if info.signed else distant.absolute.keys() | distant.far.keys() | weak.keys()
    if types <= (_SUPPORTED if info.signed else _FREE | _BRANCHES | _NEAR):
        numbers = set() if info.signed and not odd else set(columns[3::6])
        if odd.isdisjoint(numbers) and (info.signed or _usual(data, max(numbers) < distant.symbols, room)):
            return None
    for offset, r_info, addend in table_row(Rela).iter_unpack(data):
        kind, number = r_info & 0xFFFFFFFF, r_info >> 32
        if number >= distant.symbols:
            return Unknown("a relocation names a symbol beyond the table, and the kernel does not test that")
        if kind not in _SUPPORTED:
            return refuse(f"{info.kernel.arm64_prefix}module {info.struct_name}: unsupported RELA relocation: {kind}")
        if offset + _WIDTHS.get(kind, 4) > room:
            return Unknown("a relocation lies outside its section, and the kernel writes there")
        if number in weak and kind not in _FREE:
            near[weak[number]] = kind
            continue
        result = _fits(info, target, distant, kind, number, offset, addend)
        if result is not None:
            return result
    return None


def _usual(data: bytes, named: bool, room: int) -> bool:
    """Whether all offsets lie in the section and all addends are small; `named` says that all symbols exist."""
    addends = column(Rela, "r_addend", data)
    inside = named and max(column(Rela, "r_offset", data)) + 8 <= room
    return inside and max(addends) < _SMALL and min(addends) > -_SMALL


def _fits(info: LoadInfo, target: int, distant: _Distant, kind: int, number: int, offset: int, addend: int) -> Result:
    if kind in _FREE:
        return None
    if kind in _BRANCHES:
        value = _as_signed(distant.far.get(number, 0)) + addend
        return NO_STUB if number in distant.absolute or abs(value) >= _REACH else None
    if number in distant.absolute:
        address = distant.absolute[number]
        if address is None:
            return Unknown("a relocation refers to a section that is not loaded")
        value = (address + addend) & (1 << 64) - 1
        if kind in _ABSOLUTE and value < 1 << 63:
            fits = value < 1 << (32 if kind == 258 else 16)
            return None if fits else overflow(info.kernel, info.struct_name, kind)
        # A module lies high in the address space: nothing below 2^46 is near.
        return (
            overflow(info.kernel, info.struct_name, kind) if kind in _NEAR and value < 1 << 46 else _cannot_tell(kind)
        )
    if kind in _ABSOLUTE:
        return overflow(info.kernel, info.struct_name, kind)
    value = _as_signed(distant.far.get(number, 0)) + addend
    if kind in _NEAR:
        if abs(value) < _SMALL:
            return None
        return overflow(info.kernel, info.struct_name, kind) if _LARGE < abs(value) < 1 << 46 else _cannot_tell(kind)
    bits = _SHORT.get(kind)
    if bits and info.symbol_sections[number] == target:
        distance = info.symbol_values[number] + addend - offset
        return None if -(1 << bits) <= distance < 1 << bits else overflow(info.kernel, info.struct_name, kind)
    return _cannot_tell(kind)


def _as_signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _cannot_tell(kind: int) -> Unknown:
    return Unknown(f"whether a relocation of type {kind} fits depends on the module's address")


def unresolved(kernel: TargetKernel, name: str, kind: int) -> Refusal | Unknown:
    """The result for a relocation that needs a weak symbol nearby when nothing exports it: its address is 0."""
    return NO_STUB if kind in _BRANCHES else overflow(kernel, name, kind)


def overflow(kernel: TargetKernel, name: str, kind: int) -> Refusal:
    """The refusal of a value that does not fit; the kernel appends the value, which depends on the address."""
    return refuse(f"{kernel.arm64_prefix}module {name}: overflow in relocation type {kind} val ")
