"""What the decoded tables of a vmlinux are made of: columns, and the addresses and texts that their fields stand for.

A table is decoded column by column: a field of all its 300,000 rows at once, in C. Where the file lies about one value,
that value is marked (`<corrupt 0x...>`, `<missing>`) and the rest goes on.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.artifacts.elf.strings import LONGEST_NAME
from kinspect.errors import MalformedError, UnsupportedError
from kinspect.schemas.record import column, offsets, size_of

LARGEST_TABLE, MOST_ROWS = 64 << 20, 1 << 20
"""Bytes and rows of what is decoded: the largest table of a distribution's kernel has 8 million and 340,000."""
ADDRESS_MASK = (1 << 64) - 1
MISSING = "<missing>"
NOT_WHOLE = "the table is no whole number of rows"
_WINDOW = 1 << 16


class ColumnType(StrEnum):
    """How the values of a column are meant."""

    ADDRESS = "address"  # a place in memory, to be shown in hexadecimal
    BITS = "bits"  # flags and checksums, to be shown in hexadecimal
    NUMBER = "number"
    TEXT = "text"


class Column(NamedTuple):
    """One column of a table."""

    name: str
    kind: ColumnType


Cell = int | str
Columns = dict[Column, Sequence[Cell]]


def contents(vmlinux: Elf, section: Section, *rows: type[NamedTuple]) -> bytes:
    """The bytes of a table.

    MalformedError when the file does not have them, or when they are a whole number of none of `rows`, if any are
    given; UnsupportedError when the table is too large for a kernel's.
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
    """UnsupportedError when a table has more rows than any of a kernel."""
    if count > MOST_ROWS:
        at = vmlinux.at(section.name, section.offset)
        raise UnsupportedError("too many rows", at, expected=f"at most {MOST_ROWS:,}", actual=count)


def wrong_size(section: Section, *sizes: int) -> str:
    """Of what the size of a table should be a multiple, in words; empty when it is, and when rows vary in size."""
    whole = not sizes or any(section.size % size == 0 for size in sizes)
    return "" if whole else f"a multiple of {' or '.join(map(str, sizes))}"


def places(record: type[NamedTuple], field: str, section: Section, data: bytes) -> range:
    """The address of a field in every row."""
    start, size = section.address + offsets(record)[field], size_of(record)
    return range(start, start + len(data), size)


def relative(record: type[NamedTuple], field: str, section: Section, data: bytes) -> list[int]:
    """The addresses in a field of every row that is counted from its own place (PREL32)."""
    rows = zip(places(record, field, section, data), column(record, field, data), strict=True)
    return [place + value & ADDRESS_MASK for place, value in rows]


def named(vmlinux: Elf, addresses: Iterable[int]) -> list[str]:
    """Each address as `symbol+offset`."""
    return [vmlinux.address_name(address) for address in addresses]


def strings_at(vmlinux: Elf, addresses: Iterable[int]) -> dict[int, str]:
    """The NUL-terminated text at each address, of at most LONGEST_NAME bytes; marked where there is none."""
    found: dict[int, str] = {}
    start, window = 0, b""
    for address in sorted(set(addresses)):
        end = window.find(b"\0", address - start, address - start + LONGEST_NAME)
        if end < 0:
            start, window = address, _window(vmlinux, address)
            end = window.find(b"\0", 0, LONGEST_NAME)
        if end >= 0:
            found[address] = window[address - start : end].decode("ascii", "surrogateescape")
        elif window:
            found[address] = window[:256].decode("ascii", "surrogateescape") + "<unterminated>"
        else:
            found[address] = f"<corrupt {address:#x}>"
    return found


def _window(vmlinux: Elf, address: int) -> bytes:
    """Bytes from an address on, as many as its section has in the file, up to a limit."""
    section = vmlinux.section_at(address)
    if section is None or not section.in_file:
        return b""
    offset = section.offset + address - section.address
    size = min(section.end - address, vmlinux.size - offset, _WINDOW)
    return vmlinux.source.read(offset, size, section.name) if size > 0 else b""
