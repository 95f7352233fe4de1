"""The ELF of a module, valid or not: its sections, and the problems for which the kernel refuses it.

The kernel validates the same things in the same order before it reads anything else of a module.
Source: kernel/module/main.c, elf_validity_cache_copy().
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from kinspect.artifacts.elf.section_table import section_columns
from kinspect.artifacts.module.ko import Module
from kinspect.errors import KinspectError, Location, MalformedError, UnsupportedError, WrongKindError
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, SectionHeader, Symbol
from kinspect.schemas.record import column, offsets, size_of


class Stage(StrEnum):
    """The part of the file with a problem. After a problem in one, those that follow are not examined."""

    FILE = "file"  # it cannot be decompressed
    HEADER = "header"
    TABLE = "section table"
    CONTENTS = "contents of sections"
    SYMBOLS = "symbols"


class Sections(NamedTuple):
    """The section headers, one column per field. The name is empty for sections of type SHT_NULL."""

    names: Sequence[bytes]
    types: Sequence[int]
    flags: Sequence[int]
    offsets: Sequence[int]
    sizes: Sequence[int]
    links: Sequence[int]
    infos: Sequence[int]
    entry_sizes: Sequence[int]

    def numbered(self, name: bytes) -> list[int]:
        """The numbers of the sections of that name."""
        return [number for number, title in enumerate(self.names) if title == name]

    def of_type(self, *types: int) -> list[int]:
        """The numbers of the sections of these types."""
        return [number for number, kind in enumerate(self.types) if kind in types]


class Problem(NamedTuple):
    """A problem, as the error that reading the part would raise."""

    stage: Stage
    error: KinspectError


class ModuleElf(NamedTuple):
    """The sections, None when their table cannot be read, and all problems."""

    sections: Sections | None
    problems: tuple[Problem, ...]

    def problems_in(self, *stages: Stage) -> Iterator[KinspectError]:
        """The problems in these stages."""
        return (problem.error for problem in self.problems if problem.stage in stages)

    @property
    def readable(self) -> Sections | None:
        """The sections when there are no problems, else None."""
        return None if self.problems else self.sections


def module_elf(module: Module) -> ModuleElf:
    """The ELF of a module, validated once for each module. Raises only UnreadableError."""
    return module.cached(_validated)


def _validated(module: Module) -> ModuleElf:
    stage = Stage.FILE
    try:
        _ = module.data
        stage = Stage.HEADER
        header = module.header
        stage = Stage.TABLE
        sections = _sections(module, header)
    except (MalformedError, WrongKindError, UnsupportedError) as error:
        return ModuleElf(None, (Problem(stage, error),))
    problems = tuple(Problem(Stage.CONTENTS, error) for error in _past_the_end(module, sections))
    if not problems:
        problems = tuple(Problem(Stage.SYMBOLS, error) for error in _in_symbols(module, sections))
    return ModuleElf(sections, problems)


def field_of(module: Module, number: int, name: bytes, field: str) -> Location:
    """The location of a field in a section header."""
    offset = module.header.e_shoff + number * size_of(SectionHeader) + offsets(SectionHeader)[field]
    return module.at(f"section {shown(name)}: {field}", offset)


def shown(name: bytes) -> str:
    """The name of a section as text."""
    return name.decode("utf-8", "backslashreplace")


def _field(module: Module, field: str) -> Location:
    return module.at(field, offsets(ElfHeader)[field])


def _sections(module: Module, header: ElfHeader) -> Sections:
    data, size = module.data, size_of(SectionHeader)
    if header.e_shentsize != size:
        at = _field(module, "e_shentsize")
        raise MalformedError("wrong section header size", at, expected=size, actual=header.e_shentsize)
    end = header.e_shoff + header.e_shnum * size
    if end > len(data):
        expected = f"at most {len(data):,}"
        raise MalformedError(
            "the section table ends past the file", _field(module, "e_shoff"), expected=expected, actual=end
        )
    if not 0 < header.e_shstrndx < header.e_shnum:
        expected = f"1 to {header.e_shnum - 1}"
        raise MalformedError(
            "no section holds the section names",
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
        raise MalformedError("the section names do not end with a NUL", module.at(".shstrtab", start))
    found = []
    for number, (title, kind) in enumerate(zip(columns.names, types, strict=True)):
        if kind and title >= length:
            at = field_of(module, number, f"<{number}>".encode(), "sh_name")
            problem = "the section's name is outside the string table"
            raise MalformedError(problem, at, expected=f"below {length:,}", actual=title)
        found.append(names[title : names.index(b"\0", title)] if kind else b"")
    return Sections(found, types, columns.flags, starts, sizes, columns.links, columns.infos, columns.entry_sizes)


def _past_the_end(module: Module, sections: Sections) -> Iterator[KinspectError]:
    """The sections that end past the file; the kernel has cut off the signature by then."""
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
        yield MalformedError("the symbol table is not rows of 24 bytes", at, expected=row, actual=size)
        return
    if link >= len(sections.types) or sections.types[link] != elf.SHT_STRTAB:
        at = field_of(module, number, name, "sh_link")
        yield MalformedError("no section holds the symbol names", at, expected="a string table", actual=link)
        return
    strings, length = sections.offsets[link], sections.sizes[link]
    names = module.data[strings : strings + length]
    if not names.startswith(b"\0") or not names.endswith(b"\0"):
        yield MalformedError("the symbol names do not begin and end with a NUL", module.at(".strtab", strings))
        return
    start = sections.offsets[number]
    largest = max(column(Symbol, "st_name", memoryview(module.data)[start : start + size]), default=0)
    if largest >= length:
        at = module.at(".symtab", start)
        problem = "the name of a symbol is outside the string table"
        yield MalformedError(problem, at, expected=f"below {length:,}", actual=largest)
