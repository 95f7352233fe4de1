"""The source line of an address, from the DWARF of that address only: no section is read whole.

`.debug_aranges` or the units' own ranges map the address to its unit; pyelftools decodes that unit's header and the
header of its line program, whose opcodes are run here.
"""

import io
import posixpath
from bisect import bisect_right
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from kinspect.artifacts.dwarf.compile_units import CompileUnits
from kinspect.artifacts.dwarf.units import LINE_STRP, STRING, STRP, aranges, dwarf_section, number
from kinspect.artifacts.elf.contents import Contents
from kinspect.artifacts.elf.debug_file import with_debug_info
from kinspect.artifacts.elf.file import Elf
from kinspect.errors import KinspectError, MalformedError

LARGEST_LINE_PROGRAM = 2 << 20
WINDOW = 1 << 16
"""What pyelftools may read at once: the header of a unit, its abbreviations, the header of its line program."""
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
# Opcodes of a line program and forms of its header's fields. Source: DWARF 5, sections 7.22 and 7.5.6.
_EXTENDED, _COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _CONST_ADD_PC, _FIXED_ADVANCE_PC = 0, 1, 2, 3, 4, 8, 9
_END_SEQUENCE, _SET_ADDRESS = 1, 2
_UDATA = 0x0F
_WIDTHS = {0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, STRP: 4, LINE_STRP: 4, 0x1E: 16, STRING: 0, _UDATA: 0}
_OPCODE_BASES = {2: 14, 3: 14, 4: 15, 5: 17}
"""The offset of opcode_base in the header of a line program of each version."""
_NOWHERE = 1 << 64


class SourceLine(NamedTuple):
    """A line of a source file, counted from 1. The path is the compiler's, normalised."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class SourceLines:
    """The source lines of an ELF file, from its DWARF or that of its separate debug file."""

    def __init__(self, artifact: Elf) -> None:
        self._artifact = with_debug_info(artifact)
        self._program = lru_cache(maxsize=8)(self._program_of_unit)

    def __bool__(self) -> bool:
        return bool(self._units or self._own_units)

    def line(self, address: int) -> SourceLine | None:
        """The source line of an address; None when no unit covers it. MalformedError when the DWARF is broken.

        `.debug_aranges` has the ranges of most units; clang writes it only for assembly.
        """
        return self._line(self._units, address) or self._line(self._own_units, address)

    def _line(self, units: list[tuple[int, int, int]], address: int) -> SourceLine | None:
        # The last unit that begins before it: code of a subsection follows the range in .debug_aranges.
        found = bisect_right(units, (address, 1 << 64, 0)) - 1
        if found < 0:
            return None
        try:
            program = self._program(units[found][2])
            row = _row(program, address) if program else None
            return SourceLine(_path(program, row[0]), row[1]) if program and row else None
        except KinspectError:
            raise
        # On broken DWARF pyelftools raises whatever its code runs into, from KeyError to RecursionError.
        except Exception as reason:
            problem = f"broken DWARF ({type(reason).__name__}: {reason})"
            raise MalformedError(problem, self._artifact.at(".debug_line")) from reason

    @cached_property
    def _units(self) -> list[tuple[int, int, int]]:
        return aranges(self._artifact)

    @cached_property
    def _own_units(self) -> list[tuple[int, int, int]]:
        return CompileUnits(self._artifact).own_ranges

    @cached_property
    def _dwarf(self) -> Any:
        # The only use of pyelftools: imported when a source line is needed.
        from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

        sections: dict[str, Any] = dict.fromkeys(_OTHERS)
        for name in _SECTIONS:
            section = dwarf_section(self._artifact, f".debug_{name}")
            descriptor = None
            if section:
                stream = _BoundedReader(_SectionStream(section), 1 << 14)
                descriptor = DebugSectionDescriptor(stream, f".debug_{name}", 0, section.size, 0)
            sections[f"debug_{name}_sec"] = descriptor
        return DWARFInfo(config=DwarfConfig(True, "AArch64", 8), **sections)

    def _program_of_unit(self, unit: int) -> "_Program | None":
        compile_unit = self._dwarf.get_CU_at(unit)
        top = compile_unit.get_top_DIE().attributes
        section = dwarf_section(self._artifact, ".debug_line")
        if section is None or "DW_AT_stmt_list" not in top:
            return None
        start = top["DW_AT_stmt_list"].value
        _check_header(section.read(start, min(WINDOW, section.size - start)))
        program = self._dwarf.line_program_for_CU(compile_unit)
        size = program.program_end_offset - program.program_start_offset
        if size > LARGEST_LINE_PROGRAM:
            raise MalformedError("the line program is too long", section.at(start), actual=size)
        code = section.read(program.program_start_offset, size)
        folder = top.get("DW_AT_comp_dir")
        return _Program(program.header, code, folder.value.decode(errors="replace") if folder else "")


class _Program(NamedTuple):
    """A line program: its header as pyelftools decodes it, its opcodes, the folder in which the compiler ran."""

    header: Any
    code: bytes
    folder: str


def _check_header(head: bytes) -> None:
    """ValueError when a header claims more opcodes or entries than it has bytes: pyelftools would count them all.

    Source: DWARF 5, section 6.2.4; DWARF 4 and 3, the same section.
    """
    if head.startswith(b"\xff\xff\xff\xff"):
        raise ValueError("64-bit DWARF")
    version = int.from_bytes(head[4:6], "little")
    if version not in _OPCODE_BASES:
        raise ValueError(f"a line program of version {version}")
    if not head[_OPCODE_BASES[version]]:
        raise ValueError("opcode_base 0")
    if version < 5:
        return  # these tables are zero-terminated
    base = _OPCODE_BASES[5]
    at = base + head[base]
    for _ in range(2):
        numbers, at = _numbers(head, at + 1, 2 * head[at])
        forms = numbers[1::2]
        count, at = number(head, at)
        if count and (not forms or count * len(forms) > len(head) - at):
            raise ValueError(f"{count} folders or files in a header of {len(head)} bytes")
        for form in forms * count:
            at = _after(form, head, at)


def _after(form: int, head: bytes, at: int) -> int:
    width = _WIDTHS[form]
    if width:
        return at + width
    return head.index(0, at) + 1 if form == STRING else number(head, at)[1]


def _row(program: _Program, target: int) -> tuple[int, int] | None:
    """The file number and line of an address, by running the opcodes up to it; None when it is not covered.

    pyelftools can run them too, but keeps all registers of all rows, at ten times the cost.
    Source: DWARF 5, section 6.2.5.
    """
    header, code = program.header, program.code
    base, span, least = header.opcode_base, header.line_range, header.line_base
    step, counts = header.minimum_instruction_length, header.standard_opcode_lengths
    moves = {_ADVANCE_PC: step, _CONST_ADD_PC: (255 - base) // span * step, _FIXED_ADVANCE_PC: 1}
    address, file, line, before, row = 0, 1, 1, _NOWHERE, (0, 0)
    at = 0
    while at < len(code):
        opcode = code[at]
        at += 1
        if opcode >= base:
            address += (opcode - base) // span * step
            line += (opcode - base) % span + least
        elif opcode == _EXTENDED:
            size, at = number(code, at)
            kind = code[at]
            if kind == _SET_ADDRESS:
                address = int.from_bytes(code[at + 1 : at + 9], "little")
            at += size
            if kind != _END_SEQUENCE:
                continue
        elif opcode != _COPY:
            value, at = _operand(opcode, code, at, counts)
            address += value * moves.get(opcode, 0)
            line += value if opcode == _ADVANCE_LINE else 0
            file = value if opcode == _SET_FILE else file
            continue
        if before <= target < address:
            return row
        before, row = address, (file, line)
        if opcode == _EXTENDED:
            address, file, line, before = 0, 1, 1, _NOWHERE
    return None


def _operand(opcode: int, code: bytes, at: int, counts: list[int]) -> tuple[int, int]:
    """The last operand of a standard opcode (1 without one), and the offset of the next opcode."""
    if opcode == _FIXED_ADVANCE_PC:
        return int.from_bytes(code[at : at + 2], "little"), at + 2
    if opcode == _ADVANCE_LINE:
        value, end = number(code, at)
        return value - (1 << 7 * (end - at) if code[end - 1] & 0x40 else 0), end
    value = 1
    for _ in range(counts[opcode - 1]):
        value, at = number(code, at)
    return value, at


def _numbers(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    found = []
    for _ in range(count):
        value, at = number(data, at)
        found.append(value)
    return found, at


def _path(program: _Program, index: int) -> str:
    """The path of a file in a line program, relative to the build folder if it is below it."""
    header, compile_folder = program.header, program.folder
    first = 0 if header.version >= 5 else 1
    if index < first:
        raise ValueError(f"no file {index} in a table that begins with {first}")
    entry = header.file_entry[index - first]
    folders = [folder.decode(errors="replace") for folder in header.include_directory]
    if first:
        folders.insert(0, compile_folder)
    path = posixpath.normpath(
        posixpath.join(compile_folder, folders[entry.dir_index], entry.name.decode(errors="replace"))
    )
    return posixpath.relpath(path, compile_folder) if path.startswith(compile_folder + "/") else path


class _BoundedReader(io.BufferedReader):
    """Reads at most WINDOW bytes after each seek: an unterminated number, name or block ends there."""

    _left = WINDOW

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._left = WINDOW
        return super().seek(offset, whence)

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(self._left if size is None or size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


class _SectionStream(io.RawIOBase):
    """A section as a stream for pyelftools."""

    def __init__(self, contents: Contents) -> None:
        self._contents, self._size, self._at = contents, contents.readable, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = max(0, min(len(buffer), self._size - self._at))
        buffer[:size] = self._contents.read(self._at, size)
        self._at += size
        return size
