"""ELF files for arm64. Each part is read on its own: a broken table does not hide the others."""

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate, islice
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.elf.strings import StringTable
from kinspect.errors import Location, MalformedError, UnsupportedError, WrongKindError
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, ProgramHeader, SectionHeader
from kinspect.schemas.record import offsets, parse_table, size_of

# Not needed to compare loaded bytes.
if TYPE_CHECKING:
    from kinspect.artifacts.elf.symbols import Symbols

MACHINES = {
    3: "i386",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC64",
    22: "s390",
    40: "arm",
    62: "x86-64",
    243: "RISC-V",
}
MOST_SECTIONS, MOST_SEGMENTS = 1 << 16, 64
"""A linked kernel has some fifty sections and five segments."""
LARGEST_SYMBOL_TABLE = 64 << 20
"""Limit in bytes for the symbols and for their names; a kernel with all debugging options has 20 MB."""
MOST_NOTE_RANGES = 16
"""Sections and segments of notes that are read; a kernel has one or two."""


class Section(NamedTuple):
    """One section. Address, offset and sizes in bytes; flags as SHF_* bits, type as SHT_*."""

    number: int
    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int

    @property
    def allocated(self) -> bool:
        """Whether it occupies memory when the kernel runs."""
        return bool(self.flags & elf.SHF_ALLOC)

    @property
    def executable(self) -> bool:
        """Whether it holds code."""
        return bool(self.flags & elf.SHF_EXECINSTR)

    @property
    def in_file(self) -> bool:
        """Whether it has bytes in the file."""
        return self.type not in (0, elf.SHT_NOBITS)

    @property
    def file_size(self) -> int:
        """Its size in the file; 0 for NOBITS."""
        return self.size if self.in_file else 0

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.size


class Elf(Artifact):
    """A 64-bit little-endian ELF file for AArch64."""

    kind = "an arm64 ELF file"

    @cached_property
    def header(self) -> ElfHeader:
        """The ELF header. WrongKindError when the file is not ELF or is for another machine."""
        ident = self.source.head(20)
        if not ident.startswith(elf.MAGIC):
            raise WrongKindError("not an ELF file", self.at(), expected=elf.MAGIC, actual=ident[:4])
        for index, value, expected, actual in (
            (4, elf.CLASS_64, "64-bit", "32-bit"),
            (5, elf.DATA_LITTLE, "little-endian", "big-endian"),
        ):
            if len(ident) > index and ident[index] != value:
                raise WrongKindError(
                    "not an arm64 ELF file", self.at("e_ident", index), expected=expected, actual=actual
                )
        header = self.record(ElfHeader, 0, "ELF header")
        if header.e_machine != elf.MACHINE_AARCH64:
            raise WrongKindError(
                "not an arm64 ELF file",
                self.field("e_machine"),
                expected="AArch64 (183)",
                actual=f"{MACHINES.get(header.e_machine, 'machine')} ({header.e_machine})",
            )
        return header

    def field(self, name: str) -> Location:
        """The location of a field of the ELF header."""
        return self.at(name, offsets(ElfHeader)[name])

    @cached_property
    def _first_section(self) -> SectionHeader:
        """Section 0, which holds the counts that are too large for the ELF header."""
        return self.record(SectionHeader, self.header.e_shoff, "section 0")

    @cached_property
    def segments(self) -> tuple[ProgramHeader, ...]:
        """The program headers. MalformedError when their place or count is invalid, UnsupportedError when over 64."""
        header = self.header
        count = header.e_phnum
        if count == elf.PN_XNUM:
            if not header.e_shoff:
                raise MalformedError("PN_XNUM without a section table to hold the count", self.field("e_phnum"))
            count = self._first_section.sh_info
        if not count:
            return ()
        if count > MOST_SEGMENTS:
            at = self.field("e_phnum")
            raise UnsupportedError("too many segments", at, expected=f"at most {MOST_SEGMENTS}", actual=count)
        return tuple(parse_table(ProgramHeader, self._table("e_phoff", count, header.e_phentsize, ProgramHeader)))

    @cached_property
    def section_headers(self) -> list[SectionHeader]:
        """The section headers. MalformedError when their place or count is invalid."""
        header = self.header
        if not header.e_shoff:
            return []
        count = header.e_shnum or self._first_section.sh_size
        if count > MOST_SECTIONS:
            raise MalformedError(
                "too many sections",
                self.field("e_shnum"),
                expected=f"at most {MOST_SECTIONS:,}",
                actual=count,
            )
        return parse_table(SectionHeader, self._table("e_shoff", count, header.e_shentsize, SectionHeader))

    def _table(self, field: str, count: int, entry_size: int, record: type[NamedTuple]) -> bytes:
        offset, size = getattr(self.header, field), count * entry_size
        part, title = {"e_phoff": ("e_phentsize", "program"), "e_shoff": ("e_shentsize", "section")}[field]
        if entry_size != size_of(record):
            problem, expected_size = f"wrong {title} header size", size_of(record)
            raise MalformedError(problem, self.field(part), expected=expected_size, actual=entry_size)
        if offset + size > self.size:
            problem = f"{count:,} {title} headers end past the file (is it truncated?)"
            expected, actual = f"at most {self.size:,}", f"{offset:,} + {size:,}"
            raise MalformedError(problem, self.field(field), expected=expected, actual=actual)
        return self.source.read(offset, size, field)

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The sections with their names; `<section N>` without a name table. Raises as `section_headers` does."""
        headers = self.section_headers
        names = self._section_names(headers)
        return tuple(
            Section(index, names[row.sh_name] if names else f"<section {index}>", *row[1:])
            for index, row in enumerate(headers)
        )

    def _section_names(self, headers: list[SectionHeader]) -> StringTable | None:
        index = self.header.e_shstrndx
        if index == elf.SHN_XINDEX and headers:
            index = headers[0].sh_link
        if not 0 < index < len(headers):
            return None
        row = headers[index]
        size = min(row.sh_size, 1 << 20, self.size - row.sh_offset)
        return StringTable(self.source.read(row.sh_offset, size, "section names")) if size > 0 else None

    @cached_property
    def _sections_by_name(self) -> dict[str, Section]:
        return {section.name: section for section in reversed(self.sections)}

    def section(self, name: str) -> Section | None:
        """The first section of that name; None without one."""
        return self._sections_by_name.get(name)

    def contents(self, section: Section) -> bytes:
        """The bytes of a section in the file; empty for NOBITS. TruncatedError when it reaches past the file."""
        return self.source.read(section.offset, section.file_size, section.name)

    @cached_property
    def loaded_sections(self) -> tuple[Section, ...]:
        """The sections that occupy memory, by address, without empty ones."""
        loaded = (section for section in self.sections if section.allocated and section.size)
        return tuple(sorted(loaded, key=lambda section: (section.address, section.number)))

    @cached_property
    def _ends_so_far(self) -> list[int]:
        """For each loaded section the highest end up to it: ascending, even where sections overlap."""
        return list(accumulate((section.end for section in self.loaded_sections), max))

    def section_at(self, address: int) -> Section | None:
        """The section that occupies an address in memory; the first where sections overlap, None without one."""
        index = bisect_right(self._ends_so_far, address)
        if index < len(self.loaded_sections) and self.loaded_sections[index].address <= address:
            return self.loaded_sections[index]
        return None

    @cached_property
    def symbols(self) -> "Symbols":
        """The symbols of .symtab, none when stripped. MalformedError when broken, UnsupportedError over 64 MiB."""
        from kinspect.artifacts.elf.symbols import Symbols

        table = next((section for section in self.sections if section.type == elf.SHT_SYMTAB), None)
        if table is None:
            return Symbols.none()
        part, row = table.name, size_of(elf.Symbol)
        if table.entry_size != row:
            raise MalformedError("wrong symbol size", self.at(part), expected=row, actual=table.entry_size)
        if not 0 < table.link < len(self.sections) or self.sections[table.link].type != elf.SHT_STRTAB:
            raise MalformedError("sh_link is not a string table", self.at(part), actual=table.link)
        names = self.sections[table.link]
        for section in (table, names):
            if section.size > LARGEST_SYMBOL_TABLE:
                at, expected = self.at(section.name), f"at most {LARGEST_SYMBOL_TABLE:,} bytes"
                raise UnsupportedError("the symbol table is too large", at, expected=expected, actual=section.size)
        return Symbols.of(self.source, (table.offset, table.size), (names.offset, names.size))

    @cached_property
    def readable_symbols(self) -> "Symbols":
        """The symbols; none when they cannot be read, which a check reports."""
        try:
            return self.symbols
        except (MalformedError, UnsupportedError):
            from kinspect.artifacts.elf.symbols import Symbols

            return Symbols.none()

    def address_name(self, address: int) -> str:
        """An address as `symbol+offset`, as `section+offset` without symbols, else as a number."""
        section = self.section_at(address)
        if section is None:
            return f"{address:#x}"
        place = self.readable_symbols.place(section.number, address)
        return str(place) if place else f"{section.name}+{address - section.address:#x}"

    def read_address(self, address: int, size: int) -> bytes:
        """Bytes at an address in memory. MalformedError when no section of the file has all of them."""
        section = self.section_at(address)
        if section is None or not section.in_file or address + size > section.end:
            raise MalformedError(f"no section has {size} bytes at address {address:#x}", self.at())
        return self.source.read(section.offset + address - section.address, size, section.name)

    @cached_property
    def note_sections(self) -> tuple[Section, ...]:
        """The sections of notes, at most MOST_NOTE_RANGES."""
        found = (section for section in self.sections if section.type == elf.SHT_NOTE)
        return tuple(islice(found, MOST_NOTE_RANGES))

    @cached_property
    def build_id(self) -> bytes | None:
        """The GNU build ID in the notes of sections, else of segments; None without one."""
        from kinspect.artifacts.raw.notes import MOST_BYTES, build_id_of

        for offset, size in islice(self._note_ranges(), MOST_NOTE_RANGES):
            start = min(offset, self.size)
            found = build_id_of(self.source.read(start, min(size, MOST_BYTES, self.size - start), "notes"))
            if found:
                return found
        return None

    def _note_ranges(self) -> Iterator[tuple[int, int]]:
        for section in self.note_sections:
            yield section.offset, section.size
        for segment in self.segments:
            if segment.p_type == elf.PT_NOTE:
                yield segment.p_offset, segment.p_filesz
