"""Decompression in bounded memory, without external programs."""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from kinspect.artifacts.compression.magics import module_compression_of
from kinspect.errors import Location, MalformedError, TruncatedError, UnsupportedError
from kinspect.source import Source

Pieces = Iterator[tuple[bytes, int]]
_LZMA_MEMORY = 256 << 20
_ZSTD_WINDOW = 27
"""Base-2 logarithm of the largest window: 128 MiB, zstd's default limit."""
_STEP = 1 << 20


def decompressed(source: Source, most: int) -> bytes:
    """The contents of a file, decompressed when it is gzip, xz or zstd.

    Raises MalformedError when the stream is broken or truncated, UnsupportedError when it holds more than `most` bytes.
    """
    data = source.read(0, source.size)
    compression = module_compression_of(data[:8])
    return _bounded(source, data, _STREAMS[compression](), most) if compression else data


def _bounded(source: Source, data: bytes, stream: Any, most: int) -> bytes:
    try:
        found: bytes = stream.decompress(data, most + 1)
    # Each library has its own errors; all mean that the stream is broken.
    except Exception as reason:
        raise MalformedError(f"the compressed stream is broken ({reason})", Location(source.path)) from reason
    if len(found) > most:
        raise too_large(source, most)
    if not stream.eof:
        raise MalformedError(
            "the compressed stream is truncated", Location(source.path, "compressed stream", len(data))
        )
    return found


def pieces(source: Source, start: int, end: int, name: str) -> Pieces:
    """The contents of a stream between `start` and `end` of a file, in pieces.

    Each piece comes with the offset up to which the file was read for it. `name` is one of COMPRESSIONS. The caller
    may stop when the pieces add up to too much. Raises MalformedError when the stream is broken or truncated.
    """
    if name == "lz4":
        from kinspect.artifacts.compression import lz4

        return lz4.pieces(source, start, end)
    return _pieces(source, start, end, name, _STREAMS[name]())


def _pieces(source: Source, start: int, end: int, name: str, stream: Any) -> Pieces:
    for at in range(start, end, _STEP):
        data = source.read(at, min(_STEP, end - at))
        after = at + len(data)
        while True:
            try:
                piece = stream.decompress(data, _STEP)
            # Each library has its own errors; all mean that the stream is broken.
            except Exception as reason:
                place = Location(source.path, f"{name} stream", start)
                cause = str(reason).rpartition(": ")[2]
                raise MalformedError(f"the stream is broken ({cause})", place) from reason
            if stream.eof:
                yield piece, after - len(stream.unused_data)
                return
            yield piece, after
            # zlib hands back the input that it did not consume, the others keep it.
            data = getattr(stream, "unconsumed_tail", b"")
            if len(piece) < _STEP and not data:
                break
    raise TruncatedError("the stream is truncated", Location(source.path, f"{name} stream", end))


def too_large(source: Source, most: int) -> UnsupportedError:
    """The error for a file that decompresses to more than `most` bytes."""
    expected = f"at most {most:,} bytes"
    return UnsupportedError("too large when decompressed", Location(source.path), expected=expected, actual="more")


def _gzip() -> Any:
    return zlib.decompressobj(31)


def _bzip2() -> Any:
    import bz2

    return bz2.BZ2Decompressor()


def _xz() -> Any:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY)


def _lzma() -> Any:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY)


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression.zstd import DecompressionParameter, ZstdDecompressor
    else:
        from backports.zstd import DecompressionParameter, ZstdDecompressor

    return ZstdDecompressor(options={DecompressionParameter.window_log_max: _ZSTD_WINDOW})


_STREAMS: dict[str, Callable[[], Any]] = {"gzip": _gzip, "bzip2": _bzip2, "xz": _xz, "lzma": _lzma, "zstd": _zstd}
COMPRESSIONS = ("gzip", "bzip2", "lzma", "xz", "zstd", "lz4")
"""The compressions that can be unpacked."""
