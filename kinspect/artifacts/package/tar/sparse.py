"""Sparse files in tar archives: only the parts between the holes are stored.

GNU tar writes them with --sparse, and bsdtar whenever a file has holes.
Source: GNU tar's manual, "Storing Sparse Files"; tar.h, struct oldgnu_header.
"""

from collections.abc import Iterator, Mapping

from kinspect.artifacts.package.stream import PackageStream
from kinspect.artifacts.package.tar.numbers import decimal, tar_number
from kinspect.errors import UnsupportedError
from kinspect.schemas.package.tar import BLOCK, GnuSparseExtension, GnuSparseHeader
from kinspect.schemas.record import parse_table

Extents = tuple[tuple[int, int], ...]
_PREFIX = "GNU.sparse."
SPARSE_FIELDS = tuple(_PREFIX + name for name in ("major", "minor", "realsize", "name", "map", "size", "numblocks"))
"""The fields of extended headers that are about sparse files."""
_MOST_EXTENTS = 1 << 16
_NUMBER = 12
_LONGEST_LINE = 21


def old_sparse_map(block: bytes, stream: PackageStream) -> tuple[int, Extents]:
    """The size of a sparse file with an old header, and what is stored of it. ValueError, TruncatedError."""
    header = parse_table(GnuSparseHeader, block)[0]
    found, more = list(_old_rows(header.map)), header.isextended
    while more.strip(b"\0") and len(found) < _MOST_EXTENTS:
        extension = parse_table(GnuSparseExtension, stream.exactly(BLOCK, "a sparse map"))[0]
        found += _old_rows(extension.map)
        more = extension.isextended
    return _checked(tar_number(header.realsize), found)


def _old_rows(data: bytes) -> Iterator[tuple[int, int]]:
    for at in range(0, len(data), 2 * _NUMBER):
        offset, size = data[at : at + _NUMBER], data[at + _NUMBER : at + 2 * _NUMBER]
        if offset.strip(b"\0"):
            yield tar_number(offset), tar_number(size)


def is_sparse(fields: Mapping[str, bytes]) -> bool:
    """Whether the fields of an extended header are those of a sparse file."""
    return any(name.startswith(_PREFIX) for name in fields)


def sparse_map(fields: Mapping[str, bytes], stream: PackageStream) -> tuple[int, Extents]:
    """The size of a sparse file with an extended header, and what is stored of it.

    The map of format 1.0 is at the start of the data, and is read. Raises ValueError, TruncatedError; UnsupportedError
    for format 0.0, which some versions of 2005 wrote.
    """
    if (fields.get("GNU.sparse.major"), fields.get("GNU.sparse.minor")) == (b"1", b"0"):
        return _checked(decimal(fields.get("GNU.sparse.realsize", b"")), _rows_in_data(stream))
    if "GNU.sparse.map" in fields:
        numbers = [decimal(number) for number in fields["GNU.sparse.map"].split(b",")]
        return _checked(decimal(fields.get("GNU.sparse.size", b"")), zip(numbers[::2], numbers[1::2], strict=True))
    raise UnsupportedError("the format of a sparse file is not supported", stream.place(stream.position))


def _rows_in_data(stream: PackageStream) -> list[tuple[int, int]]:
    data = b""
    lines = iter(())  # type: Iterator[bytes]

    def number() -> int:
        nonlocal data, lines
        line = next(lines, None)
        while line is None:
            data += stream.exactly(BLOCK, "a sparse map")
            whole, line_feed, data = data.rpartition(b"\n")
            if not line_feed and len(data) > _LONGEST_LINE:
                raise ValueError("no number")
            lines = iter(whole.split(b"\n")) if line_feed else lines
            line = next(lines, None)
        return decimal(line)

    count = number()
    if count > _MOST_EXTENTS:
        raise ValueError("too many")
    return [(number(), number()) for _ in range(count)]


def _checked(size: int, rows: "Iterator[tuple[int, int]] | list[tuple[int, int]]") -> tuple[int, Extents]:
    """ValueError unless the parts are in order and in the file."""
    found, end = tuple(rows), 0
    for offset, length in found:
        if offset < end or offset + length > size:
            raise ValueError("out of order")
        end = offset + length
    return size, found
