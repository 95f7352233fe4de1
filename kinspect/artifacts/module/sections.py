"""A module's ELF as it stands, sound or not: its sections, and what the kernel does not take of them.

The kernel looks at the same things in the same order before it reads anything else of a module.
Source: kernel/module/main.c, elf_validity_cache_copy().
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple
from weakref import WeakKeyDictionary

from kinspect.artifacts.elf.section_table import section_columns
from kinspect.artifacts.module.ko import Module
from kinspect.errors import KinspectError, Location, MalformedError, UnsupportedError, WrongKindError
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, SectionHeader, Symbol
from kinspect.schemas.record import column, offsets, size_of


class Stage(StrEnum):
    """What a problem is in. Where one has a problem, those after it are not looked at."""

    FILE = "file"  # it cannot be decompressed
    HEADER = "header"
    TABLE = "section table"
    CONTENTS = "contents of sections"
    SYMBOLS = "symbols"


class Sections(NamedTuple):
    """The section headers, a column for each field. `names` are empty for sections of no type."""

    names: Sequence[bytes]
    types: Sequence[int]
    flags: Sequence[int]
    offsets: Sequence[int]
    sizes: Sequence[int]
    links: Sequence[int]
    infos: Sequence[int]
    entry_sizes: Sequence[int]

    def numbered(self, name: bytes) -> list[int]:
        """The numbers of the sections of a name."""
        return [number for number, other in enumerate(self.names) if other == name]

    def of_type(self, *types: int) -> list[int]:
        """The numbers of the sections of some types."""
        return [number for number, kind in enumerate(self.types) if kind in types]


class Problem(NamedTuple):
    """What is wrong, as the error that reading it would raise."""

    layer: Stage
    error: KinspectError


class ModuleElf(NamedTuple):
    """The sections, when their table can be read, and all problems; `readable` when there are none."""

    sections: Sections | None
    problems: tuple[Problem, ...]

    def problems_in(self, *layers: Stage) -> Iterator[KinspectError]:
        """The problems of some layers."""
        return (problem.error for problem in self.problems if problem.layer in layers)

    @property
    def readable(self) -> Sections | None:
        """The sections, when nothing is wrong with them."""
        return None if self.problems else self.sections


_known: "WeakKeyDictionary[Module, ModuleElf]" = WeakKeyDictionary()


def module_elf(module: Module) -> ModuleElf:
    """The ELF of a module. It is looked at once for each module, however often it is asked for.

    Raises UnreadableError alone.
    """
    found = _known.get(module)
    if found is None:
        found = _known[module] = _looked_at(module)
    return found


def _looked_at(module: Module) -> ModuleElf:
    layer = Stage.FILE
    try:
        _ = module.data
        layer = Stage.HEADER
        header = module.header
        layer = Stage.TABLE
        sections = _sections(module, header)
    except (MalformedError, WrongKindError, UnsupportedError) as error:
        return ModuleElf(None, (Problem(layer, error),))
    problems = tuple(Problem(Stage.CONTENTS, error) for error in _past_the_end(module, sections))
    if not problems:
        problems = tuple(Problem(Stage.SYMBOLS, error) for error in _in_symbols(module, sections))
    return ModuleElf(sections, problems)


def field_of(module: Module, number: int, name: bytes, field: str) -> Location:
    """The place of a field in a section header."""
    offset = module.header.e_shoff + number * size_of(SectionHeader) + offsets(SectionHeader)[field]
    return module.at(f"section {shown(name)}: {field}", offset)


def shown(name: bytes) -> str:
    """A name as text."""
    return name.decode("utf-8", "backslashreplace")


def _field(module: Module, field: str) -> Location:
    return module.at(field, offsets(ElfHeader)[field])


def _sections(module: Module, header: ElfHeader) -> Sections:
    data, size = module.data, size_of(SectionHeader)
    if header.e_shentsize != size:
        at = _field(module, "e_shentsize")
        raise MalformedError("section headers of another size", at, expected=size, actual=header.e_shentsize)
    end = header.e_shoff + header.e_shnum * size
    if end > len(data):
        expected = f"at most {len(data):,}"
        raise MalformedError(
            "the section table ends past the file", _field(module, "e_shoff"), expected=expected, actual=end
        )
    if not 0 < header.e_shstrndx < header.e_shnum:
        expected = f"1 to {header.e_shnum - 1}"
        raise MalformedError(
            "no section holds the names of sections",
            _field(module, "e_shstrndx"),
            expected=expected,
            actual=header.e_shstrndx,
        )
    columns = section_columns(memoryview(data)[header.e_shoff : end])
    types, starts, sizes = columns.types, columns.offsets, columns.sizes
    if types[0] or sizes[0] or columns.addresses[0]:
        raise MalformedError("section 0 is not empty", module.at("section header 0", header.e_shoff))
    start, length = starts[header.e_shstrndx], sizes[header.e_shstrndx]
    names = data[start : start + length]
    if len(names) < length or not names.endswith(b"\0"):
        raise MalformedError("the names of sections do not end", module.at(".shstrtab", start), expected="a NUL")
    found = []
    for number, (title, kind) in enumerate(zip(columns.names, types, strict=True)):
        if kind and title >= length:
            at = field_of(module, number, f"<{number}>".encode(), "sh_name")
            raise MalformedError("a section without a name", at, expected=f"below {length:,}", actual=title)
        found.append(names[title : names.index(b"\0", title)] if kind else b"")
    return Sections(found, types, columns.flags, starts, sizes, columns.links, columns.infos, columns.entry_sizes)


def _past_the_end(module: Module, sections: Sections) -> Iterator[KinspectError]:
    """The sections that end past the file; the signature is no part of it for the kernel."""
    end = len(module.data)
    signed = module.trailer
    if signed and signed.start >= 0:
        end = signed.start
    rows = zip(sections.types, sections.offsets, sections.sizes, strict=True)
    for number, (kind, offset, size) in enumerate(rows):
        if kind not in (0, elf.SHT_NOBITS) and offset + size > end:
            name = sections.names[number]
            yield MalformedError(
                f"{shown(name)} ends past the file",
                field_of(module, number, name, "sh_offset"),
                expected=f"at most {end:,}",
                actual=offset + size,
            )


def _in_symbols(module: Module, sections: Sections) -> Iterator[KinspectError]:
    tables = sections.of_type(elf.SHT_SYMTAB)
    if len(tables) != 1:
        problem = "no symbol table: stripped" if not tables else "more than one symbol table"
        yield MalformedError(problem, module.at(".symtab"), expected="one", actual=len(tables))
        return
    number, row = tables[0], size_of(Symbol)
    name, size, link = sections.names[number], sections.sizes[number], sections.links[number]
    if sections.entry_sizes[number] != row or size % row:
        at = field_of(module, number, name, "sh_entsize")
        yield MalformedError("the symbols are not rows of 24 bytes", at, expected=row, actual=size)
        return
    if link >= len(sections.types) or sections.types[link] != elf.SHT_STRTAB:
        at = field_of(module, number, name, "sh_link")
        yield MalformedError("no section holds the names of symbols", at, expected="a string table", actual=link)
        return
    strings, length = sections.offsets[link], sections.sizes[link]
    names = module.data[strings : strings + length]
    if not names.startswith(b"\0") or not names.endswith(b"\0"):
        yield MalformedError("the names of symbols do not begin and end", module.at(".strtab", strings), expected="NUL")
        return
    start = sections.offsets[number]
    largest = max(column(Symbol, "st_name", memoryview(module.data)[start : start + size]), default=0)
    if largest >= length:
        at = module.at(".symtab", start)
        yield MalformedError("a symbol without a name", at, expected=f"below {length:,}", actual=largest)
