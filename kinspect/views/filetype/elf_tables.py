"""What file(1) prints of the segments, sections and notes of an ELF file. Part of the view in line.py.

The output for broken tables must be equal too. So tables are read as file reads them: with its limits, in its order,
row by row, with integers of the same width.
Source: src/readelf.c and src/elfclass.h of file.
"""

import struct
from collections.abc import Generator, Iterator
from typing import NamedTuple, TypeVar

from kinspect.errors import Location, UnsupportedError
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, NoteHeader, ProgramHeader, SectionHeader
from kinspect.schemas.record import parse_table, size_of, table_row
from kinspect.source import Source
from kinspect.views.filetype.content import Beginning, printable, signed

R = TypeVar("R", bound=NamedTuple)

MOST_SEGMENTS, MOST_SECTIONS, MOST_NOTES, LONGEST_TEXT = 2048, 32768, 256, 1024
_DT_NEEDED, _DT_FLAGS_1, _DF_1_PIE = 1, 0x6FFFFFFB, 0x08000000
_NT_GNU_ABI_TAG = 1
_ABI_TAG_SYSTEMS = {0: "Linux", 1: "Hurd", 2: "Solaris", 3: "kFreeBSD", 4: "kNetBSD"}
_BUILD_ID_KINDS = {8: "xxHash", 16: "md5/uuid", 20: "sha1"}


class TableRows:
    """The table rows of an ELF file of either class and byte order, read as pread does."""

    def __init__(self, source: Source, narrow: bool, order: str) -> None:
        self.source, self.narrow, self.order = source, narrow, order

    def codes(self, record: type[NamedTuple]) -> str:
        """The layout of a row as a format of the struct module."""
        codes = table_row(record).format[1:]
        return self.order + (codes.replace("Q", "I") if self.narrow else codes)

    def size(self, record: type[NamedTuple]) -> int:
        """The size of a row in bytes."""
        return struct.calcsize(self.codes(record))

    def at(self, offset: int, size: int) -> bytes | None:
        """The bytes at an offset; fewer at the end of the file, None for an offset that pread does not accept."""
        if not 0 <= offset < (1 << 63) - size:
            return None
        end = min(offset + size, self.source.size)
        return self.source.read(offset, end - offset) if offset < end else b""

    def row(self, record: type[R], offset: int) -> R | None:
        """One row of a table; None if it is not entirely in the file."""
        size = self.size(record)
        data = self.at(offset, size)
        if data is None or len(data) < size:
            return None
        if size == size_of(record) and self.order == "<":
            return parse_table(record, data)[0]
        values = struct.unpack(self.codes(record), data)
        if self.narrow and record is ProgramHeader:
            # In a 32-bit file p_flags comes just before p_align.
            values = (values[0], values[6], *values[1:6], values[7])
        return record._make(values)


def too_long(source: Source, text: str, before: str) -> UnsupportedError:
    """The error with which file gives up on more than 1024 bytes of text."""
    return UnsupportedError(f"Output buffer space exceeded {len(text)}+{len(before)}", Location(source.path))


class Tables:
    """The text that follows that of the header, and `executable`, which the header's text for ET_DYN depends on."""

    def __init__(self, beginning: Beginning, minor: int) -> None:
        self.size, self.source, self.minor = beginning.size, beginning.source, minor
        self.ident = beginning.at(0, 16)
        self.rows = TableRows(self.source, self.ident[4:5] == b"\1", "<" if self.ident[5:6] == b"\1" else ">")
        self.executable = bool(self.source.mode & 0o111)
        self.text = ""
        self.dynamic = self.pie = self.needs = self.has_abi = self.has_build_id = False
        self.interpreter = ""
        self.notes_left = MOST_NOTES

    def read(self) -> None:
        """Read what file reads. UnsupportedError where file gives up."""
        for part in self._parts():
            if len(part) > LONGEST_TEXT:
                raise too_long(self.source, part, self.text)
            self.text += part

    def _parts(self) -> Iterator[str]:
        if len(self.ident) < 6:
            return
        if self.ident[4] not in (1, 2):
            yield f", unknown class {self.ident[4]}"
            return
        header = self.rows.row(ElfHeader, 0)
        if header is None or self.size == self.rows.size(ElfHeader):
            return
        loaded = header.e_type in (elf.ET_EXEC, elf.ET_DYN)
        if loaded and header.e_phnum > MOST_SEGMENTS:
            yield f", too many program ({header.e_phnum})"
        elif header.e_shnum > MOST_SECTIONS and (loaded or header.e_type == elf.ET_REL):
            yield f", too many {'section' if loaded else 'section headers'} ({header.e_shnum})"
        elif loaded or header.e_type == elf.ET_REL:
            if loaded:
                yield from self._segments(header)
            yield from self._sections(header)
            if not self.notes_left:
                yield f", too many notes ({MOST_NOTES})"

    def _segments(self, header: ElfHeader) -> Iterator[str]:
        """How the program is linked."""
        if header.e_phnum == 0:
            yield ", no program header"
            return
        if header.e_phentsize != self.rows.size(ProgramHeader):
            yield ", corrupted program header size"
            return
        for index in range(header.e_phnum):
            offset = signed(header.e_phoff + index * header.e_phentsize, 64)
            segment = self.rows.row(ProgramHeader, offset)
            if segment is None:
                yield f", can't read elf program headers at {offset}"
                return
            # If there are sections, notes are found through them.
            kinds = (elf.PT_DYNAMIC, elf.PT_INTERP) + (() if header.e_shnum else (elf.PT_NOTE,))
            if segment.p_type in kinds and not (yield from self._segment(segment)):
                return
        linked = "static-pie" if self.pie and not self.needs else "dynamically"
        yield f", {linked if self.dynamic else 'statically'} linked"
        if self.interpreter:
            yield f", interpreter {self.interpreter}"

    def _segment(self, segment: ProgramHeader) -> Generator[str, None, bool]:
        """One segment; whether it could be read."""
        alignment = segment.p_align or 4
        if segment.p_type == elf.PT_NOTE and (alignment & 0x80000000 or alignment < 4):
            yield f", invalid note alignment {alignment:#x}"
            alignment = 4
        start = signed(segment.p_offset, 64)
        data = self.rows.at(start, min(segment.p_filesz, 8192 if self.minor < 46 else 2024))
        if data is None:
            yield f", can't read section at {start}"
        elif segment.p_type == elf.PT_NOTE:
            yield from self._notes(start, len(data), alignment)
        elif segment.p_type == elf.PT_INTERP:
            self.needs = True
            self.interpreter = "*empty*" if data[:1] in (b"", b"\0") else printable(data[:-1])
        else:
            self.dynamic, self.executable = True, False
            entry = struct.Struct(self.rows.order + ("II" if self.rows.narrow else "QQ"))
            for tag, value in entry.iter_unpack(data[: len(data) // entry.size * entry.size]):
                self.needs |= tag == _DT_NEEDED
                if tag == _DT_FLAGS_1:
                    self.executable = bool(value & _DF_1_PIE)
                    self.pie |= self.executable or self.minor < 46
        return data is not None

    def _sections(self, header: ElfHeader) -> Iterator[str]:
        """The notes, and whether there are symbols and debug information."""
        size = self.rows.size(SectionHeader)
        if header.e_shnum == 0:
            yield ", no section header"
            return
        if header.e_shentsize != size:
            yield ", corrupted section header size"
            return
        offset = signed(header.e_shoff + size * header.e_shstrndx, 64)
        section = self.rows.row(SectionHeader, offset)
        if section is None:
            yield f", missing section headers at {offset}"
            return
        names = signed(section.sh_offset, 64)
        if names > self.source.size:
            yield f", too large section header offset {names}"
            return
        symbols = debug = False
        for index in range(header.e_shnum):
            # file tests the name of the previous section (at first of the string table), and never that of the last.
            place = signed(names + section.sh_name, 64)
            name = self.rows.at(place, 49)
            if name is None:
                yield f", can't read name of elf section at {place}"
                return
            debug |= name.split(b"\0", 1)[0] == b".debug_info"
            offset = signed(header.e_shoff + size * index, 64)
            section = self.rows.row(SectionHeader, offset)
            if section is None:
                yield f", can't read elf section at {offset}"
                return
            symbols |= section.sh_type == elf.SHT_SYMTAB
            if section.sh_type == elf.SHT_NOTE and not (yield from self._note_section(section)):
                return
        yield f"{', with debug_info' if debug else ''}, {'not ' if symbols or debug else ''}stripped"

    def _note_section(self, section: SectionHeader) -> Generator[str, None, bool]:
        """One section of notes; whether it could be read. UnsupportedError if file rejects its size."""
        start, size, limit = signed(section.sh_offset, 64), section.sh_size, (64 if self.minor < 45 else 128) << 20
        if start > self.source.size:
            return True
        if start + size & (1 << 64) - 1 > self.source.size:
            place = "+".join(f"{number:#x}" if number else "0" for number in (section.sh_offset, size))
            yield f", note offset/size {place} exceeds file size {self.source.size:#x}"
            return False
        if size > limit:
            # file prints the error after the text that it has so far.
            problem = f"{self.text} Note section size too big ({size} > {limit}) (Invalid argument)"
            raise UnsupportedError(problem.lstrip(), Location(self.source.path))
        if start < 0:
            yield f", can't read elf note at {start}"
            return False
        yield from self._notes(start, size, 4)
        return True

    def _notes(self, start: int, size: int, alignment: int) -> Iterator[str]:
        """The notes in a range of the file, one after the other."""
        offset, head = 0, self.rows.size(NoteHeader)
        while offset < size and self.notes_left:
            self.notes_left -= 1
            note = self.rows.row(NoteHeader, start + offset) if offset + head <= size else None
            if note is None or note.n_namesz == note.n_descsz == 0:
                return
            for field, number in (("name", note.n_namesz), ("description", note.n_descsz)):
                if number >> 31:
                    yield f", bad note {field} size {number:#x}"
                    return
            name_at = offset + head
            desc_at = _aligned(name_at + note.n_namesz, alignment)
            if name_at + note.n_namesz > size or desc_at + note.n_descsz > size:
                return
            yield from self._note(note, start + name_at, start + desc_at)
            offset = _aligned(desc_at + note.n_descsz, alignment)

    def _note(self, note: NoteHeader, name_at: int, desc_at: int) -> Iterator[str]:
        """The first build id, and the first ABI tag: the oldest kernel that the program runs on."""
        if note.n_namesz != 4 or self.rows.at(name_at, 4) != b"GNU\0":
            return
        desc = self.rows.at(desc_at, min(note.n_descsz, 20)) or b""
        if note.n_type == _NT_GNU_ABI_TAG and note.n_descsz == 16 and not self.has_abi:
            self.has_abi = True
            system, *version = struct.unpack(f"{self.rows.order}I3i", desc)
            yield f", for GNU/{_ABI_TAG_SYSTEMS.get(system, '<unknown>')} {'.'.join(map(str, version))}"
        elif note.n_type == elf.NT_GNU_BUILD_ID and 4 <= note.n_descsz <= 20 and not self.has_build_id:
            self.has_build_id = True
            yield f", BuildID[{_BUILD_ID_KINDS.get(note.n_descsz, 'unknown')}]={desc.hex()}"


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment
