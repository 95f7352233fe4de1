"""The headers of the units in `.debug_info`, and the first entry of each: some hundred bytes of a section of 200 MB.

Source: DWARF 5, sections 7.5.1, 7.5.3 and 7.5.6.
"""

import struct
from itertools import pairwise
from typing import NamedTuple

from kinspect.artifacts.elf.contents import OLD_PREFIX, Contents, contents_of
from kinspect.artifacts.elf.file import Elf
from kinspect.errors import TruncatedError
from kinspect.schemas.elf import ET_REL, ArangesHeader
from kinspect.schemas.record import parse_table, size_of

LARGEST_ARANGES, LARGEST_ABBREVIATIONS = 16 << 20, 1 << 20
"""Bytes that are read of `.debug_aranges` (a kernel has some 100 KB) and of one table of abbreviations (some KB)."""
MOST_UNITS = 1 << 17
_USUAL_TABLE = 1 << 14
"""Bytes of a table of abbreviations that are read at first."""
_HEAD = 192
_COMPILE, _PARTIAL, _SKELETON = 1, 3, 4
_TAG_COMPILE_UNIT, _TAG_SKELETON_UNIT = 0x11, 0x4A
ADDR, STRING, STRP, STRX, ADDRX = 0x01, 0x08, 0x0E, 0x1A, 0x1B
LINE_STRP, RNGLISTX, STRX1, STRX4, ADDRX1, ADDRX4 = 0x1F, 0x23, 0x25, 0x28, 0x29, 0x2C
IMPLICIT_CONST = 0x21
# GNU extensions: offsets in the supplementary file that dwz makes.
_ALTERNATE = (0x1F20, 0x1F21)
# The forms of each fixed size. 0x05 to 0x07, 0x0B and 0x1E are data, 0x0C and 0x19 flags, 0x17 an offset in another
# section, 0x10 to 0x14 and the rest references.
_FORMS = {
    0: (0x19, IMPLICIT_CONST),
    1: (0x0B, 0x0C, 0x11, STRX1, ADDRX1),
    2: (0x05, 0x12, 0x26, 0x2A),
    3: (0x27, 0x2B),
    4: (0x06, 0x10, 0x13, 0x17, 0x1C, 0x1D, STRP, LINE_STRP, STRX4, ADDRX4, *_ALTERNATE),
    8: (ADDR, 0x07, 0x14, 0x20, 0x24),
    16: (0x1E,),
}
FORM_WIDTHS = {form: width for width, forms in _FORMS.items() for form in forms}
BLOCK_WIDTHS = {0x0A: 1, 0x03: 2, 0x04: 4}
LEB_FORMS = frozenset({0x0D, 0x0F, 0x15, STRX, ADDRX, 0x22, RNGLISTX, 0x1F01, 0x1F02})

Attributes = dict[int, tuple[int, int | bytes]]
"""The attributes of an entry by DW_AT number, each with its form; the value of a block is empty."""


class UnitHead(NamedTuple):
    """A unit: its offset in `.debug_info`, the version of DWARF, and the attributes of its first entry."""

    offset: int
    version: int
    attributes: Attributes


def dwarf_section(artifact: Elf, name: str) -> Contents | None:
    """The contents of a section of DWARF, decompressed; None when it is missing.

    Raises MalformedError and UnsupportedError when it is compressed and cannot be decompressed.
    """
    section = artifact.section(name) or artifact.section(name.replace(".debug_", OLD_PREFIX, 1))
    if section is None or not section.in_file:
        return None
    if artifact.header.e_type == ET_REL:
        from kinspect.artifacts.dwarf.relocated import relocated

        return artifact.cached(relocated, section)
    return contents_of(artifact, section)


def unit_heads(artifact: Elf) -> list[UnitHead]:
    """The units whose first entry can be read, in link order. A broken length ends the list."""
    info, abbreviations = dwarf_section(artifact, ".debug_info"), dwarf_section(artifact, ".debug_abbrev")
    if info is None or abbreviations is None:
        return []
    starts: list[tuple[int, int, int, bytes]] = []
    end, at = info.readable, 0
    while at + 16 < end and len(starts) < MOST_UNITS:
        data = info.read(at, min(_HEAD, end - at))
        length, version = struct.unpack_from("<IH", data)
        if length >= 0xFFFFFFF0 or version not in (2, 3, 4, 5):
            break
        table = struct.unpack_from("<I", data, 8 if version == 5 else 6)[0]
        starts.append((at, version, table, data))
        at += 4 + length
    ends = dict(pairwise(sorted({table for _, _, table, _ in starts} | {abbreviations.size})))
    found = []
    for at, version, table, data in starts:
        size = min(ends.get(table, table) - table, LARGEST_ABBREVIATIONS)
        try:
            attributes = _attributes(data, version, abbreviations.read(table, size))
        except (IndexError, KeyError, ValueError, TruncatedError):
            continue
        found.append(UnitHead(at, version, attributes))
    return found


def unit_head(artifact: Elf, offset: int) -> UnitHead:
    """The unit at an offset in `.debug_info`. IndexError, KeyError or ValueError when it is broken."""
    info, abbreviations = dwarf_section(artifact, ".debug_info"), dwarf_section(artifact, ".debug_abbrev")
    if info is None or abbreviations is None or offset + 16 > info.readable:
        raise ValueError(f"no unit at {offset:#x}")
    data = info.read(offset, min(_HEAD, info.readable - offset))
    length, version = struct.unpack_from("<IH", data)
    if length >= 0xFFFFFFF0 or version not in (2, 3, 4, 5):
        raise ValueError(f"a unit of version {version} and of {length} bytes")
    table = struct.unpack_from("<I", data, 8 if version == 5 else 6)[0]
    size = min(abbreviations.size - table, LARGEST_ABBREVIATIONS)
    try:
        return UnitHead(offset, version, _attributes(data, version, abbreviations.read(table, min(size, _USUAL_TABLE))))
    except (IndexError, ValueError):
        return UnitHead(offset, version, _attributes(data, version, abbreviations.read(table, size)))


def _attributes(data: bytes, version: int, declarations: bytes) -> Attributes:
    """The first entry of a unit. IndexError, KeyError or ValueError when it is not a compile unit's."""
    at, tag = 11, _TAG_COMPILE_UNIT
    if version == 5:
        at = {_COMPILE: 12, _PARTIAL: 12, _SKELETON: 20}[data[6]]
        tag = _TAG_SKELETON_UNIT if data[6] == _SKELETON else tag
    start = at
    _, at = number(data, at)
    found: Attributes = {}
    for attribute, form in _declaration(declarations, data[start:at], tag):
        start = at
        value: int | bytes = b""
        if form in FORM_WIDTHS:
            at += FORM_WIDTHS[form]
            value = int.from_bytes(data[start:at], "little")
        elif form in LEB_FORMS:
            value, at = number(data, at)
        elif form == STRING:
            at = data.index(b"\0", at) + 1
            value = data[start : at - 1]
        else:
            width = BLOCK_WIDTHS[form]
            at += width + int.from_bytes(data[at : at + width], "little")
        if at > len(data):
            raise IndexError("an entry is longer than what was read of it")
        found[attribute] = form, value
    return found


def _declaration(data: bytes, code: bytes, tag: int) -> list[tuple[int, int]]:
    """The attributes and forms of a unit's entry, by its code and tag in a table of abbreviations.

    It may be anywhere among some hundred others: it is recognised by the end of the one before it.
    """
    begin = code + bytes([tag])
    at = 0 if data.startswith(begin) else data.index(b"\0\0" + begin) + 2
    at += len(begin) + 1
    found: list[tuple[int, int]] = []
    while True:
        attribute, at = number(data, at)
        form, at = number(data, at)
        if form == IMPLICIT_CONST:
            _, at = number(data, at)
        if not attribute:
            return found
        found.append((attribute, form))


def number(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number and the offset after it. ValueError for more than ten bytes."""
    value = data[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    for shift in range(7, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def aranges(artifact: Elf) -> list[tuple[int, int, int]]:
    """Address ranges (start, end, offset of the unit in `.debug_info`), sorted; none without `.debug_aranges`."""
    section = dwarf_section(artifact, ".debug_aranges")
    if section is None or dwarf_section(artifact, ".debug_info") is None:
        return []
    data = section.read(0, min(section.size, LARGEST_ARANGES))
    found: list[tuple[int, int, int]] = []
    offset, head = 0, size_of(ArangesHeader)
    while offset + head <= len(data):
        header = parse_table(ArangesHeader, data[offset : offset + head])[0]
        end = offset + 4 + header.unit_length
        # The pairs are aligned to their size, relative to the start of the set.
        pairs = data[offset + 16 : end]
        if end > len(data) or header.address_size != 8 or header.segment_selector_size or len(pairs) % 16:
            break
        numbers = memoryview(pairs).cast("Q").tolist()
        for start, size in zip(numbers[::2], numbers[1::2], strict=True):
            if size:
                found.append((start, start + size, header.debug_info_offset))
        offset = end
    return sorted(found)
