"""The DWARF of modules: their sections are relocated as they are read, since nothing linked them.

No section of a module has an address. Each is given one that is far from the others, so that an address says which
section it is in. Source: ELF for the Arm 64-bit Architecture, section 5.7.5.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

from kinspect.artifacts.elf.contents import Contents, contents_of
from kinspect.artifacts.elf.file import Elf, Section
from kinspect.errors import Location, MalformedError
from kinspect.schemas import elf
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import packed_column, size_of

LARGEST_TABLE = 512 << 20
_WIDTHS = {257: 8, 258: 4}
"""R_AARCH64_ABS64 and R_AARCH64_ABS32: the relocations of DWARF, and the bytes of each."""
_WIDEST = 8


def section_address(number: int) -> int:
    """The address that is given to a section of a module."""
    return (number + 1) << 36


def relocated(artifact: Elf, section: Section) -> Contents:
    """The contents of a section of DWARF of a module: as they are when nothing relocates them."""
    contents = contents_of(artifact, section)
    table = next(
        (one for one in artifact.sections if one.type == elf.SHT_RELA and one.info == section.number and one.size), None
    )
    return RelocatedContents(artifact, section, contents, table) if table else contents


class RelocatedContents(Contents):
    """The bytes of a section with its relocations applied. Raises as the contents do, and MalformedError."""

    def __init__(self, artifact: Elf, section: Section, contents: Contents, table: Section) -> None:
        super().__init__(artifact, section)
        self._contents, self._relocations, self.size = contents, table, contents.size

    @property
    def readable(self) -> int:
        """The size of the part that the file has."""
        return self._contents.readable

    def at(self, offset: int) -> Location:
        """The location of a byte."""
        return self._contents.at(offset)

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`, relocated."""
        # A number may begin before what is read, or end after it.
        start, end = max(0, offset - _WIDEST), min(self.readable, offset + size + _WIDEST)
        if offset < 0 or offset + size > end:
            return self._contents.read(offset, size)
        data = bytearray(self._contents.read(start, end - start))
        places, infos, addends = self._rows
        for number in range(bisect_left(places, start), bisect_left(places, end)):
            place = places[number] - start
            width = _WIDTHS.get(infos[number] & 0xFFFFFFFF)
            if width and place + width <= len(data):
                value = self._value(infos[number] >> 32) + addends[number]
                data[place : place + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
        return bytes(data[offset - start : offset - start + size])

    @cached_property
    def _rows(self) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """The places, the types with the symbols, and the addends, by place."""
        table, row = self._relocations, size_of(Rela)
        if table.size > LARGEST_TABLE:
            at = self._artifact.at(table.name, table.offset)
            raise MalformedError(
                "too many relocations", at, expected=f"at most {LARGEST_TABLE:,} bytes", actual=table.size
            )
        contents = contents_of(self._artifact, table)
        data = contents.read(0, contents.readable // row * row)
        columns = tuple(packed_column(Rela, name, data) for name in ("r_offset", "r_info", "r_addend"))
        order = sorted(range(len(columns[0])), key=columns[0].__getitem__)
        if order != list(range(len(order))):
            columns = tuple([column[number] for number in order] for column in columns)
        return columns[0], columns[1], columns[2]

    def _value(self, number: int) -> int:
        symbols = self._artifact.symbols
        if number >= len(symbols):
            at = self._artifact.at(self._relocations.name, self._relocations.offset)
            raise MalformedError("a relocation of a symbol that is not there", at, actual=number)
        section = symbols.sections[number]
        allocated = 0 < section < len(self._artifact.sections) and self._artifact.sections[section].allocated
        return symbols.values[number] + (section_address(section) if allocated else 0)
