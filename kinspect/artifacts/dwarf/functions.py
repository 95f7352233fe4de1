"""The functions around an address: the one that was compiled there, and those that were inlined into it.

A unit has some ten thousand entries, most of them types. Those of functions that do not cover the address, and of
types, are skipped as a whole where the compiler says where the next one is (DW_AT_sibling; clang does not).
Source: DWARF 5, sections 3.3, 7.5.2 and 7.5.3.
"""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.dwarf.abbreviations import Abbreviation, AbbreviationTables
from kinspect.artifacts.dwarf.attributes import LOW_PC, RANGES, AttributeValues
from kinspect.artifacts.dwarf.units import (
    BLOCK_WIDTHS,
    FORM_WIDTHS,
    LEB_FORMS,
    STRING,
    Attributes,
    UnitHead,
    dwarf_section,
    number,
)
from kinspect.artifacts.elf.file import Elf

LARGEST_UNIT = 64 << 20
_INLINED, _SUBPROGRAM, _BLOCK, _NAMESPACE = 0x1D, 0x2E, 0x0B, 0x39
_SCOPES = (_INLINED, _SUBPROGRAM, _BLOCK)
_SIBLING, _NAME, _CALL_FILE, _CALL_LINE = 0x01, 0x03, 0x58, 0x59
_ORIGINS = (0x31, 0x47)
"""DW_AT_abstract_origin and DW_AT_specification: the entry with the name."""
_REFERENCES = (0x11, 0x12, 0x13, 0x15)
"""Forms of an offset in the unit, for which the next entry is looked up."""
_GLOBAL_REFERENCE, _EXPRESSIONS, _ADDRESS = 0x10, (0x09, 0x18), 0x01
_MOST_ORIGINS, _UNITS_KEPT = 8, 8


class FunctionScope(NamedTuple):
    """A function whose code covers an address. One that was inlined has the file and the line of the call."""

    name: str
    inlined: bool
    call_file: int
    call_line: int


class Functions:
    """The functions of an ELF file with DWARF."""

    def __init__(self, artifact: Elf, values: AttributeValues) -> None:
        self._artifact, self._values = artifact, values
        self._tables = AbbreviationTables(artifact)
        self._units: dict[int, _Unit] = {}

    def around(self, unit: UnitHead, address: int, symbol: tuple[str, int] | None = None) -> list[FunctionScope]:
        """The functions around an address, the innermost first; none when no function of the unit covers it.

        `symbol` is the one that covers the address, with its own address, if that is known: its entry is then searched
        for. IndexError, KeyError or ValueError when the unit is broken.
        """
        found = self._units.get(unit.offset)
        if found is None:
            if len(self._units) == _UNITS_KEPT:
                del self._units[next(iter(self._units))]
            found = self._units[unit.offset] = _Unit(self._tables, self._artifact, self._values, unit)
        chain = found.quickly(address, *symbol) if symbol else None
        return [found.scope(one) for one in reversed(chain or found.chain(address))]


class _Entry(NamedTuple):
    tag: int
    attributes: Attributes


class _Unit:
    """The entries of one unit. Offsets count from its start, as references do."""

    def __init__(self, tables: AbbreviationTables, artifact: Elf, values: AttributeValues, head: UnitHead) -> None:
        self._values, self._head = values, head
        info = dwarf_section(artifact, ".debug_info")
        if info is None:
            raise ValueError("no .debug_info")
        opening = info.read(head.offset, 12)
        length = 4 + int.from_bytes(opening[:4], "little")
        if length > LARGEST_UNIT:
            raise ValueError(f"a unit of {length:,} bytes")
        self._data = info.read(head.offset, max(0, min(length, info.readable - head.offset)))
        place = 8 if head.version == 5 else 6
        self._table = tables.at(int.from_bytes(opening[place : place + 4], "little"))
        self._first = 11
        if head.version == 5:
            self._first = {1: 12, 3: 12, 4: 20}[self._data[6]]

    def chain(self, address: int) -> list[_Entry]:
        """The functions around an address, the outermost first."""
        _, at = self._entry(self._first)
        return self._best(address, at, 1)

    def quickly(self, address: int, name: str, start: int) -> list[_Entry] | None:
        """The same for a function of a known name and start; None when its entry is not found, or does not cover it."""
        pattern, at, name = start.to_bytes(8, "little"), 0, name.partition(".")[0]
        for _ in range(_MOST_ORIGINS):
            at = self._data.find(pattern, at)
            if at < 0:
                return None
            for prefix, before in self._prefixes:
                begin = at - before
                if begin > 0 and self._data.startswith(prefix, begin):
                    entry, after = self._entry(begin)
                    ranges = self._values.ranges(self._head, entry.attributes)
                    # The bytes before the address may be alike by chance: the name is not.
                    if any(low <= address < high for low, high in ranges) and self._name(entry.attributes) == name:
                        children = self._table[number(self._data, begin)[0]].children
                        return [entry, *(self._best(address, after, 1) if children else [])]
            at += 1
        return None

    @property
    def _prefixes(self) -> Iterator[tuple[bytes, int]]:
        """What an entry of a function starts with, and how far behind its start its address is."""
        for code, one in self._table.items():
            if one.tag != _SUBPROGRAM:
                continue
            prefix = _leb(code)
            size = len(prefix)
            for name, form, _ in one.fields:
                if name == LOW_PC and form == _ADDRESS:
                    yield prefix, size
                width = FORM_WIDTHS.get(form)
                if width is None:
                    break
                size += width

    def _best(self, address: int, at: int, depth: int) -> list[_Entry]:  # noqa: C901  one loop over 10,000 entries
        """The functions around an address from an entry on, up to the end of its siblings.

        Where several do not lie in each other, the one of the smallest range is taken, as addr2line does.
        """
        data, table, end = self._data, self._table, len(self._data)
        open_scopes: list[tuple[int, _Entry]] = []
        best: list[_Entry] = []
        least = 1 << 64
        while at < end and depth:
            code = data[at]
            at += 1
            if code > 127:
                code, at = number(data, at - 1)
            if not code:
                depth -= 1
                while open_scopes and open_scopes[-1][0] > depth:
                    open_scopes.pop()
                continue
            one = table[code]
            if one.tag not in _SCOPES:
                if one.children and one.sibling and one.tag != _NAMESPACE:
                    place = at + one.sibling[0]
                    at = self._forward(at, int.from_bytes(data[place : place + one.sibling[1]], "little"))
                elif one.size is not None:
                    at += one.size
                    depth += one.children
                else:
                    at = self._skipped(at, one)
                    depth += one.children
                continue
            attributes, at = self._attributes(at, one)
            entry = _Entry(one.tag, attributes)
            ranges = self._values.ranges(self._head, attributes) if LOW_PC in attributes or RANGES in attributes else []
            sizes = [high - low for low, high in ranges if low <= address < high]
            if sizes and one.tag != _BLOCK:
                if min(sizes) <= least:
                    least, best = min(sizes), [*(scope for _, scope in open_scopes), entry]
                if one.children:
                    open_scopes.append((depth + 1, entry))
            if not one.children:
                continue
            form, sibling = attributes.get(_SIBLING, (0, 0))
            if not sizes and (ranges or one.tag == _SUBPROGRAM) and form in _REFERENCES and isinstance(sibling, int):
                at = self._forward(at, sibling)
            else:
                depth += 1
        return best

    def _forward(self, at: int, sibling: int) -> int:
        if not at < sibling <= len(self._data):
            raise ValueError(f"the entry after {at:#x} is at {sibling:#x}")
        return sibling

    def _entry(self, at: int) -> tuple[_Entry, int]:
        code, at = number(self._data, at)
        one = self._table[code]
        attributes, at = self._attributes(at, one)
        return _Entry(one.tag, attributes), at

    def _attributes(self, at: int, one: Abbreviation) -> tuple[Attributes, int]:
        data = self._data
        found: Attributes = {}
        for name, form, constant in one.fields:
            value: int | bytes = constant
            if (width := FORM_WIDTHS.get(form)) is not None:
                if width:
                    value = int.from_bytes(data[at : at + width], "little")
                    at += width
            elif form in LEB_FORMS:
                value, at = number(data, at)
            elif form == STRING:
                stop = data.index(b"\0", at)
                value, at = data[at:stop], stop + 1
            else:
                value, at = b"", self._after_block(at, form)
            found[name] = form, value
        if at > len(data):
            raise IndexError("an entry ends past its unit")
        return found, at

    def _skipped(self, at: int, one: Abbreviation) -> int:
        data = self._data
        for _, form, _ in one.fields:
            if (width := FORM_WIDTHS.get(form)) is not None:
                at += width
            elif form in LEB_FORMS:
                while data[at] > 127:
                    at += 1
                at += 1
            elif form == STRING:
                at = data.index(b"\0", at) + 1
            else:
                at = self._after_block(at, form)
        return at

    def _after_block(self, at: int, form: int) -> int:
        if form in _EXPRESSIONS:
            size, at = number(self._data, at)
        else:
            width = BLOCK_WIDTHS[form]
            size = int.from_bytes(self._data[at : at + width], "little")
            at += width
        return at + size

    def scope(self, entry: _Entry) -> FunctionScope:
        """A function with its name, which may be in another entry."""
        attributes = entry.attributes
        values = [attributes.get(name, (0, 0))[1] for name in (_CALL_FILE, _CALL_LINE)]
        file, line = (value if isinstance(value, int) else 0 for value in values)
        return FunctionScope(self._name(attributes), entry.tag == _INLINED, file, line)

    def _name(self, attributes: Attributes) -> str:
        for _ in range(_MOST_ORIGINS):
            if _NAME in attributes:
                return self._values.text(self._head, _NAME, attributes) or ""
            form, place = next((attributes[name] for name in _ORIGINS if name in attributes), (0, b""))
            if isinstance(place, bytes):
                break
            if form == _GLOBAL_REFERENCE:
                place -= self._head.offset
            if form not in (*_REFERENCES, _GLOBAL_REFERENCE) or not 0 < place < len(self._data):
                break
            attributes = self._entry(place)[0].attributes
        return ""


def _leb(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))
