"""The parts of a decoded table of vmlinux: columns, and the addresses and strings that fields refer to.

A table is decoded column by column: one field of all its 300,000 rows at once, in C. A value that is wrong in the file
is marked (`<corrupt 0x...>`, `<missing>`), and decoding goes on.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import accumulate
from operator import add
from typing import NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.artifacts.elf.strings import LONGEST_NAME
from kinspect.errors import MalformedError, UnsupportedError
from kinspect.schemas import elf
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import column, offsets, size_of

LARGEST_TABLE, MOST_ROWS = 64 << 20, 1 << 20
"""The largest table that is decoded, in bytes and rows. A distribution's kernel has one of 8 MB and 340,000 rows."""
ADDRESS_MASK = (1 << 64) - 1
MISSING = "<missing>"
NOT_WHOLE = "the table is not a whole number of rows"
_SAMPLE, _WINDOW = 240, 1 << 16
_FAR = 1 << 31
"""How far a PREL32 reaches: addresses that are no closer to 0 and the last one cannot wrap around."""


class ColumnType(StrEnum):
    """The meaning of a column's values."""

    ADDRESS = "address"  # in memory; shown in hexadecimal
    BITS = "bits"  # flags and checksums; shown in hexadecimal
    NUMBER = "number"
    TEXT = "text"


class Column(NamedTuple):
    """One column of a table."""

    name: str
    type: ColumnType


Cell = int | str
Columns = dict[Column, Sequence[Cell]]


def contents(vmlinux: Elf, section: Section, *rows: type[NamedTuple]) -> bytes:
    """The bytes of a table.

    Raises MalformedError when the file is too short for it, or when it is not a whole number of any of `rows`, where
    some are given; UnsupportedError when it is larger than any kernel's.
    """
    at = vmlinux.at(section.name, section.offset)
    if section.size > LARGEST_TABLE:
        expected = f"at most {LARGEST_TABLE:,} bytes"
        raise UnsupportedError("the table is too large", at, expected=expected, actual=section.size)
    if expected := wrong_size(section, *map(size_of, rows)):
        raise MalformedError(NOT_WHOLE, at, expected=expected, actual=section.size)
    if rows:
        check_rows(vmlinux, section, section.size // max(map(size_of, rows)))
    return vmlinux.contents(section)


def check_rows(vmlinux: Elf, section: Section, count: int) -> None:
    """Raise UnsupportedError when a table has more rows than any kernel's."""
    if count > MOST_ROWS:
        at = vmlinux.at(section.name, section.offset)
        raise UnsupportedError("too many rows", at, expected=f"at most {MOST_ROWS:,}", actual=count)


def wrong_size(section: Section, *sizes: int) -> str:
    """Text saying what the size of a table must be a multiple of; empty when it is, or when rows vary in size."""
    whole = not sizes or any(section.size % size == 0 for size in sizes)
    return "" if whole else f"a multiple of {' or '.join(map(str, sizes))}"


def places(record: type[NamedTuple], field: str, section: Section, data: bytes) -> range:
    """The address of a field in every row."""
    start, size = section.address + offsets(record)[field], size_of(record)
    return range(start, start + len(data), size)


def relative(record: type[NamedTuple], field: str, section: Section, data: bytes) -> list[int]:
    """The addresses in a field that is relative to its own address (PREL32), one a row."""
    at, values = places(record, field, section, data), column(record, field, data)
    if at and at[0] >= _FAR and at[-1] <= ADDRESS_MASK - _FAR:
        return list(map(add, at, values))
    return [place + value & ADDRESS_MASK for place, value in zip(at, values, strict=True)]


def pointers(vmlinux: Elf, record: type[NamedTuple], field: str, section: Section, data: bytes) -> list[int]:
    """An absolute pointer of every row: its addend if `.rela.dyn` relocates it, else its value in the file."""
    at, held = places(record, field, section, data), column(record, field, data)
    relocations = vmlinux.section(".rela.dyn")
    if relocations is None or not relocations.in_file:
        return list(held)
    table = contents(vmlinux, relocations, Rela)
    rows = zip(*(column(Rela, name, table) for name in Rela._fields), strict=True)
    addends = {
        place: addend & ADDRESS_MASK
        for place, info, addend in rows
        if place in at and info & 0xFFFFFFFF == elf.R_AARCH64_RELATIVE
    }
    return [addends.get(place, value) for place, value in zip(at, held, strict=True)]


def sample(vmlinux: Elf, section: Section, row: int) -> bytes:
    """The first rows of a table, each of `row` bytes; as many as there are in the file."""
    size = max(0, min(section.size, _SAMPLE, vmlinux.size - section.offset))
    return vmlinux.source.read(section.offset, size - size % row, section.name) if size >= row else b""


def named(vmlinux: Elf, addresses: Iterable[int]) -> list[str]:
    """Each address as `symbol+offset`."""
    return [vmlinux.address_name(address) for address in addresses]


def strings_at(vmlinux: Elf, addresses: Iterable[int]) -> dict[int, str]:
    """The NUL-terminated string at each address, of at most LONGEST_NAME bytes; a marker where there is none."""
    found: dict[int, str] = {}
    wanted = sorted(set(addresses))
    done = 0
    while done < len(wanted):
        start = wanted[done]
        window = _window(vmlinux, start)
        # A string that may be cut off at the end of the window is read in the next one.
        end = start + len(window) if len(window) < _WINDOW else start + _WINDOW - LONGEST_NAME + 1
        upto = max(done + 1, bisect_left(wanted, end, done))
        known = _strings_in(window, start)
        for address in wanted[done:upto]:
            text = known.get(address)
            found[address] = text if text and len(text) < LONGEST_NAME else _string_at(window, start, address)
        done = upto
    return found


def _string_at(window: bytes, start: int, address: int) -> str:
    """The string at an address in a window that begins at `start`; a marker where there is none."""
    at = address - start
    end = window.find(b"\0", at, at + LONGEST_NAME)
    text = window[at : end if end >= 0 else at + 256].decode("ascii", "surrogateescape")
    if end >= 0:
        return text
    return f"{text}<unterminated>" if window else f"<corrupt {address:#x}>"


def _strings_in(data: bytes, start: int) -> dict[int, str]:
    """All strings in a block of them, by address; none when it is something else, and full of NULs."""
    if data.count(b"\0") * 4 > len(data):
        return {}
    texts = data.decode("ascii", "surrogateescape").split("\0")[:-1]
    return dict(zip(accumulate(map((1).__add__, map(len, texts)), initial=start), texts, strict=False))


def _window(vmlinux: Elf, address: int) -> bytes:
    """The bytes from an address to the end of its section in the file, up to a limit."""
    section = vmlinux.section_at(address)
    if section is None or not section.in_file:
        return b""
    offset = section.offset + address - section.address
    size = min(section.end - address, vmlinux.size - offset, _WINDOW)
    return vmlinux.source.read(offset, size, section.name) if size > 0 else b""
