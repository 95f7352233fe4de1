"""Decompression in bounded memory, without external programs."""

import re
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from kinspect.artifacts.compression.magics import module_compression_of
from kinspect.artifacts.compression.windows import HEADER, window_of
from kinspect.artifacts.raw.limits import memory_limit
from kinspect.errors import KinspectError, Location, MalformedError, TruncatedError, UnsupportedError
from kinspect.source import Source

Pieces = Iterator[tuple[bytes, int]]
_LZMA_MEMORY = 256 << 20
_LZMA_OVERHEAD = 1 << 20
"""What liblzma needs beside the dictionary, at most."""
_ZSTD_MEMORY = 128 << 20
"""The largest window: zstd's default limit."""
_ZSTD_WINDOWS = range(10, 32)
"""Base-2 logarithms of windows that libzstd can be told to accept."""
_STEP, _NEXT_STEP = 1 << 20, 1 << 16
"""Bytes that are read at once: of the first stream, and of those joined to it, which may be tiny."""
MOST_STREAMS = 1 << 14
_LONGEST_PADDING = 1 << 20
_TOO_MUCH_MEMORY = ("Memory usage limit", "too much memory", "window")
"""What liblzma and libzstd say when a stream needs more memory than they may use."""


def decompressed(source: Source, most: int) -> bytes:
    """The contents of a file, decompressed when it is gzip, xz or zstd; those of joined streams are joined.

    Raises MalformedError when a stream is broken or truncated, or something follows the last one that kmod refuses;
    UnsupportedError when they hold more than `most` bytes, or need too much memory.
    """
    data = source.read(0, source.size)
    compression = module_compression_of(data[:8])
    return _bounded(source, data, compression, most) if compression else data


def _bounded(source: Source, data: bytes, name: str, most: int) -> bytes:
    stream = _STREAMS[name]()
    try:
        found: bytes = stream.decompress(data, most + 1)
    # Each library has its own errors; all mean that the stream is broken.
    except Exception as reason:
        raise _unreadable(reason, data[:HEADER], name, Location(source.path), "the compressed stream") from reason
    if len(found) > most:
        raise too_large(source, most)
    if not stream.eof:
        raise MalformedError(
            "the compressed stream is truncated", Location(source.path, "compressed stream", len(data))
        )
    return _joined(source, data, name, most) if stream.unused_data else found


def _joined(source: Source, data: bytes, name: str, most: int) -> bytes:
    """The contents of several streams, one after the other."""
    found, end = bytearray(), 0
    for piece, end in pieces(Source(source.path, data), 0, len(data), name):  # noqa: B007  the last value is used
        found += piece
        if len(found) > most:
            raise too_large(source, most)
    # zlib's gzread(), with which kmod reads modules, ignores what follows; liblzma and libzstd refuse it.
    if end < len(data) and name != "gzip":
        problem = f"{len(data) - end:,} bytes follow the compressed stream: modinfo and depmod refuse the file"
        raise MalformedError(problem, Location(source.path, "compressed stream", end))
    return bytes(found)


def pieces(source: Source, start: int, end: int, name: str) -> Pieces:
    """The contents of a stream between `start` and `end` of a file, and of those joined to it, in pieces.

    Each piece comes with the offset up to which the file was read for it. `name` is one of COMPRESSIONS, or `zlib`.
    The caller may stop when the pieces add up to too much. Raises MalformedError when the stream is broken or
    truncated, UnsupportedError when it needs too much memory or there are too many.
    """
    at = start
    for number in range(MOST_STREAMS):
        if name in ("lz4", "lzo"):
            from kinspect.artifacts.compression import lz4, lzo

            found = (lz4 if name == "lz4" else lzo).pieces(source, at, end)
        else:
            found = _pieces(source, at, end, name, _NEXT_STEP if number else _STEP)
        for piece, at in found:
            yield piece, at
        after, more = _after(source, at, end, name)
        if after > at:
            yield b"", after
        if not more:
            return
        at = after
    expected, actual = f"at most {MOST_STREAMS:,}", "more"
    raise UnsupportedError("too many joined streams", Location(source.path), expected=expected, actual=actual)


def _pieces(source: Source, start: int, end: int, name: str, step: int) -> Pieces:
    stream = _STREAMS[name]()
    for at in range(start, end, step):
        data = source.read(at, min(step, end - at))
        after = at + len(data)
        while True:
            try:
                piece = stream.decompress(data, _STEP)
            # Each library has its own errors; all mean that the stream is broken.
            except Exception as reason:
                place = Location(source.path, f"{name} stream", start)
                head = source.read(start, min(HEADER, end - start))
                raise _unreadable(reason, head, name, place, "the stream") from reason
            if stream.eof:
                yield piece, after - len(stream.unused_data)
                return
            yield piece, after
            # zlib hands back the input that it did not consume, the others keep it.
            data = getattr(stream, "unconsumed_tail", b"")
            if len(piece) < _STEP and not data:
                break
    raise TruncatedError("the stream is truncated", Location(source.path, f"{name} stream", end))


def _after(source: Source, at: int, end: int, name: str) -> tuple[int, bool]:
    """The offset after a stream that ended at `at` and its padding, and whether another stream begins there.

    Source: the .xz file format, 2.2 "Stream Padding".
    """
    after = at
    if name == "xz":
        zeros = 0
        for place in range(at, min(end, at + _LONGEST_PADDING), _NEXT_STEP):
            data = source.read(place, min(_NEXT_STEP, end - place))
            rest = data.lstrip(b"\0")
            zeros += len(data) - len(rest)
            if rest:
                break
        after = at + zeros // 4 * 4
    # What is no longer than a magic number is the size that the build appends.
    more = end - after > 4 and _NEXT[name].match(source.read(after, min(HEADER, end - after))) is not None
    return (after, more) if more or after == end else (at, False)


def _unreadable(reason: Exception, head: bytes, name: str, place: Location, subject: str) -> KinspectError:
    """The error for what a library says of a stream that begins with `head`."""
    cause = str(reason).rpartition(": ")[2]
    if not any(text in cause for text in _TOO_MUCH_MEMORY):
        return MalformedError(f"{subject} is broken ({cause})", place)
    window, most = window_of(head, name), memory_limit(_ZSTD_MEMORY if name == "zstd" else _LZMA_MEMORY)
    needs = f"a window of {_binary(window)}" if window else "too much memory"
    expected = f"at most {_binary(most)} (--limit)"
    return UnsupportedError(f"{subject} needs {needs} to be unpacked", place, expected=expected)


def _binary(size: int) -> str:
    if size and not size % (1 << 30):
        return f"{size >> 30} GiB"
    return f"{size >> 20:,} MiB" if size >> 20 else f"{size:,} bytes"


def too_large(source: Source, most: int) -> UnsupportedError:
    """The error for a file that decompresses to more than `most` bytes."""
    expected = f"at most {most:,} bytes (--limit)"
    return UnsupportedError("too large when decompressed", Location(source.path), expected=expected, actual="more")


def _gzip() -> Any:
    return zlib.decompressobj(31)


def _zlib() -> Any:
    return zlib.decompressobj()


def _bzip2() -> Any:
    import bz2

    return bz2.BZ2Decompressor()


def _xz() -> Any:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_lzma_memory())


def _lzma() -> Any:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_lzma_memory())


def _lzma_memory() -> int:
    asked = memory_limit(0)
    return asked + _LZMA_OVERHEAD if asked else _LZMA_MEMORY


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression.zstd import DecompressionParameter, ZstdDecompressor
    else:
        from backports.zstd import DecompressionParameter, ZstdDecompressor

    window = memory_limit(_ZSTD_MEMORY).bit_length() - 1
    window = min(max(window, _ZSTD_WINDOWS[0]), _ZSTD_WINDOWS[-1])
    return ZstdDecompressor(options={DecompressionParameter.window_log_max: window})


_NEXT = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "zlib": re.compile(rb"[\x08\x18\x28\x38\x48\x58\x68\x78][\x01\x5e\x9c\xda]"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    # Skippable frames too.
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "lz4": re.compile(rb"\x02\x21\x4c\x18|\x04\x22\x4d\x18|[\x50-\x5f]\x2a\x4d\x18"),
    # Of these there is one stream.
    "lzma": re.compile(rb"(?!)"),
    "lzo": re.compile(rb"(?!)"),
}
"""How a stream that is joined to another one begins."""
_STREAMS: dict[str, Callable[[], Any]] = {
    "gzip": _gzip,
    "zlib": _zlib,
    "bzip2": _bzip2,
    "xz": _xz,
    "lzma": _lzma,
    "zstd": _zstd,
}
COMPRESSIONS = ("gzip", "bzip2", "lzma", "xz", "zstd", "lz4", "lzo")
"""The compressions that can be unpacked."""
