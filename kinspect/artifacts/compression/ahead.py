"""Streams unpacked by threads, ahead of whoever reads them: the libraries let other threads run meanwhile.

The blocks of an xz stream are independent of each other, and two are unpacked at a time.
"""

import lzma
import queue
import threading
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.compression.streams import Pieces, pieces
from kinspect.errors import Location, MalformedError
from kinspect.source import Source

_MOST_WAITING, _MOST_OF_BLOCK = 4, 16
"""Pieces that wait to be read, each of up to 1 MiB: of a stream, and of a block of xz."""
_LARGEST_BLOCK = 32 << 20
"""Bytes in a block; larger ones come with a larger dictionary, and are unpacked one after the other."""
_MOST_BLOCKS = 1 << 16
_STEP = 1 << 20
_HEADER, _FOOTER = 12, 12
_HEADER_MAGIC, _FOOTER_MAGIC = b"\xfd7zXZ\0", b"YZ"
_LONGEST_NUMBER = 9
_LARGEST_INDEX = 1 << 20


class ReadAhead:
    """What an iterator makes, made by a thread of its own. Whoever does not read to the end must close it."""

    def __init__(self, made: Pieces, most: int) -> None:
        self._made, self._stopped = made, False
        self._waiting: queue.Queue[tuple[bytes, int] | BaseException | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for piece in self._made:
                self._waiting.put(piece)
                if self._stopped:
                    return
            self._waiting.put(None)
        # Whoever reads gets it.
        except BaseException as error:
            self._waiting.put(error)

    def pieces(self) -> Pieces:
        """The pieces in order. Raises what the iterator raises."""
        while (found := self._waiting.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found

    def close(self) -> None:
        """End the thread."""
        self._stopped = True
        while self._thread.is_alive():
            while not self._waiting.empty():
                self._waiting.get_nowait()
            self._thread.join(0.01)


class _XzBlock(NamedTuple):
    """A block of an xz stream: where it is, without its padding, and the size of what is in it."""

    offset: int
    size: int
    unpacked: int


def pieces_ahead(source: Source, start: int, end: int, name: str) -> Pieces:
    """As `streams.pieces`. Threads end when the iterator does, or is closed."""
    blocks = xz_blocks(source, start, end) if name == "xz" else []
    parts = [_block_pieces(source, start, block, end) for block in blocks]
    most = _MOST_OF_BLOCK if parts else _MOST_WAITING
    left = iter(parts or [pieces(source, start, end, name)])
    running: list[ReadAhead] = []
    try:
        while True:
            while len(running) < 2 and (part := next(left, None)):
                running.append(ReadAhead(part, most))
            if not running:
                break
            yield from running[0].pieces()
            running.pop(0).close()
        if blocks:
            yield b"", end
    finally:
        for one in running:
            one.close()


def xz_blocks(source: Source, start: int, end: int) -> list[_XzBlock]:
    """The blocks of an xz stream that fills the bytes between two offsets; none unless there are several, all small.

    Source: the .xz file format, 2.1.2 "Stream Footer" and 4 "Index".
    """
    if end - start < _HEADER + _FOOTER:
        return []
    footer = source.read(end - _FOOTER, _FOOTER)
    index_size = (int.from_bytes(footer[4:8], "little") + 1) * 4
    if footer[-2:] != _FOOTER_MAGIC or _crc(footer[4:10]) != footer[:4] or index_size > _LARGEST_INDEX:
        return []
    if index_size > end - start - _HEADER - _FOOTER:
        return []
    index = source.read(end - _FOOTER - index_size, index_size)
    if index[0] or _crc(index[:-4]) != index[-4:]:
        return []
    try:
        found = list(_records(index, start + _HEADER))
    except IndexError:
        return []
    last = found[-1] if found else _XzBlock(0, 0, 0)
    fills = last.offset + _padded(last.size) == end - _FOOTER - index_size
    fills = fills and _index(found) == index
    small = all(block.unpacked <= _LARGEST_BLOCK for block in found)
    return found if len(found) > 1 and fills and small else []


def _records(index: bytes, offset: int) -> Iterator[_XzBlock]:
    """IndexError when a number is cut off."""
    count, at = _number(index, 1)
    for _ in range(min(count, _MOST_BLOCKS)):
        size, at = _number(index, at)
        unpacked, at = _number(index, at)
        yield _XzBlock(offset, size, unpacked)
        offset += _padded(size)


def _index(blocks: list[_XzBlock]) -> bytes:
    """The index of a stream of some blocks."""
    numbers = [len(blocks), *(number for block in blocks for number in (block.size, block.unpacked))]
    index = b"\0" + b"".join(map(_encoded, numbers))
    index += bytes(-len(index) % 4)
    return index + _crc(index)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the offset after it."""
    value = 0
    for place in range(_LONGEST_NUMBER):
        value |= (data[at + place] & 0x7F) << 7 * place
        if data[at + place] < 0x80:
            return value, at + place + 1
    raise IndexError


def _encoded(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _block_pieces(source: Source, start: int, block: _XzBlock, end: int) -> Pieces:
    """The contents of a block, as a stream with this block alone: its sums are compared with those in the file."""
    head, flags = source.read(start, _HEADER), source.read(end - 4, 2)
    index = _index([block])
    footer = (len(index) // 4 - 1).to_bytes(4, "little") + flags
    stop = block.offset + _padded(block.size)
    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    try:
        stream.decompress(head)
        for at in range(block.offset, stop, _STEP):
            after = min(at + _STEP, stop)
            piece = stream.decompress(source.read(at, after - at), _STEP)
            yield piece, after
            while not stream.needs_input and not stream.eof:
                yield stream.decompress(b"", _STEP), after
        rest = stream.decompress(index + _crc(footer) + footer + _FOOTER_MAGIC)
        whole = stream.eof
    except (lzma.LZMAError, EOFError) as reason:
        place = Location(source.path, "xz stream", block.offset)
        raise MalformedError(f"the stream is broken ({reason})", place) from reason
    if rest or not whole:
        raise MalformedError("the stream is broken", Location(source.path, "xz stream", block.offset))


def _padded(size: int) -> int:
    return size + -size % 4


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
