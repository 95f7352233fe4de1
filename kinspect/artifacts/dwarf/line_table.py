"""The line program of a compilation unit: its header, and its rows up to an address.

Everything is checked against what the program has before it is used; what is wrong ends in IndexError, KeyError or
ValueError. Source: DWARF 5, section 6.2; DWARF 4 to 2, the same section.
"""

import posixpath
from collections.abc import Sequence
from typing import NamedTuple

from kinspect.artifacts.dwarf.attributes import AttributeValues
from kinspect.artifacts.dwarf.units import LINE_STRP, STRING, STRP, dwarf_section, number
from kinspect.artifacts.elf.contents import Contents
from kinspect.artifacts.elf.file import Elf
from kinspect.errors import MalformedError

LARGEST_LINE_PROGRAM = 2 << 20
LARGEST_HEADER = 1 << 20
_OPENING = 32
_EXTENDED, _COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _SET_COLUMN, _NEGATE_STMT = 0, 1, 2, 3, 4, 5, 6
_CONST_ADD_PC, _FIXED = 8, 9
_END_SEQUENCE, _SET_ADDRESS, _SET_DISCRIMINATOR = 1, 2, 4
_PATH, _DIRECTORY = 1, 2
"""DW_LNCT_path and DW_LNCT_directory_index."""
_UDATA = 0x0F
# Forms of the fields in the tables of folders and files. Source: DWARF 5, section 7.5.6.
_WIDTHS = {0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, STRP: 4, LINE_STRP: 4, 0x1E: 16, STRING: 0, _UDATA: 0}
_OPCODE_BASES = {2: 14, 3: 14, 4: 15, 5: 17}
"""The offset of opcode_base in the header of each version."""
_NOWHERE = 1 << 64

Name = bytes | tuple[str, int]
"""A name, or the section and the offset that it is at."""


class LineRow(NamedTuple):
    """A row of a line table: the number of a file, a line, and a discriminator between blocks of one line."""

    file: int
    line: int
    discriminator: int


class LineTable(NamedTuple):
    """A line program. `folder` is the one in which the compiler ran; folders and files are numbered from `first`."""

    version: int
    least_line: int
    line_range: int
    step: int
    operands: bytes
    folders: Sequence[Name]
    files: Sequence[tuple[Name, int]]
    code: bytes
    folder: str

    @property
    def first(self) -> int:
        """The number of the first file."""
        return 0 if self.version >= 5 else 1


def line_table(artifact: Elf, start: int, folder: str) -> LineTable | None:
    """The line program at an offset in `.debug_line`; None without that section.

    MalformedError when it is too long, and what the module's description names when it is broken.
    """
    section = dwarf_section(artifact, ".debug_line")
    if section is None:
        return None
    head = section.read(start, max(0, min(_OPENING, section.size - start)))
    if head.startswith(b"\xff\xff\xff\xff"):
        raise ValueError("64-bit DWARF")
    version = int.from_bytes(head[4:6], "little")
    if version not in _OPCODE_BASES:
        raise ValueError(f"a line program of version {version}")
    base_at = _OPCODE_BASES[version]
    length_at = 8 if version == 5 else 6
    begin = start + length_at + 4 + int.from_bytes(head[length_at : length_at + 4], "little")
    head = section.read(start, max(0, min(LARGEST_HEADER, section.size - start, begin - start)))
    end = start + 4 + int.from_bytes(head[:4], "little")
    least, span, base = head[base_at - 2], head[base_at - 1], head[base_at]
    if not base or not span:
        raise ValueError(f"opcode_base {base}, line_range {span}")
    tables_at = base_at + base
    folders, files = (_tables if version == 5 else _old_tables)(head, tables_at)
    return LineTable(
        version,
        least - 256 * (least > 127),
        span,
        head[length_at + 4],
        head[base_at + 1 : tables_at],
        folders,
        files,
        _code(section, begin, end, start),
        folder,
    )


def _code(section: Contents, begin: int, end: int, start: int) -> bytes:
    if end - begin > LARGEST_LINE_PROGRAM:
        raise MalformedError("the line program is too long", section.at(start), actual=end - begin)
    return section.read(begin, max(0, end - begin))


def _old_tables(head: bytes, at: int) -> tuple[list[Name], list[tuple[Name, int]]]:
    """The tables of versions 2 to 4, which end in an empty name. Folder 0 is that of the compiler."""
    folders: list[Name] = [b""]
    files: list[tuple[Name, int]] = []
    while head[at]:
        end = head.index(0, at)
        folders.append(head[at:end])
        at = end + 1
    at += 1
    while head[at]:
        end = head.index(0, at)
        name = head[at:end]
        folder, at = number(head, end + 1)
        for _ in range(2):
            _, at = number(head, at)
        files.append((name, folder))
    return folders, files


def _tables(head: bytes, at: int) -> tuple[list[Name], list[tuple[Name, int]]]:
    """The tables of version 5, each with the forms of its fields before it."""
    folders, at = _table(head, at)
    files, _ = _table(head, at)
    return [name for name, _ in folders], files


def _table(head: bytes, at: int) -> tuple[list[tuple[Name, int]], int]:
    fields = []
    number_of_fields = head[at]
    at += 1
    for _ in range(number_of_fields):
        kind, at = number(head, at)
        form, at = number(head, at)
        fields.append((kind, form, _WIDTHS[form]))
    count, at = number(head, at)
    if count and (not fields or count * len(fields) > len(head) - at):
        raise ValueError(f"{count} folders or files in a header of {len(head)} bytes")
    rows = []
    for _ in range(count):
        name: Name = b""
        folder = 0
        for kind, form, width in fields:
            value, at = _field(head, at, form, width)
            if kind == _PATH and not isinstance(value, int):
                name = value
            elif kind == _DIRECTORY and isinstance(value, int):
                folder = value
        if at > len(head):
            raise ValueError(f"folders or files past the end of a header of {len(head)} bytes")
        rows.append((name, folder))
    return rows, at


def _field(head: bytes, at: int, form: int, width: int) -> tuple[Name | int, int]:
    if width:
        value = int.from_bytes(head[at : at + width], "little")
        if form in (STRP, LINE_STRP):
            return (".debug_str" if form == STRP else ".debug_line_str", value), at + width
        return value, at + width
    if form == STRING:
        end = head.index(0, at)
        return head[at:end], end + 1
    return number(head, at)


def line_row(table: LineTable, target: int) -> LineRow | None:  # noqa: C901  one loop over 100,000 opcodes
    """The row of an address, by running the opcodes up to it; None when it is not covered.

    Source: DWARF 5, section 6.2.5.
    """
    code, counts, step = table.code, table.operands, table.step
    base, span, least = len(counts) + 1, table.line_range, table.least_line
    forward = [(opcode - base) // span * step for opcode in range(256)]
    down = [(opcode - base) % span + least for opcode in range(256)]
    single_column, plain_statement = counts[4:5] == b"\1", counts[5:6] == b"\0"
    address, file, line, discriminator, before = 0, 1, 1, 0, _NOWHERE
    at, end = 0, len(code)
    last = 0, 0, 0
    while at < end:
        opcode = code[at]
        at += 1
        if opcode >= base:
            address += forward[opcode]
            line += down[opcode]
        elif opcode == _SET_COLUMN and single_column:
            while code[at] > 127:
                at += 1
            at += 1
            continue
        elif opcode == _NEGATE_STMT and plain_statement:
            continue
        elif opcode == _ADVANCE_LINE:
            value, start = code[at], at
            at += 1
            if value > 127:
                value, at = number(code, start)
            line += value - (1 << 7 * (at - start) if code[at - 1] & 0x40 else 0)
            continue
        elif opcode == _EXTENDED:
            size = code[at]
            at += 1
            if size > 127:
                size, at = number(code, at - 1)
            kind = code[at]
            if kind == _SET_DISCRIMINATOR:
                discriminator = code[at + 1]
                if discriminator > 127:
                    discriminator = number(code, at + 1)[0]
            elif kind == _SET_ADDRESS:
                address = int.from_bytes(code[at + 1 : at + 9], "little")
            at += size
            if kind != _END_SEQUENCE:
                continue
            if before <= target < address:
                return LineRow(*last)
            address, file, line, discriminator, before = 0, 1, 1, 0, _NOWHERE
            continue
        elif opcode == _FIXED:
            address += int.from_bytes(code[at : at + 2], "little")
            at += 2
            continue
        elif opcode != _COPY:
            value = 1
            for _ in range(counts[opcode - 1]):
                value, at = number(code, at)
            if opcode == _ADVANCE_PC:
                address += value * step
            elif opcode == _SET_FILE:
                file = value
            elif opcode == _CONST_ADD_PC:
                address += forward[255]
            continue
        if target < address and before <= target:
            return LineRow(*last)
        before, last, discriminator = address, (file, line, discriminator), 0
    return None


def file_path(values: AttributeValues, table: LineTable, index: int) -> str:
    """The path of a file of a line program, as the compiler was given it, from the folder in which it ran."""
    first, folder = table.first, table.folder
    if index < first:
        raise ValueError(f"no file {index} in a table that begins with {first}")
    name, place = table.files[index - first]
    names = [_text(values, one) for one in (table.folders[place], name)]
    return posixpath.normpath(posixpath.join(folder, *names))


def _text(values: AttributeValues, name: Name) -> str:
    if isinstance(name, bytes):
        return name.decode("utf-8", "surrogateescape")
    found = values.string(*name)
    if found is None:
        raise ValueError(f"no text at {name[1]:#x} in {name[0]}")
    return found
