"""The source line of an address, from DWARF read for that place only: no section is ever read whole.

`.debug_aranges` tells which unit an address belongs to; pyelftools decodes that unit's head and its line program.
"""

import io
import posixpath
from bisect import bisect_right
from functools import cache, cached_property
from typing import Any, NamedTuple

from kinspect.artifacts.elf import Elf, Section
from kinspect.errors import MalformedError
from kinspect.schemas import elf
from kinspect.schemas.elf import ArangesHeader
from kinspect.schemas.record import parse_table, size_of
from kinspect.source import Source

LARGEST_ARANGES, LARGEST_LINE_PROGRAM = 64 << 20, 16 << 20
_SECTIONS = ("info", "abbrev", "str", "line", "line_str", "str_offsets", "addr", "ranges", "rnglists")
_OTHERS = (
    "debug_aranges_sec",
    "debug_frame_sec",
    "eh_frame_sec",
    "debug_loc_sec",
    "debug_pubtypes_sec",
    "debug_pubnames_sec",
    "debug_loclists_sec",
    "debug_sup_sec",
    "gnu_debugaltlink_sec",
    "debug_types_sec",
)


class SourceLine(NamedTuple):
    """A line of a source file, counted from 1; the path as the compiler was given it, without `.` and `..`."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class SourceLines:
    """The source lines of an ELF file with DWARF."""

    def __init__(self, artifact: Elf) -> None:
        self._artifact = artifact
        self._rows = cache(self._rows_of_unit)

    def __bool__(self) -> bool:
        return bool(self._units)

    def line(self, address: int) -> SourceLine | None:
        """The line that an address comes from; None when no unit covers it. MalformedError when its DWARF is broken."""
        found = bisect_right(self._units, (address, 1 << 64, 0)) - 1
        if found < 0 or address >= self._units[found][1]:
            return None
        rows = self._rows(self._units[found][2])
        row = bisect_right(rows, address, key=lambda row: row[0]) - 1
        return rows[row][1] if row >= 0 else None

    @cached_property
    def _units(self) -> list[tuple[int, int, int]]:
        """Address ranges with the place of their unit in `.debug_info`, sorted by address."""
        section = self._artifact.section(".debug_aranges")
        if section is None or section.flags & elf.SHF_COMPRESSED or not self._artifact.section(".debug_info"):
            return []
        data = self._artifact.source.read(section.offset, min(section.size, LARGEST_ARANGES), section.name)
        found, offset, head = [], 0, size_of(ArangesHeader)
        while offset + head <= len(data):
            header = parse_table(ArangesHeader, data[offset : offset + head])[0]
            end = offset + 4 + header.unit_length
            # The pairs begin at a multiple of their own size, counted from the start of the set.
            pairs = data[offset + 16 : end]
            if end > len(data) or header.address_size != 8 or header.segment_selector_size or len(pairs) % 16:
                break
            numbers = memoryview(pairs).cast("Q").tolist()
            for start, size in zip(numbers[::2], numbers[1::2], strict=True):
                if size:
                    found.append((start, start + size, header.debug_info_offset))
            offset = end
        return sorted(found)

    @cached_property
    def _dwarf(self) -> Any:
        # The only use of pyelftools: imported when a source line is wanted.
        from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

        sections: dict[str, Any] = dict.fromkeys(_OTHERS)
        for name in _SECTIONS:
            section = self._artifact.section(f".debug_{name}")
            descriptor = None
            if section and not section.flags & elf.SHF_COMPRESSED:
                stream = io.BufferedReader(_SectionStream(self._artifact.source, section), 1 << 14)
                descriptor = DebugSectionDescriptor(stream, section.name, section.offset, section.size, 0)
            sections[f"debug_{name}_sec"] = descriptor
        return DWARFInfo(config=DwarfConfig(True, "AArch64", 8), **sections)

    def _rows_of_unit(self, unit: int) -> list[tuple[int, SourceLine | None]]:
        """The line table of a unit: where each row begins, and its line (None after the end of a sequence)."""
        at = self._artifact.at(".debug_line")
        try:
            compile_unit = self._dwarf.get_CU_at(unit)
            top = compile_unit.get_top_DIE()
            start = top.attributes["DW_AT_stmt_list"].value
            section = self._artifact.section(".debug_line")
            if section is None:
                return []
            length = int.from_bytes(self._artifact.source.read(section.offset + start, 4, section.name), "little")
            if length > min(LARGEST_LINE_PROGRAM, section.size - start):
                raise MalformedError("the line program is too long", at, actual=length)
            program = self._dwarf.line_program_for_CU(compile_unit)
            folder = top.attributes.get("DW_AT_comp_dir")
            return _rows(program, folder.value.decode(errors="replace") if folder else "")
        except MalformedError:
            raise
        # pyelftools meets broken DWARF with whatever its code runs into, from KeyError to RecursionError.
        except Exception as reason:
            raise MalformedError(f"broken DWARF ({type(reason).__name__}: {reason})", at) from reason


def _rows(program: Any, compile_folder: str) -> list[tuple[int, SourceLine | None]]:
    paths = cache(lambda index: _path(program, index, compile_folder))
    found: list[tuple[int, SourceLine | None]] = []
    for entry in program.get_entries():
        state = entry.state
        if state is not None:
            found.append((state.address, None if state.end_sequence else SourceLine(paths(state.file), state.line)))
    # Sequences may come in any order; where one ends and another begins at the same address, the beginning wins.
    return sorted(found, key=lambda row: (row[0], row[1] is not None))


def _path(program: Any, index: int, compile_folder: str) -> str:
    """The path of a file of a line program, relative to the folder of the build where it lies in it."""
    header = program.header
    first = 0 if header.version >= 5 else 1
    entry = header.file_entry[index - first]
    folders = [folder.decode(errors="replace") for folder in header.include_directory]
    if first:
        folders.insert(0, compile_folder)
    path = posixpath.normpath(
        posixpath.join(compile_folder, folders[entry.dir_index], entry.name.decode(errors="replace"))
    )
    return posixpath.relpath(path, compile_folder) if path.startswith(compile_folder + "/") else path


class _SectionStream(io.RawIOBase):
    """A section as the stream that pyelftools wants."""

    def __init__(self, source: Source, section: Section) -> None:
        self._source, self._start = source, section.offset
        self._size = max(0, min(section.size, source.size - section.offset))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = max(0, min(len(buffer), self._size - self._at))
        self._source.read_into(self._start + self._at, memoryview(buffer)[:size])
        self._at += size
        return size
