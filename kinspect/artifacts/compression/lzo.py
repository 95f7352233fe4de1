"""lzo: the format of lzop, as the kernel's build writes it and the kernel reads it.

Blocks are decoded in Python, as those of lz4 are. Their checksums are verified, where there are any.
Source: lib/decompress_unlzo.c, parse_header() and unlzo(); lib/lzo/lzo1x_decompress_safe.c; lzop, src/lzop.c.
"""

import zlib
from collections.abc import Iterator

from kinspect.errors import Location, MalformedError, TruncatedError
from kinspect.source import Source

_MAGIC_SIZE = 9
_WITH_LEVEL = 0x0940
"""The version since which the header has a level, and the upper half of the time."""
_ADLER_OUT, _ADLER_IN, _CRC_OUT, _CRC_IN, _FILTER, _HEADER_CRC = 1, 2, 0x100, 0x200, 0x800, 0x1000
_LARGEST_BLOCK = 256 << 10
"""The kernel's limit, which is what lzop writes."""
_NEAR, _FAR = 0x800, 0x4000
"""Distances of the first kinds of matches; those of the last begin at the second."""
_LONGEST_ZEROS = 1 << 12


def pieces(source: Source, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """The contents of a stream between `start` and `end`, a block at a time, each with the offset after it.

    Raises MalformedError, TruncatedError.
    """
    flags, at = _header(source, start, end)
    checks = ((_ADLER_OUT, zlib.adler32), (_CRC_OUT, zlib.crc32))
    while size := _number(source, at, 4, end):
        packed, begins = _number(source, at + 4, 4, end), at
        if size > _LARGEST_BLOCK or not 0 < packed <= size:
            expected, actual = f"at most {_LARGEST_BLOCK:,} bytes", f"{size:,}, of {packed:,}"
            raise MalformedError("the lzo block is too large", _place(source, at), expected=expected, actual=actual)
        at += 8
        sums = []
        for flag, function in checks:
            if flags & flag:
                sums.append((function, _number(source, at, 4, end)))
                at += 4
        if packed < size:
            at += 4 * (bool(flags & _ADLER_IN) + bool(flags & _CRC_IN))
        if at + packed > end:
            raise TruncatedError("the lzo stream is truncated", _place(source, end))
        data = source.read(at, packed)
        found = data if packed == size else _block(source, begins, data, size)
        at += packed
        for function, stated in sums:
            _verify(function(found), stated, _place(source, begins))
        yield found, at
    yield b"", at + 4


def _header(source: Source, start: int, end: int) -> tuple[int, int]:
    """The flags, and the offset of the first block."""
    at = start + _MAGIC_SIZE
    version = _number(source, at, 2, end)
    at += 8 if version >= _WITH_LEVEL else 7
    flags = _number(source, at, 4, end)
    at += 8 if flags & _FILTER else 4
    at += 12 if version >= _WITH_LEVEL else 8
    at += 1 + _number(source, at, 1, end)
    stated, data = _number(source, at, 4, end), source.read(start + _MAGIC_SIZE, at - start - _MAGIC_SIZE)
    _verify(zlib.crc32(data) if flags & _HEADER_CRC else zlib.adler32(data), stated, _place(source, start))
    return flags, at + 4


def _verify(actual: int, stated: int, place: Location) -> None:
    if actual != stated:
        raise MalformedError("wrong lzo checksum", place, expected=f"{stated:#010x}", actual=f"{actual:#010x}")


def _block(source: Source, at: int, data: bytes, size: int) -> bytes:
    """The block whose size field is at an offset, decoded."""
    out = bytearray()
    try:
        _decode(data, out, size)
    except (IndexError, ValueError) as reason:
        raise MalformedError("the lzo block is broken", _place(source, at)) from reason
    return bytes(out)


def _decode(data: bytes, out: bytearray, most: int) -> None:  # noqa: C901  one loop, as in lz4
    """Append the contents of a block of LZO1X: each match may be followed by up to three literals.

    `state` is the number of literals after the last match; 4 after a run of them. IndexError, ValueError.
    """
    at, state = 0, 0
    if data[0] > 17:
        count = data[0] - 17
        at = 1 + count
        out += data[1:at]
        state = count if count < 4 else 4
    while True:
        token = data[at]
        at += 1
        if token >= 64:
            distance = 1 + (token >> 2 & 7) + (data[at] << 3)
            count, state = (token >> 5) + 1, token & 3
            at += 1
        elif token >= 16:
            mask = 31 if token >= 32 else 7
            count = token & mask
            if not count:
                count, at = _long(data, at, mask)
            count += 2
            word = data[at] | data[at + 1] << 8
            at += 2
            distance, state = word >> 2, word & 3
            if token >= 32:
                distance += 1
            else:
                distance += (token & 8) << 11
                if not distance:
                    break
                distance += _FAR
        elif not state:
            count = token
            if not count:
                count, at = _long(data, at, 15)
            count += 3
            out += data[at : at + count]
            at += count
            state = 4
            if len(out) > most:
                raise ValueError("too much")
            continue
        else:
            distance = 1 + (token >> 2) + (data[at] << 2)
            count = 2
            if state == 4:
                distance, count = distance + _NEAR, 3
            at += 1
            state = token & 3
        start = len(out) - distance
        if start < 0 or len(out) + count > most:
            raise ValueError("a match from before the block, or too much")
        if count <= distance:
            out += out[start : start + count]
        else:
            # A match that overlaps its own output repeats it.
            out += (out[start:] * (count // distance + 1))[:count]
        if state:
            out += data[at : at + state]
            at += state
    if at != len(data) or len(out) != most:
        raise ValueError("the block does not end where its sizes say")


def _long(data: bytes, at: int, base: int) -> tuple[int, int]:
    """A count that does not fit its token: 255 for each zero, and the byte after them; and the offset after it."""
    start = at
    while not data[at]:
        at += 1
        if at - start > _LONGEST_ZEROS:
            raise ValueError("too long")
    return 255 * (at - start) + base + data[at], at + 1


def _number(source: Source, at: int, size: int, end: int) -> int:
    if at + size > end:
        raise TruncatedError("the lzo stream is truncated", _place(source, end))
    return int.from_bytes(source.read(at, size), "big")


def _place(source: Source, at: int) -> Location:
    return Location(source.path, "lzo stream", at)
