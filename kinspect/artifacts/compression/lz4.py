"""lz4: the legacy frame that the kernel's build writes, and the current frame.

Blocks are decoded in Python: a kernel of 42 MB takes 0.9 s, some 300 ns for each of its three million matches. With the
extra `lz4` (the package lz4) it takes 0.1 s. The checksums of a frame (xxHash) are not verified: in Python that would
take several times as long as decoding.
Source: lz4_Block_format.md and lz4_Frame_format.md of lz4; scripts/Makefile.lib, cmd_lz4.
"""

from collections.abc import Iterator
from typing import cast

from kinspect.errors import Location, MalformedError, TruncatedError, UnsupportedError
from kinspect.source import Source

LEGACY_MAGIC, FRAME_MAGIC = b"\x02\x21\x4c\x18", b"\x04\x22\x4d\x18"
SKIPPABLE_MAGIC, _SKIPPABLE = b"\x2a\x4d\x18", 5
"""The end of the magic number of a frame that decoders skip, and the high half of its first byte."""
_LEGACY_BLOCK = 8 << 20
_LARGEST_LEGACY = _LEGACY_BLOCK + _LEGACY_BLOCK // 255 + 16
"""The size of 8 MiB of incompressible data; a larger number is not the size of a block."""
_HISTORY = 64 << 10
_SMALLEST_MATCH = 4
_LONG = 15
_STORED = 1 << 31
_BLOCK_CHECKSUM, _CONTENT_SIZE, _CONTENT_CHECKSUM, _DICTIONARY = 16, 8, 4, 1


def pieces(source: Source, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """The contents of a stream between `start` and `end`, a block at a time, each with the offset after it.

    Raises MalformedError, TruncatedError, UnsupportedError.
    """
    magic = source.read(start, min(4, end - start))
    if magic == FRAME_MAGIC:
        yield from _frame(source, start, end)
    elif magic[1:] == SKIPPABLE_MAGIC and magic[0] >> 4 == _SKIPPABLE:
        after = start + 8 + _number(source, start + 4, 4, end)
        if after > end:
            raise TruncatedError("the lz4 stream is truncated", _place(source, end))
        yield b"", after
    else:
        yield from _legacy(source, start, end)


def _legacy(source: Source, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Blocks up to the end, or up to the first invalid size: the legacy frame does not say where it ends."""
    at, full = start + 4, True
    # The build appends the unpacked size in 4 bytes, which are not a block.
    while full and end - at > 4:
        size = _number(source, at, 4, end)
        if not 0 < size <= _LARGEST_LEGACY:
            break
        found = _block(source, at, size, end, _LEGACY_BLOCK, b"")
        at += 4 + size
        # Only the last block may be smaller.
        full = len(found) == _LEGACY_BLOCK
        yield found, at
    if at == start + 4:
        raise TruncatedError("the lz4 stream has no blocks", _place(source, at))
    if full and 0 < end - at < 4:
        raise TruncatedError("the lz4 stream is truncated", _place(source, end))


def _frame(source: Source, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    flags, code = _number(source, start + 4, 1, end), _number(source, start + 5, 1, end) >> 4 & 7
    if flags >> 6 != 1 or code < 4:
        expected, actual = "version 1, blocks of 64 KiB to 4 MiB", f"{flags:#x} {code}"
        raise MalformedError("unknown lz4 frame", _place(source, start + 4), expected=expected, actual=actual)
    if flags & _DICTIONARY:
        raise UnsupportedError("the lz4 frame needs a dictionary", _place(source, start + 4))
    at = start + 6
    stated = _number(source, at, 8, end) if flags & _CONTENT_SIZE else None
    at += 1 + (8 if flags & _CONTENT_SIZE else 0)
    largest, history, total = 1 << (8 + 2 * code), b"", 0
    while word := _number(source, at, 4, end):
        size = word & ~_STORED
        if word & _STORED:
            found = _block_bytes(source, at, size, end, largest)
        else:
            found = _block(source, at, size, end, largest, history)
        history, total = (history + found)[-_HISTORY:], total + len(found)
        at += 4 + size + (4 if flags & _BLOCK_CHECKSUM else 0)
        yield found, at
    at += 4 + (4 if flags & _CONTENT_CHECKSUM else 0)
    if at > end:
        raise TruncatedError("the lz4 stream is truncated", _place(source, end))
    if stated is not None and stated != total:
        raise MalformedError("wrong lz4 content size", _place(source, start), expected=stated, actual=total)
    yield b"", at


def _block_bytes(source: Source, at: int, size: int, end: int, largest: int) -> bytes:
    """The bytes of the block whose size field is at an offset."""
    if at + 4 + size > end:
        raise TruncatedError("the lz4 stream is truncated", _place(source, end))
    # Incompressible blocks are stored as they are.
    if size > largest:
        expected = f"at most {largest:,} bytes"
        raise MalformedError("the lz4 block is too large", _place(source, at), expected=expected, actual=f"{size:,}")
    return source.read(at + 4, size)


def _block(source: Source, at: int, size: int, end: int, largest: int, history: bytes) -> bytes:
    """The block whose size field is at an offset, decoded."""
    data = _block_bytes(source, at, size, end, _LARGEST_LEGACY)
    quickly = _decoded_in_c(data, history, largest)
    if quickly is not None:
        return quickly
    found = bytearray(history)
    try:
        _decode(data, found, len(history) + largest)
    except (IndexError, ValueError) as reason:
        raise MalformedError("the lz4 block is broken", _place(source, at)) from reason
    return bytes(memoryview(found)[len(history) :])


def _decoded_in_c(data: bytes, history: bytes, largest: int) -> bytes | None:
    """The contents of a block; None without the package lz4, or when it refuses the block: Python says why."""
    try:
        from lz4.block import LZ4BlockError, decompress
    except ImportError:
        return None
    try:
        return cast(bytes, decompress(data, uncompressed_size=largest, dict=history))
    except LZ4BlockError:
        return None


def _decode(data: bytes, out: bytearray, most: int) -> None:  # noqa: C901  one loop: calls cost too much
    """Append the contents of a block: literals and matches alternate, literals last. IndexError, ValueError."""
    at, end = 0, len(data)
    while True:
        token = data[at]
        at += 1
        count = token >> 4
        if count:
            if count == _LONG:
                while (more := data[at]) == 255:
                    count += 255
                    at += 1
                count += more
                at += 1
            stop = at + count
            out += data[at:stop]
            at = stop
        if at >= end:
            break
        distance = data[at] | data[at + 1] << 8
        at += 2
        count = token & 15
        if count == _LONG:
            while (more := data[at]) == 255:
                count += 255
                at += 1
            count += more
            at += 1
            if len(out) + count > most:
                raise ValueError("too much")
        count += _SMALLEST_MATCH
        start = len(out) - distance
        if start < 0 or not distance:
            raise ValueError("a match from before the block")
        if count <= distance:
            out += out[start : start + count]
        else:
            # A match that overlaps its own output repeats it.
            out += (out[start:] * (count // distance + 1))[:count]
    if at != end or len(out) > most:
        raise ValueError("the block does not end with its literals")


def _number(source: Source, at: int, size: int, end: int) -> int:
    if at + size > end:
        raise TruncatedError("the lz4 stream is truncated", _place(source, end))
    return int.from_bytes(source.read(at, size), "little")


def _place(source: Source, at: int) -> Location:
    return Location(source.path, "lz4 stream", at)
