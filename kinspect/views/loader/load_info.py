"""A module while it is loaded: its bytes as load_module() reads them, sound or not.

Nothing here trusts the file and nothing refuses it: the kernel's tests are in the other modules of this folder.
Source: kernel/module/main.c, struct load_info.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TypeVar, cast

from kinspect.artifacts.elf.section_table import SectionColumns, section_columns
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, SectionHeader, Symbol
from kinspect.schemas.module import ThisModule
from kinspect.schemas.record import column, offsets, parse_table, size_of
from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.verdict import Signer

T = TypeVar("T")
PLT = (b".plt", b".init.plt")
TRAMPOLINES = (b".text.ftrace_trampoline", b".init.text.ftrace_trampoline")
STUB_SECTIONS = (*PLT, *TRAMPOLINES)
NAMELESS = "(missing .modinfo section or name field)"
_NAME = offsets(ThisModule)["name"]
LONGEST_TEXT = 4096
"""Bytes of a text that are kept: the kernel cuts the lines of its log after some hundred."""


def text_of(data: bytes) -> str:
    """Bytes of a module as text; bytes that are not ASCII become surrogates (`surrogateescape`)."""
    return data.decode("ascii", "surrogateescape")


class LoadInfo:
    """The bytes of a module, and what the tests have found in them so far.

    `file` has the bytes of the file; `data` those that the kernel can read, up to the end of the last page, where it
    has zeroed memory. `length` is the number of bytes without the signature, once that is read. `index` has the numbers
    of sections, 0 for those that are missing: info, mod, sym, str, vers, ext_crc, ext_name, pcpu. `forced` are the
    reasons for which the kernel would have to force it. `logged` are lines of its log that no verdict follows from.
    """

    def __init__(self, kernel: TargetKernel, data: bytes) -> None:
        self.kernel, self.file, self.length = kernel, data, len(data)
        self.data = data + bytes(-len(data) % kernel.page_size)
        self.index = dict.fromkeys(("info", "mod", "sym", "str", "vers", "ext_crc", "ext_name", "pcpu"), 0)
        self.signed = False
        self.signer: Signer | None = None
        self.name = ""
        self.forced: list[str] = []
        self.logged: list[str] = []
        self._views: dict[object, object] = {}

    def cached(self, view: "Callable[[LoadInfo], T]") -> T:
        """`view(self)`, computed on first use."""
        if view not in self._views:
            self._views[view] = view(self)
        return cast("T", self._views[view])

    @cached_property
    def header(self) -> ElfHeader:
        """The ELF header. A test makes sure first that it is there."""
        return parse_table(ElfHeader, self.data[: size_of(ElfHeader)])[0]

    @cached_property
    def sections(self) -> SectionColumns:
        """The section headers. A test makes sure first that they lie in the file."""
        start, size = self.header.e_shoff, self.header.e_shnum * size_of(SectionHeader)
        return section_columns(memoryview(self.data)[start : start + size])

    @property
    def count(self) -> int:
        """The number of sections."""
        return self.header.e_shnum

    @cached_property
    def names(self) -> list[bytes | None]:
        """The names of all sections; None for one outside the memory that holds the file."""
        start = self.sections.offsets[self.header.e_shstrndx]
        found: list[bytes | None] = []
        data = self.data
        for title in self.sections.names:
            end = data.find(b"\0", start + title)
            found.append(data[start + title : end] if end >= 0 else None)
        return found

    def find(self, name: bytes) -> int:
        """The number of the first loaded section of a name, as find_sec() returns it; 0 when there is none."""
        flags = self.sections.flags
        return next((number for number in self.numbered(name) if flags[number] & elf.SHF_ALLOC), 0)

    def numbered(self, name: bytes) -> list[int]:
        """The numbers of all sections of a name, loaded or not."""
        return self._numbers.get(name, [])

    @cached_property
    def _numbers(self) -> dict[bytes | None, list[int]]:
        found: dict[bytes | None, list[int]] = {}
        for number, name in enumerate(self.names):
            if number:
                found.setdefault(name, []).append(number)
        return found

    @cached_property
    def stubs(self) -> frozenset[int]:
        """The sections that the kernel fills itself: the last of each of some names. It marks them as loaded."""
        last = {name: number for number, name in enumerate(self.names) if name in STUB_SECTIONS and number}
        return frozenset(last.values())

    def unloaded(self, number: int) -> bytes:
        """The bytes of a section that the kernel reads in place in the file, without looking at its type."""
        start = self.sections.offsets[number]
        return self.data[start : start + self.sections.sizes[number]] if number else b""

    def bytes_of(self, number: int) -> bytes:
        """The contents of a section; empty for number 0 and for SHT_NOBITS."""
        sections = self.sections
        if not number or sections.types[number] == elf.SHT_NOBITS:
            return b""
        return self.data[sections.offsets[number] : sections.offsets[number] + sections.sizes[number]]

    def text_at(self, offset: int) -> str | None:
        """The text at an offset, up to its NUL; None when it does not end in the file."""
        end = self.data.find(b"\0", offset)
        return text_of(self.data[offset : min(end, offset + LONGEST_TEXT)]) if 0 <= offset <= end else None

    @cached_property
    def strings(self) -> str:
        """The section of the symbols' names, of any type: one character per byte, as in `text_of`."""
        return text_of(self.unloaded(self.index["str"]))

    @cached_property
    def symbol_table(self) -> bytes:
        """The whole rows of the symbol table."""
        data = self.bytes_of(self.index["sym"])
        return data[: len(data) - len(data) % size_of(Symbol)]

    @cached_property
    def symbol_sections(self) -> list[int]:
        """The section of each symbol."""
        return list(column(Symbol, "st_shndx", self.symbol_table))

    @cached_property
    def undefined(self) -> list[int]:
        """The numbers of the undefined symbols; the null symbol is none."""
        found, sections = [], self.symbol_sections
        with suppress(ValueError):
            at = 0
            while True:
                at = sections.index(0, at + 1)
                found.append(at)
        return found

    @cached_property
    def symbol_values(self) -> Sequence[int]:
        """The value of each symbol: its offset in its section."""
        return column(Symbol, "st_value", self.symbol_table)

    @cached_property
    def modinfo(self) -> dict[str, list[str]]:
        """The values of each key in `.modinfo`; the last one may end behind the section, which may be number 0.

        Source: kernel/module/main.c, get_next_modinfo().
        """
        number, found = self.index["info"], dict[str, list[str]]()
        start, size = self.sections.offsets[number], self.sections.sizes[number]
        last = max(start, start + size - 1 if number else start)
        for entry in text_of(self.data[start : self.data.find(b"\0", last)]).split("\0"):
            key, equals, value = entry.partition("=")
            if equals:
                found.setdefault(key, []).append(value)
        return found

    def get_modinfo(self, key: str) -> str | None:
        """The first value of a key, as get_modinfo() returns it; None when there is none."""
        values = self.modinfo.get(key)
        return values[0] if values else None

    @cached_property
    def struct_name(self) -> str:
        """The name in struct module, under which the kernel lists the module."""
        start = self.sections.offsets[self.index["mod"]] + _NAME
        return text_of(self.data[start : start + 56].split(b"\0", 1)[0])
