"""The kernel's tests of relocations: their types, and whether their values fit.

Source: arch/arm64/kernel/module.c, apply_relocate_add(); arch/arm64/kernel/module-plts.c, module_emit_plt_entry().
"""

from functools import cached_property
from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.schemas.elf import Rela, Symbol
from kinspect.schemas.module import ThisModule
from kinspect.schemas.record import column, offsets, size_of, table_row
from kinspect.views.loader.elf import refuse
from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.relocation.areas import BRANCHES, Areas, not_kept
from kinspect.views.loader.relocation.memory import Memory
from kinspect.views.loader.relocation.rows import (
    PREL32,
    address_at,
    relocation_tables,
    relocations_of,
    symbol_address,
    width_of,
)
from kinspect.views.loader.relocation.values import (
    Address,
    AddressSpace,
    Range,
    Space,
    address_space,
    distances,
    fits,
    has_types_among,
    values,
)
from kinspect.views.loader.verdict import Crash, Refusal, Result, Unknown

_ROW = size_of(Rela)
_NONE = frozenset((0, 256))
_FREE = _NONE | {257, 260, 264, 266, 268, 269, 276, 277, 278, 284, 285, 286, 288, 290, 292, 293, 299}
"""Types that take any value: 64 bits wide, or not checked (`_NC`)."""
_PAGE = 275
_NEAR = frozenset((PREL32, _PAGE))
_ABSOLUTE: dict[int, Range] = {
    258: (0, (1 << 32) - 1),
    259: (0, (1 << 16) - 1),
    263: (0, (1 << 16) - 1),
    265: (0, (1 << 32) - 1),
    267: (0, (1 << 48) - 1),
    270: (-(1 << 16), (1 << 16) - 1),
    271: (-(1 << 32), (1 << 32) - 1),
    272: (-(1 << 48), (1 << 48) - 1),
}
"""The values that types of absolute addresses take."""
_RELATIVE = {
    PREL32: 31,
    262: 15,
    273: 20,
    274: 20,
    _PAGE: 32,
    279: 15,
    280: 20,
    282: 27,
    283: 27,
    287: 16,
    289: 32,
    291: 48,
}
"""The reach of types of distances, as a power of two in each direction."""
_SUPPORTED = _FREE | _ABSOLUTE.keys() | _RELATIVE.keys()
_LOW_BYTES = bytes(kind - 256 for kind in _SUPPORTED if kind > 255)
"""The supported types above 255, of which all but a few modules have no others, without 256."""
_SMALL, _STUB_REACH = 1 << 26, 1 << 32
_POINTER, _LONGEST_NAME = 257, 56


class RelocationResult(NamedTuple):
    """The result of the tests, and the results for weak symbols that nothing exports, by the symbol's name."""

    result: Result
    weak: dict[str, Result]


def relocations(info: LoadInfo, weak: dict[int, str]) -> RelocationResult:
    """Test the relocations of all loaded sections; `weak` has the names of weak undefined symbols by number."""
    tables = _Relocations(info, weak)
    for _, target, data in relocation_tables(info):
        if data is None:
            result: Result = refuse(f"module {info.struct_name}: REL relocation unsupported")
        else:
            result = tables.test(target, data)
        if result is not None:
            return RelocationResult(result, tables.unresolved)
    return RelocationResult(None, tables.unresolved)


class _Relocations:
    """The tests of one module's relocations."""

    def __init__(self, info: LoadInfo, weak: dict[int, str]) -> None:
        self.info, self.weak = info, weak
        self.areas = Areas(info)
        self.unresolved: dict[str, Result] = {}
        self.symbols = len(info.symbol_sections)
        self.uncounted = [0, 0]  # branches that the kernel made no room for, in the part that stays and in init code
        self.odd = set(weak) if info.signed else set(weak) | self._distant()

    @cached_property
    def memory(self) -> AddressSpace:
        """The kernel's addresses. They are seldom needed, and looking for a .config takes a while."""
        kernel = self.info.kernel
        return address_space(kernel.address_bits, randomized=kernel.randomized, direct=kernel.direct_modules)

    def _distant(self) -> set[int]:
        """The symbols that may not be near: absolute ones, those of what is not loaded, and with a large value."""
        info, sections = self.info, self.info.symbol_sections
        loose = {n for n, flag in enumerate(info.sections.flags) if not flag & elf.SHF_ALLOC}
        loose |= not_kept(info)
        distant = {number for number in set(sections) - {elf.SHN_UNDEF} if number >= info.count or number in loose}
        values = info.symbol_values
        large = max(values, default=0) > _SMALL
        found = {0}
        if distant or large:
            found |= {at for at, section in enumerate(sections) if section in distant or values[at] > _SMALL}
        return found

    def test(self, target: int, data: bytes) -> Result:
        """Test a table. In most nothing is unusual, which its columns show without a look at each row."""
        info = self.info
        data = data[: len(data) - len(data) % _ROW]
        if not data:
            return None
        if target in (info.index["sym"], info.index["str"]):
            return Crash("a relocation overwrites symbols")
        if info.signed and not self.odd and has_types_among(data, _LOW_BYTES):
            return None
        columns, room = memoryview(data).cast("I"), info.sections.sizes[target]
        types = set(columns[2::6])
        stubs = info.signed or info.sections.flags[target] & elf.SHF_EXECINSTR or types.isdisjoint(BRANCHES)
        # A module with a valid signature is as it was built: only types that no kernel takes can be wrong there.
        plain = stubs and (info.signed or target != info.index["mod"])
        if plain and types <= (_SUPPORTED if info.signed else _FREE | BRANCHES | _NEAR):
            numbers = set() if info.signed and not self.odd else set(columns[3::6])
            if self.odd.isdisjoint(numbers) and (info.signed or _usual(data, max(numbers) < self.symbols, room)):
                return None
        for offset, r_info, addend in table_row(Rela).iter_unpack(data):
            result = self._row(target, r_info & 0xFFFFFFFF, r_info >> 32, offset, addend)
            if result is not None:
                return result
        return None

    def _row(self, target: int, kind: int, number: int, offset: int, addend: int) -> Result:
        info = self.info
        if number >= self.symbols and (beyond := self._beyond(number)):
            return beyond
        if kind not in _SUPPORTED:
            return refuse(f"{info.kernel.arm64_prefix}module {info.struct_name}: unsupported RELA relocation: {kind}")
        width = width_of(kind)
        if offset + width > info.sections.sizes[target] and width:
            result = self._outside(target, offset, width)
            if result is not None:
                return result
        if target == info.index["mod"] and (overwritten := self._struct(offset, width, kind)):
            return overwritten
        if kind in _FREE:
            return None
        if number not in self.weak:
            address = self._address(number) or Address(Space.KERNEL, 0)
            return self._fits(address, target, kind, number, offset, addend)
        resolved = self._fits(Address(Space.KERNEL, 0), target, kind, number, offset, addend)
        alone = self._fits(Address(Space.ABSOLUTE, info.symbol_values[number]), target, kind, number, offset, addend)
        if resolved is None and self.unresolved.get(self.weak[number]) is None:
            self.unresolved[self.weak[number]] = alone
        return resolved

    def _beyond(self, number: int) -> Result:
        if (number + 1) * size_of(Symbol) > self.areas.room(self.areas.place(self.info.index["sym"])):
            return Crash("a relocation refers to a symbol beyond the table, in unmapped memory")
        if self._address(number) is None:
            return Unknown("a relocation refers to a symbol beyond the table, and the kernel does not check that")
        return None

    def _address(self, number: int) -> Address | None:
        """The address of a symbol; beyond the table it is what lies there in memory. None when that is not known."""
        if number < self.symbols:
            return symbol_address(self.info, self.areas, number)
        row = address_at(self.areas, self.info.index["sym"], number * size_of(Symbol) + offsets(Symbol)["st_value"])
        value = Memory(self.info).known(row, 8)
        return None if value is None else Address(Space.ABSOLUTE, int.from_bytes(value, "little"))

    def _outside(self, target: int, offset: int, width: int) -> Result:
        """What is written behind the section: memory that is not there, the kernel's own struct, or something else."""
        place = self.areas.place(target)
        offset -= offset >> 63 << 64
        if offset + width > self.areas.room(place) or place.offset + offset < 0:
            return Crash("a relocation lies outside its section, and the kernel writes there")
        own = self.areas.place(self.info.index["mod"])
        start = place.offset + offset
        if place.area == own.area and own.offset - width < start < own.offset + (self.info.kernel.struct_size or 4096):
            return self._struct(start - own.offset, width, 0)
        return None

    def _struct(self, offset: int, width: int, kind: int) -> Result:
        """What a relocation of struct module does; those of a linker set two pointers to functions."""
        if not width:
            return None
        if self._lost or _overlaps_list(offset, width):
            return Crash("a relocation overwrites the list of modules in struct module")
        if kind != _POINTER or offset < offsets(ThisModule)["name"] + _LONGEST_NAME:
            return Unknown("a relocation overwrites struct module")
        return None

    @cached_property
    def _lost(self) -> bool:
        """Whether a relocation of struct module overwrites the list that it is in."""
        rows = relocations_of(self.info, self.info.index["mod"])
        return any(_overlaps_list(offset, width_of(kind)) for offset, kind, _, _ in rows)

    def _fits(self, symbol: Address, target: int, kind: int, number: int, offset: int, addend: int) -> Result:
        info = self.info
        value = symbol._replace(offset=symbol.offset + addend)
        if kind in _ABSOLUTE:
            fitting = fits(values(value, self.memory), _ABSOLUTE[kind])
        else:
            place, goal, reach = address_at(self.areas, target, offset), value, 1 << _RELATIVE[kind]
            if kind == _PAGE:
                goal, place = (found._replace(offset=found.offset & ~0xFFF) for found in (value, place))
            fitting = fits(distances(goal, place, self.memory), (-reach, reach - 1))
        if fitting:
            return None
        if kind in BRANCHES:
            return self._stub(target, number, value, address_at(self.areas, target, offset), fitting)
        if fitting is None:
            return Unknown(f"whether a relocation of type {kind} fits depends on the module's address")
        exact = value.offset & (1 << 64) - 1 if symbol.space is Space.ABSOLUTE else None
        return _overflow(info.kernel, info.struct_name, kind, exact)

    def _stub(self, target: int, number: int, value: Address, place: Address, fitting: bool | None) -> Result:
        """A branch that needs a stub: whether there is room for it, and whether the stub reaches `value`."""
        info, init = self.info, self._in_init(target)
        counted = info.sections.flags[target] & elf.SHF_EXECINSTR and self.areas.section_in_file(number) != target
        reaches = fits(distances(value, place, self.memory), (-_STUB_REACH, _STUB_REACH - 1))
        if not reaches and self._stubs[init].count(self._low_bits(number, value)) > bool(counted):
            return Unknown("a stub for a branch does not reach its target, and the kernel compares it with another")
        if counted:
            return None
        self.uncounted[init] += 1
        if self.uncounted[init] + len(self._stubs[init]) <= self.areas.stubs[init]:
            return None
        if fitting is None or self.areas.stubs[init]:
            return Unknown("whether there is a stub for a branch depends on the module's address")
        return refuse()

    def _in_init(self, target: int) -> bool:
        return (self.info.names[target] or b"").startswith(b".init")

    def _low_bits(self, number: int, value: Address) -> tuple[int, int]:
        """What two stubs have in common that the kernel compares: the bits of an address within its page."""
        return number if value.space is Space.KERNEL else 0, value.offset & 0xFFF

    @cached_property
    def _stubs(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The stubs that branches in code may need, of those that there is room for: the low bits of each."""
        info = self.info
        found: tuple[list[tuple[int, int]], list[tuple[int, int]]] = [], []
        for _, target, data in relocation_tables(info):
            if not data or not info.sections.flags[target] & elf.SHF_EXECINSTR:
                continue
            for offset, r_info, addend in table_row(Rela).iter_unpack(data[: len(data) - len(data) % _ROW]):
                kind, number = r_info & 0xFFFFFFFF, r_info >> 32
                if kind not in BRANCHES or number >= self.symbols or info.symbol_sections[number] == target:
                    continue
                goal, place = symbol_address(info, self.areas, number), address_at(self.areas, target, offset)
                reach, far = 1 << _RELATIVE[kind], goal._replace(offset=goal.offset + addend)
                if not fits(distances(far, place, self.memory), (-reach, reach - 1)):
                    found[self._in_init(target)].append(self._low_bits(number, far))
        return found


def _overlaps_list(offset: int, width: int) -> bool:
    """Whether a relocation in struct module writes over `list`."""
    return width > 0 and offset < offsets(ThisModule)["name"] and offset + width > offsets(ThisModule)["list_next"]


def _usual(data: bytes, named: bool, room: int) -> bool:
    """Whether all offsets lie in the section and all addends are small; `named` says that all symbols exist."""
    addends = column(Rela, "r_addend", data)
    inside = named and max(column(Rela, "r_offset", data)) + 8 <= room
    return inside and max(addends) < _SMALL and min(addends) > -_SMALL


def _overflow(kernel: TargetKernel, name: str, kind: int, value: int | None) -> Refusal:
    """The refusal of a value that does not fit; the kernel appends the value, which may depend on the address."""
    exact = "" if value is None else f"{value:x}"
    return refuse(f"{kernel.arm64_prefix}module {name}: overflow in relocation type {kind} val {exact}")
