"""The values of attributes: text, addresses and ranges, wherever a form has put them.

Source: DWARF 5, sections 2.17, 7.5.6 and 7.25 to 7.27; DWARF 4, section 2.17.3.
"""

import struct
from collections.abc import Iterator

from kinspect.artifacts.dwarf.units import (
    ADDR,
    ADDRX,
    ADDRX1,
    ADDRX4,
    LINE_STRP,
    RNGLISTX,
    STRP,
    STRX,
    STRX1,
    STRX4,
    Attributes,
    UnitHead,
    dwarf_section,
    number,
)
from kinspect.artifacts.elf.file import Elf

_LARGEST_SECTION, _LONGEST_NAME = 16 << 20, 4096
LOW_PC, HIGH_PC, RANGES = 0x11, 0x12, 0x55
_WINDOWS = (256, 1 << 14, 1 << 20)
"""Bytes of a list of ranges that are read: at first, and when they are not enough."""
_NEW_BASE = 0xFFFFFFFFFFFFFFFF
_STR_OFFSETS_BASE, _ADDR_BASE, _RNGLISTS_BASE = 0x72, 0x73, 0x74
_STRINGS = {STRP: ".debug_str", LINE_STRP: ".debug_line_str"}
_INDEXED_STRINGS = (STRX, *range(STRX1, STRX4 + 1))
_ADDRESSES = (ADDR, ADDRX, *range(ADDRX1, ADDRX4 + 1))
# The operands of each kind of range list entry. A number is an offset from the base, or a length after a start.
_ENTRIES = {
    1: ("index",),
    2: ("index", "index"),
    3: ("index", "number"),
    4: ("number", "number"),
    5: ("address",),
    6: ("address", "address"),
    7: ("address", "number"),
}

Range = tuple[int, int]
"""Addresses, [start, end)."""


class AttributeValues:
    """The values of attributes in a file with DWARF. Sections that every unit needs are read once."""

    def __init__(self, artifact: Elf) -> None:
        self._artifact = artifact
        self._whole: dict[str, bytes] = {}

    def text(self, head: UnitHead, attribute: int, attributes: Attributes | None = None) -> str | None:
        """The text of an attribute of a unit, or of an entry in it; None without one."""
        form, value = (head.attributes if attributes is None else attributes).get(attribute, (0, b""))
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape") if form else None
        if form in _INDEXED_STRINGS:
            offset = self._indexed(".debug_str_offsets", head, _STR_OFFSETS_BASE, 4, value)
            return None if offset is None else self.string(".debug_str", offset)
        return self.string(_STRINGS.get(form, ""), value)

    def string(self, name: str, offset: int) -> str | None:
        """The text at an offset in a section of strings; None when it is outside."""
        section = dwarf_section(self._artifact, name)
        if section is None or offset >= section.size:
            return None
        if name == ".debug_line_str":
            # Small, and every unit needs it: read once.
            data, at = self._section(name), offset
        else:
            at, data = 0, section.read(offset, max(0, min(_LONGEST_NAME, section.readable - offset)))
        end = data.find(b"\0", at)
        return None if end < 0 else data[at:end].decode("utf-8", "surrogateescape")

    def _section(self, name: str) -> bytes:
        """The bytes of a section of DWARF, up to 16 MiB; empty without one."""
        if name not in self._whole:
            section = dwarf_section(self._artifact, name)
            self._whole[name] = section.read(0, min(section.size, _LARGEST_SECTION)) if section else b""
        return self._whole[name]

    def _indexed(self, name: str, head: UnitHead, base: int, width: int, index: int) -> int | None:
        """A number in a section's table, whose offset is the unit's attribute `base`; None when out of range."""
        _, start = head.attributes.get(base, (0, 8))
        data = self._section(name)
        if not isinstance(start, int) or start + (index + 1) * width > len(data):
            return None
        return int.from_bytes(data[start + index * width : start + (index + 1) * width], "little")

    def _address(self, head: UnitHead, attributes: Attributes, attribute: int) -> int:
        form, value = attributes.get(attribute, (ADDR, 0))
        if isinstance(value, bytes):
            return 0
        return value if form == ADDR else self._indexed(".debug_addr", head, _ADDR_BASE, 8, value) or 0

    def ranges(self, head: UnitHead, attributes: Attributes | None = None) -> list[Range]:
        """The addresses of a unit, or of an entry in it; none when they are broken."""
        attributes = head.attributes if attributes is None else attributes
        if RANGES in attributes:
            low = self._address(head, head.attributes, LOW_PC)
            form, offset = attributes[RANGES]
            if isinstance(offset, bytes):
                return []
            if head.version < 5:
                return self._pairs(offset, low)
            if form == RNGLISTX:
                _, base = head.attributes.get(_RNGLISTS_BASE, (0, 12))
                relative = self._indexed(".debug_rnglists", head, _RNGLISTS_BASE, 4, offset)
                if relative is None or not isinstance(base, int):
                    return []
                offset = base + relative
            return self._range_list(head, offset, low)
        low = self._address(head, attributes, LOW_PC)
        form, high = attributes.get(HIGH_PC, (ADDR, 0))
        if form in _ADDRESSES:
            end = self._address(head, attributes, HIGH_PC)
        else:
            end = low + high if isinstance(high, int) else 0
        return [(low, end)] if low < end else []

    def _pairs(self, at: int, base: int) -> list[Range]:
        """Pairs of addresses, up to a pair of zeros. Source: DWARF 4, section 2.17.3."""
        found: list[Range] = []
        for data in self._growing(".debug_ranges", at):
            found, last = [], base
            for start, end in struct.iter_unpack("<QQ", data[: len(data) & -16]):
                if start == _NEW_BASE:
                    last = end
                elif start or end:
                    found.append((last + start, last + end))
                else:
                    return [(start, end) for start, end in found if start < end]
        return [(start, end) for start, end in found if start < end]

    def _range_list(self, head: UnitHead, at: int, base: int) -> list[Range]:
        """The ranges of one list; none when it is broken. Source: DWARF 5, section 7.25."""
        for data in self._growing(".debug_rnglists", at):
            try:
                return self._listed(head, data, base)
            except (KeyError, ValueError):
                return []
            except IndexError:
                continue
        return []

    def _growing(self, name: str, at: int) -> Iterator[bytes]:
        """What begins at an offset in a section: usually a few bytes are enough."""
        section = dwarf_section(self._artifact, name)
        left = max(0, section.readable - at) if section else 0
        for size in _WINDOWS:
            if section and left:
                yield section.read(at, min(size, left))
            if left <= size:
                return

    def _listed(self, head: UnitHead, data: bytes, base: int) -> list[Range]:
        at, found = 0, []
        while data[at]:
            kinds, values = _ENTRIES[data[at]], []
            at += 1
            for kind in kinds:
                if kind == "address":
                    value, at = int.from_bytes(data[at : at + 8], "little"), at + 8
                else:
                    value, at = number(data, at)
                if kind == "index":
                    value = self._indexed(".debug_addr", head, _ADDR_BASE, 8, value) or 0
                values.append(value)
            if len(values) == 1:
                (base,) = values
                continue
            start, end = values
            if kinds[0] == "number":
                start, end = base + start, base + end
            elif kinds[1] == "number":
                end += start
            found.append((start, end))
        return [(start, end) for start, end in found if start < end]
