"""The kernel's tests of relocations: their types, and whether what they make fits where it goes.

Where a module will lie is not known, but all of it lies within 2 GiB of itself and of the kernel. So a relocation with
a small addend fits, and one with an addend beyond 16 GiB does not; what is between depends on the address.
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
"""SHF_RELA_LIVEPATCH: such a section is for a kernel with live patching, and no other looks at it."""
_LIVEPATCH_SYMBOL = 0xFF20
_NONE = frozenset((0, 256))
_ANY_VALUE = frozenset((257, 260, 264, 266, 268, 269, 276, 277, 278, 284, 285, 286, 288, 290, 292, 293, 299))
"""Types that take any value: 64 bits wide, or written for it (`_NC`)."""
_BRANCHES = frozenset((282, 283))
"""Calls and jumps: for a target too far away the kernel makes a stub."""
PREL32 = 261
_NEAR = frozenset((PREL32, 275))
"""PREL32 and ADR_PREL_PG_HI21: within 2 and 4 GiB."""
_SHORT = {273: 20, 274: 20, 279: 15, 280: 20}
"""Types within one section, by the bits of their range: loads, addresses and branches of one instruction."""
_OTHERS = frozenset((258, 259, 262, 263, 265, 267, 270, 271, 272, 287, 289, 291))
"""Types with less room than an address takes, which compilers do not write for modules."""
_ABSOLUTE = frozenset((258, 259))
"""R_AARCH64_ABS32 and ABS16: no address fits."""
_SUPPORTED = _NONE | _ANY_VALUE | _BRANCHES | _NEAR | _SHORT.keys() | _OTHERS
_FREE = _NONE | _ANY_VALUE
_WIDTHS = {0: 0, 256: 0, 257: 8, 260: 8, 259: 2, 262: 2}
_SMALL, _LARGE, _REACH = 1 << 27, 1 << 34, 1 << 31
NO_STUB = Unknown("a branch goes too far for a stub, which the kernel does not test: it may stop")


class RelocationResult(NamedTuple):
    """What the kernel says of them; and which weak symbols they reach for as if they were near: the type by name."""

    result: Result
    weak: dict[str, int]


def relocations(attempt: LoadInfo, weak: dict[int, str]) -> RelocationResult:
    """The relocations of all loaded sections; `weak` are the names of weak undefined symbols by their number."""
    near: dict[str, int] = {}
    distant = _distant(attempt)
    for number, table in _tables(attempt):
        if table is None:
            return RelocationResult(refuse(f"module {attempt.struct_name}: REL relocation unsupported"), near)
        result = _table(attempt, attempt.sections.infos[number], table, distant, weak, near)
        if result is not None:
            return RelocationResult(result, near)
    return RelocationResult(None, near)


def _tables(attempt: LoadInfo) -> Iterator[tuple[int, bytes | None]]:
    """The tables of relocations that count, with their section's number; None for one of a kind that arm64 has not."""
    sections, index, gone = attempt.sections, attempt.index, _not_kept(attempt)
    if attempt.kernel.order is Order.FIRST:
        gone.add(index["pcpu"])
    for number, kind in enumerate(sections.types):
        target = sections.infos[number]
        if kind not in (elf.SHT_RELA, _REL) or not number or target >= attempt.count or target in gone:
            continue
        loaded = sections.flags[target] & elf.SHF_ALLOC or attempt.names[target] in (b".plt", b".init.plt")
        if loaded and not sections.flags[number] & _LIVEPATCH:
            yield number, attempt.bytes_of(number) if kind == elf.SHT_RELA else None


def relocations_of(attempt: LoadInfo, target: int) -> Iterator[tuple[int, int, int, int]]:
    """The relocations of one section: place, type, number of the symbol, addend. Those of no symbol are left out."""
    for number, data in _tables(attempt):
        if target and data and attempt.sections.infos[number] == target:
            for offset, info, addend in table_row(Rela).iter_unpack(data[: len(data) - len(data) % _ROW]):
                if info >> 32 < len(attempt.symbol_sections):
                    yield offset, info & 0xFFFFFFFF, info >> 32, addend


def _not_kept(attempt: LoadInfo) -> set[int]:
    """The sections that the kernel reads and does not keep."""
    return {attempt.index[name] for name in ("info", "vers", "ext_crc", "ext_name")}


class _Distant(NamedTuple):
    """Symbols that may be anywhere, by number: their absolute value, or None when their address is not known.

    `far` are those of the module whose value is no place in it; `symbols` how many symbols there are.
    """

    absolute: dict[int, int | None]
    far: dict[int, int]
    symbols: int


def _distant(attempt: LoadInfo) -> _Distant:
    sections, values = attempt.symbol_sections, attempt.symbol_values
    flags = attempt.sections.flags
    absolute: dict[int, int | None] = {}
    loose = {n for n, flag in enumerate(flags) if not flag & elf.SHF_ALLOC and attempt.names[n] != PER_CPU}
    loose |= _not_kept(attempt)
    for number in set(sections) - {elf.SHN_UNDEF}:
        if number >= attempt.count or number in loose:
            value_of = values if number == elf.SHN_ABS else None
            for at, section in enumerate(sections):
                if section == number:
                    absolute[at] = value_of[at] if value_of else None
    far = {}
    if max(values, default=0) > _SMALL:
        far = {at: value for at, value in enumerate(values) if value > _SMALL and sections[at] and at not in absolute}
    return _Distant(absolute, far, len(sections))


def _table(
    attempt: LoadInfo, target: int, data: bytes, distant: _Distant, weak: dict[int, str], near: dict[str, int]
) -> Result:
    """One table: mostly nothing in it is unusual, and a look at its columns tells so."""
    data = data[: len(data) - len(data) % _ROW]
    if not data:
        return None
    words, room = memoryview(data).cast("I"), attempt.sections.sizes[target]
    types = set(words[2::6])
    # What is signed is as it was built: only what no kernel takes can be wrong there.
    odd = weak.keys() if attempt.signed else distant.absolute.keys() | distant.far.keys() | weak.keys()
    if types <= (_SUPPORTED if attempt.signed else _FREE | _BRANCHES | _NEAR):
        numbers = set() if attempt.signed and not odd else set(words[3::6])
        if odd.isdisjoint(numbers) and (attempt.signed or _usual(data, max(numbers) < distant.symbols, room)):
            return None
    for offset, info, addend in table_row(Rela).iter_unpack(data):
        kind, number = info & 0xFFFFFFFF, info >> 32
        if number >= distant.symbols:
            return Unknown("a relocation names a symbol beyond the table: the kernel does not look")
        if kind not in _SUPPORTED:
            return refuse(f"{attempt.kernel.arm64}module {attempt.struct_name}: unsupported RELA relocation: {kind}")
        if offset + _WIDTHS.get(kind, 4) > room:
            return Unknown("a relocation lies outside of its section: the kernel writes past")
        if number in weak and kind not in _FREE:
            near[weak[number]] = kind
            continue
        result = _fits(attempt, target, distant, kind, number, offset, addend)
        if result is not None:
            return result
    return None


def _usual(data: bytes, named: bool, room: int) -> bool:
    """Whether all places are in the section and all addends small; `named`, whether all symbols are there."""
    addends = column(Rela, "r_addend", data)
    inside = named and max(column(Rela, "r_offset", data)) + 8 <= room
    return inside and max(addends) < _SMALL and min(addends) > -_SMALL


def _fits(
    attempt: LoadInfo, target: int, distant: _Distant, kind: int, number: int, offset: int, addend: int
) -> Result:
    if kind in _FREE:
        return None
    if kind in _BRANCHES:
        value = _as_signed(distant.far.get(number, 0)) + addend
        return NO_STUB if number in distant.absolute or abs(value) >= _REACH else None
    if number in distant.absolute:
        address = distant.absolute[number]
        if address is None:
            return Unknown("a relocation reaches for a section that is not loaded")
        value = (address + addend) & (1 << 64) - 1
        # A module lies high in the address space: nothing below 2^46 is near.
        return (
            overflow(attempt.kernel, attempt.struct_name, kind)
            if kind in _NEAR and value < 1 << 46
            else _cannot_tell(kind)
        )
    if kind in _ABSOLUTE:
        return overflow(attempt.kernel, attempt.struct_name, kind)
    value = _as_signed(distant.far.get(number, 0)) + addend
    if kind in _NEAR:
        if abs(value) < _SMALL:
            return None
        return (
            overflow(attempt.kernel, attempt.struct_name, kind) if _LARGE < abs(value) < 1 << 46 else _cannot_tell(kind)
        )
    bits = _SHORT.get(kind)
    if bits and attempt.symbol_sections[number] == target:
        distance = attempt.symbol_values[number] + addend - offset
        return None if -(1 << bits) <= distance < 1 << bits else overflow(attempt.kernel, attempt.struct_name, kind)
    return _cannot_tell(kind)


def _as_signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _cannot_tell(kind: int) -> Unknown:
    return Unknown(f"whether a relocation of type {kind} fits depends on where the module lies")


def unresolved(kernel: TargetKernel, name: str, kind: int) -> Refusal | Unknown:
    """What comes of a relocation that needs a symbol near which nobody has: its address is 0."""
    return NO_STUB if kind in _BRANCHES else overflow(kernel, name, kind)


def overflow(kernel: TargetKernel, name: str, kind: int) -> Refusal:
    """What the kernel says of a value that does not fit; it adds the value, which the files do not tell."""
    return refuse(f"{kernel.arm64}module {name}: overflow in relocation type {kind} val ")
