"""Where the kernel puts the sections of a module: which area of memory, and at which offset in it.

Newer kernels have an area for each kind of section, older ones two: one that stays, and one for the init sections.
Source: kernel/module/main.c, layout_sections(); arch/arm64/kernel/module-plts.c, module_frob_arch_sections().
"""

from functools import cached_property
from itertools import compress
from operator import not_
from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.schemas.elf import Rela, Symbol
from kinspect.schemas.record import column, offsets, size_of
from kinspect.views.loader.kernel import Order
from kinspect.views.loader.load_info import PLT, LoadInfo

BRANCHES = frozenset((282, 283))
"""Calls and jumps: the kernel makes a stub for a target that is too far away."""
_STUB, _TRAMPOLINE_STUBS = 12, 1
RO_AFTER_INIT = 0x00200000
"""SHF_RO_AFTER_INIT, which the kernel sets itself. Source: include/linux/elf.h."""
_RELA = size_of(Rela)
_WRAP, _KALLSYMS = 0xFFFFFFFF, 32
"""The size of struct mod_kallsyms."""


class MemoryType:
    """The kinds of sections, in the order in which they are laid out. Source: enum mod_mem_type."""

    TEXT, RODATA, RO_AFTER_INIT, DATA = range(4)


class Area(NamedTuple):
    """An area of memory: for init sections or not, and the kind; older kernels have one kind."""

    init: bool
    kind: int


class Place(NamedTuple):
    """An offset in an area; without one, in the copy of the file, which holds what the kernel does not load."""

    area: Area | None
    offset: int


def kind_of(flags: int) -> int:
    """The kind of a section by its flags."""
    if flags & elf.SHF_EXECINSTR:
        return MemoryType.TEXT
    if not flags & elf.SHF_WRITE:
        return MemoryType.RODATA
    return MemoryType.RO_AFTER_INIT if flags & RO_AFTER_INIT else MemoryType.DATA


def not_kept(info: LoadInfo) -> set[int]:
    """The loaded sections that the kernel reads in the file instead."""
    return {info.index[name] for name in ("info", "vers", "ext_crc", "ext_name", "pcpu")} - {0}


def _appended(sizes: dict[Area, int], area: Area, alignment: int, size: int) -> Place:
    """The place of what is appended to an area. Source: module_get_offset_and_type()."""
    # The kernel counts in 32 bits: an alignment of 4 GiB and more starts again at 0.
    mask = ((alignment or 1) - 1) & _WRAP
    offset = (sizes.get(area, 0) + mask) & ~mask & _WRAP
    sizes[area] = (offset + size) & _WRAP
    return Place(area, offset)


class Areas:
    """The areas of a module; its numbers are those of a module that has passed the tests before."""

    def __init__(self, info: LoadInfo) -> None:
        self.info = info
        self.read_only = 0  # the end of what becomes read-only, in older kernels
        self.kept = Place(None, 0), 0  # where the symbols that stay are copied to, and how many bytes they have

    @cached_property
    def _laid_out(self) -> tuple[dict[int, Place], dict[Area, int]]:
        older = self.info.kernel.order is Order.FIRST
        places: dict[int, Place] = {}
        sizes: dict[Area, int] = {}
        for kind, numbers in sorted(self._kinds().items()):
            area = Area(kind.init, 0) if older else kind
            for number in numbers:
                places[number] = _appended(sizes, area, *self._header(number))
            if older:
                sizes[area] = self.page_end(sizes[area])
                if kind.kind != MemoryType.DATA and not kind.init:
                    self.read_only = sizes[area]
        sections, index = self.info.sections, self.info.index
        stays, init = (Area(found, 0 if older else MemoryType.DATA) for found in (False, True))
        kept = self._kept_symbols(places)
        self.kept = _appended(sizes, stays, sections.alignments[index["sym"]], kept), kept
        for number in (index["sym"], index["str"]):
            places[number] = _appended(sizes, init, sections.alignments[number], sections.sizes[number])
        sizes[init] = (sizes[init] + 7 & ~7) + _KALLSYMS + len(self.info.symbol_sections)
        return places, sizes

    def _kept_symbols(self, places: dict[int, Place]) -> int:
        """The bytes of the symbols that stay, with their names. Source: kernel/module/kallsyms.c, layout_symtab()."""
        info, size = self.info, size_of(Symbol)
        start, names = info.sections.offsets[info.index["str"]], column(Symbol, "st_name", info.symbol_table)
        stay = {number for number, place in places.items() if place.area is not None and not place.area.init}
        kept = [name for section, name in zip(info.symbol_sections, names, strict=True) if name and section in stay]
        texts = sum(len(info.text_at(start + name) or "") for name in kept)
        return size + 2 + len(kept) * (size + 2) + texts

    def _kinds(self) -> dict[Area, list[int]]:
        """The loaded sections of each kind."""
        info, gone = self.info, not_kept(self.info)
        read_only = {info.find(b".data..ro_after_init"), info.find(b"__jump_table")}
        found: dict[Area, list[int]] = {}
        for number, name in enumerate(info.names):
            flags, init = info.sections.flags[number], (name or b"").startswith(b".init")
            if number in info.stubs:
                flags |= elf.SHF_ALLOC | elf.SHF_EXECINSTR
            if number in read_only:
                flags |= RO_AFTER_INIT
            if flags & elf.SHF_ALLOC and number not in gone:
                found.setdefault(Area(init, kind_of(flags)), []).append(number)
        return found

    def _header(self, number: int) -> tuple[int, int]:
        """The alignment and the size of a section, with those that the kernel fills itself."""
        sections, name = self.info.sections, self.info.names[number]
        if number in self.info.stubs and name in PLT:
            return 64, (self.stubs[name == PLT[1]] + 1) * _STUB
        if number in self.info.stubs:
            return 4, _TRAMPOLINE_STUBS * _STUB
        return sections.alignments[number], sections.sizes[number]

    @cached_property
    def stubs(self) -> tuple[int, int]:
        """The number of stubs that there is room for, in the part that stays and in that for init code."""
        info, sections = self.info, self.info.sections
        counts = [0, 0]
        for number, kind in enumerate(sections.types):
            target = sections.infos[number]
            if kind != elf.SHT_RELA or target >= info.count or not sections.flags[target] & elf.SHF_EXECINSTR:
                continue
            data = info.bytes_of(number)
            rows = memoryview(data[: len(data) - len(data) % _RELA])
            infos, addends = rows.cast("Q")[1::3], rows.cast("q")[2::3]
            # Rows without an addend share a stub.
            shared = set(compress(infos, map(not_, addends)))
            own = list(compress(infos, addends))
            found = {r_info for r_info in shared.union(own) if self._leaves(target, r_info)}
            count = len(found & shared) + sum(map(found.__contains__, own))
            counts[(info.names[target] or b"").startswith(b".init")] += count
        return counts[0], counts[1]

    def _leaves(self, target: int, r_info: int) -> bool:
        """Whether a relocation is a branch out of its section."""
        return r_info & 0xFFFFFFFF in BRANCHES and self.section_in_file(r_info >> 32) != target

    def section_in_file(self, symbol: int) -> int:
        """The section of a symbol, or of what lies there in the file when the table is shorter."""
        if symbol < len(self.info.symbol_sections):
            return self.info.symbol_sections[symbol]
        start = self.info.sections.offsets[self.info.index["sym"]] + symbol * size_of(Symbol)
        start += offsets(Symbol)["st_shndx"]
        return int.from_bytes(self.info.data[start : start + 2], "little")

    def page_end(self, size: int) -> int:
        """A size rounded up to whole pages."""
        return size + -size % self.info.kernel.page_size

    @property
    def places(self) -> dict[int, Place]:
        """The place of each section that the kernel loads, by number."""
        return self._laid_out[0]

    @property
    def sizes(self) -> dict[Area, int]:
        """The size of each area in bytes, modulo 2^32 as in the kernel."""
        return self._laid_out[1]

    def place(self, number: int) -> Place:
        """The place of any section."""
        return self.places.get(number) or Place(None, self.info.sections.offsets[number])

    def room(self, place: Place) -> int:
        """The bytes from a place to the end of the memory that is certainly there."""
        if place.area is None:
            return len(self.info.data) - place.offset
        return self.page_end(self.sizes[place.area]) - place.offset
