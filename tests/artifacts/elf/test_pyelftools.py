"""ELF headers, segments, sections, symbols and notes are what pyelftools reads: another reader, of no code of ours.

pyelftools takes some 20 us for a symbol, and a real vmlinux has more than 100,000: every 31st of them is compared, from
all parts of the table. Of the sample and of modules every symbol is.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from elftools.elf import enums
from elftools.elf.elffile import ELFFile

from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.sections import module_elf
from kinspect.artifacts.raw.notes import notes
from kinspect.schemas.elf import ElfHeader, ProgramHeader, SectionHeader
from kinspect.source import Source
from tests.conftest import SAMPLE, Kernel

MODULES = SAMPLE / "modules/lib/modules/6.1.0-hello"
SAMPLES = [SAMPLE / "vmlinux", *sorted(MODULES.rglob("*.ko"))]
STEP = 31
"""A prime: it does not follow a pattern of the table."""
MODULES_OF_A_KERNEL = 12

E_TYPE, E_MACHINE, E_VERSION = enums.ENUM_E_TYPE, enums.ENUM_E_MACHINE, enums.ENUM_E_VERSION
P_TYPE, SH_TYPE = enums.ENUM_P_TYPE_AARCH64, enums.ENUM_SH_TYPE_AARCH64
BIND, TYPE, SHNDX = enums.ENUM_ST_INFO_BIND, enums.ENUM_ST_INFO_TYPE, enums.ENUM_ST_SHNDX
N_TYPE = enums.ENUM_NOTE_N_TYPE


def number(value: int | str, names: Mapping[str, int]) -> int:
    """A number that pyelftools has given a name, or left as it is."""
    return names[value] if isinstance(value, str) else value


def header_of(theirs: Any) -> ElfHeader:
    fields = dict(theirs.header)
    names = {"e_type": E_TYPE, "e_machine": E_MACHINE, "e_version": E_VERSION}
    numbers = {name: number(fields[name], names[name]) for name in names}
    return ElfHeader(**{**fields, **numbers, "e_ident": theirs.e_ident_raw})


def segments_of(theirs: Any) -> list[ProgramHeader]:
    headers = (dict(segment.header) for segment in theirs.iter_segments())
    return [ProgramHeader(**{**header, "p_type": number(header["p_type"], P_TYPE)}) for header in headers]


def sections_of(theirs: Any) -> list[tuple[str, SectionHeader]]:
    return [
        (section.name, SectionHeader(**{**dict(section.header), "sh_type": number(section.header.sh_type, SH_TYPE)}))
        for section in theirs.iter_sections()
    ]


def symbols_of(theirs: Any, numbers: Iterable[int]) -> Iterator[tuple[str, int, int, int, int]]:
    """Name, value, size, info and section of symbols."""
    table = theirs.get_section_by_name(".symtab")
    for index in numbers:
        symbol = table.get_symbol(index)
        info = number(symbol.entry.st_info.bind, BIND) << 4 | number(symbol.entry.st_info.type, TYPE)
        # pyelftools calls a section's symbol by the section.
        name = table.stringtable.get_string(symbol.entry.st_name)
        shndx = number(symbol.entry.st_shndx, SHNDX)
        yield name, symbol.entry.st_value, symbol.entry.st_size, info, shndx


def notes_of(theirs: Any) -> list[list[tuple[int, str, int, bytes]]]:
    """Place in the file, owner, type and description of the notes in each section of notes."""
    sections = (section for section in theirs.iter_sections() if section.header.sh_type == "SHT_NOTE")
    return [
        [(one.n_offset, one.n_name, number(one.n_type, N_TYPE), one.n_descdata) for one in section.iter_notes()]
        for section in sections
    ]


def agree(ours: Elf, stream: BinaryIO, step: int = 1) -> None:
    """All that both read of a file is the same."""
    theirs: Any = ELFFile(stream)
    assert ours.header == header_of(theirs)
    assert list(ours.segments) == segments_of(theirs)
    sections = sections_of(theirs)
    assert ours.section_headers == [header for _, header in sections]
    assert [section.name for section in ours.sections] == [name for name, _ in sections]
    # The same fields, as the artifact names them.
    assert [section[2:] for section in ours.sections] == [header[1:] for _, header in sections]
    symbols, numbers = ours.symbols, range(0, len(ours.symbols), step)
    columns = zip(symbols.values, symbols.sizes, symbols.infos, symbols.sections, strict=True)
    found = [row for index, row in enumerate(columns) if index % step == 0]
    assert [(symbols.name(at), *row) for at, row in zip(numbers, found, strict=True)] == list(
        symbols_of(theirs, numbers)
    )
    assert len(symbols) == theirs.get_section_by_name(".symtab").num_symbols()
    assert [
        [(section.offset + at, note.owner, note.n_type, note.desc) for at, note in notes(ours.contents(section))]
        for section in ours.note_sections
    ] == notes_of(theirs)


def agree_as_module(module: Module) -> None:
    """The columns of sections, the undefined symbols and the sections by name of a module are the same."""
    theirs: Any = ELFFile(io.BytesIO(module.data))
    assert module.header == header_of(theirs)
    ours, sections = module_elf(module).readable, sections_of(theirs)
    assert ours is not None
    columns = ("sh_type", "sh_flags", "sh_offset", "sh_size", "sh_link", "sh_info", "sh_entsize")
    assert list(ours.names) == [name.encode() for name, _ in sections]
    theirs_by_column = [[getattr(header, column) for _, header in sections] for column in columns]
    assert [list(column) for column in ours[1:]] == theirs_by_column
    first = {
        name.encode(): (at, header) for at, (name, header) in reversed(list(enumerate(sections))) if header.sh_type
    }
    assert {name: (part.number, part.header) for name, part in module.sections.items()} == first
    count = theirs.get_section_by_name(".symtab").num_symbols()
    symbols = list(symbols_of(theirs, range(1, count)))
    assert module.undefined == {name: info >> 4 == 2 for name, _, _, info, section in symbols if not section}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_sample(path: Path) -> None:
    agree(Elf(path), io.BytesIO(path.read_bytes()))


@pytest.mark.parametrize("path", SAMPLES[1:], ids=lambda path: path.name)
def test_modules_of_the_sample(path: Path) -> None:
    agree_as_module(Module(path))


def test_a_real_vmlinux(kernel: Kernel) -> None:
    with open(kernel.vmlinux, "rb") as stream:
        agree(Elf(kernel.vmlinux), stream, STEP)


def test_real_modules(kernel: Kernel) -> None:
    """A few, from all folders."""
    every = sorted((kernel.folder / "lib").rglob("*.ko*"))
    some = every[:: len(every) // MODULES_OF_A_KERNEL]
    assert len(some) >= MODULES_OF_A_KERNEL
    for path in some:
        module = Module(path)
        agree(Elf(Source(str(path), module.data)), io.BytesIO(module.data))
        agree_as_module(module)
