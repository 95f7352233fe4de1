"""Decompression with a limit: never by another program, and never more than is asked for."""

import sys
import zlib
from contextlib import suppress
from typing import Any

from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.source import Source

_XZ_MEMORY = 256 << 20
_ZSTD_WINDOW = 27
"""Base-2 logarithm of the largest window: 128 MiB, what zstd itself takes without being told otherwise."""

_LARGEST_BLOCK = 256 << 10
"""zstd gives nothing before a block of up to 128 KiB is whole."""


def decompressed(source: Source, most: int) -> bytes:
    """The contents of a file, decompressed when it is gzip, xz or zstd.

    Raises MalformedError when the stream is broken or truncated, UnsupportedError when it holds more than `most` bytes.
    """
    data = source.read(0, source.size)
    for magic, stream in _STREAMS.items():
        if data.startswith(magic):
            return _bounded(source, data, stream(), most)
    return data


def opening(source: Source, size: int) -> bytes:
    """The first bytes of what a gzip, xz or zstd file holds: `size` at most, none when its beginning does not tell."""
    data = source.head(_LARGEST_BLOCK)
    for magic, stream in _STREAMS.items():
        if data.startswith(magic):
            # Each library has its own errors; who wants the whole is told of them.
            with suppress(Exception):
                found: bytes = stream().decompress(data, size)
                return found
    return b""


def _bounded(source: Source, data: bytes, stream: Any, most: int) -> bytes:
    try:
        found: bytes = stream.decompress(data, most + 1)
    # Each library has its own errors; all mean that the stream is broken.
    except Exception as reason:
        raise MalformedError(f"the compressed stream is broken ({reason})", Location(source.path)) from reason
    if len(found) > most:
        raise UnsupportedError(
            "too large when decompressed", Location(source.path), expected=f"at most {most:,} bytes", actual="more"
        )
    if not stream.eof:
        raise MalformedError(
            "the compressed stream is truncated", Location(source.path, "compressed stream", len(data))
        )
    return found


def _gzip() -> Any:
    return zlib.decompressobj(31)


def _xz() -> Any:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression.zstd import DecompressionParameter, ZstdDecompressor
    else:
        from backports.zstd import DecompressionParameter, ZstdDecompressor

    return ZstdDecompressor(options={DecompressionParameter.window_log_max: _ZSTD_WINDOW})


_STREAMS = {b"\x1f\x8b": _gzip, b"\xfd7zXZ\0": _xz, b"\x28\xb5\x2f\xfd": _zstd}
