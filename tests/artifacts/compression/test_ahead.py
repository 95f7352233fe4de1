"""Streams that threads unpack, against the same streams unpacked by whoever reads them, and against xz."""

import bz2
import gzip
import lzma
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kinspect.artifacts.compression.ahead import pieces_ahead, xz_blocks
from kinspect.artifacts.compression.streams import pieces
from kinspect.errors import KinspectError, MalformedError
from kinspect.source import Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Tool = Callable[[str], str]
DATA = random.Random(1).randbytes(150_000) + bytes(2_000_000) + random.Random(2).randbytes(150_000)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def read(data: bytes, name: str, start: int = 0) -> bytes:
    return b"".join(piece for piece, _ in pieces_ahead(Source("a", data), start, len(data), name))


def in_blocks(tool: Tool, *options: str, data: bytes = DATA) -> bytes:
    """An xz stream with blocks of 256 KiB."""
    command = [tool("xz"), "-c", "-T1", "--block-size=262144", *options]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("check", ["crc32", "crc64", "sha256", "none"])
def test_blocks_of_xz(check: str, tool: Tool) -> None:
    data = in_blocks(tool, f"--check={check}")
    source = Source("a", b"start" + data)
    blocks = xz_blocks(source, 5, source.size)
    assert sum(block.unpacked for block in blocks) == len(DATA)
    assert len(blocks) == -(-len(DATA) // 262144)
    assert read(b"start" + data, "xz", 5) == DATA
    (*_, (_, last)) = pieces_ahead(source, 5, source.size, "xz")
    assert last == source.size


def test_blocks_that_several_threads_made(tool: Tool) -> None:
    done = subprocess.run([tool("xz"), "-c", "-1", "-T2"], input=DATA * 4, capture_output=True, check=True)
    assert len(xz_blocks(Source("a", done.stdout), 0, len(done.stdout))) > 1
    assert read(done.stdout, "xz") == DATA * 4


def test_other_streams() -> None:
    packed = {"gzip": gzip.compress(DATA), "bzip2": bz2.compress(DATA), "xz": lzma.compress(DATA)}
    packed |= {"zstd": zstd.compress(DATA), "lzma": lzma.compress(DATA, lzma.FORMAT_ALONE)}
    for name, data in packed.items():
        assert xz_blocks(Source("a", data), 0, len(data)) == []
        assert read(data, name) == DATA
        with pytest.raises(MalformedError):
            read(data[:-20], name)


def test_streams_that_are_more_than_blocks(tool: Tool) -> None:
    """Joined streams, padding, and streams with something before or after them are read in order."""
    data = in_blocks(tool)
    for more in (data + data, data + bytes(4), data + bytes(3), data + b"more of it"):
        assert xz_blocks(Source("a", more), 0, len(more)) == []
        assert read(more, "xz") == b"".join(piece for piece, _ in pieces(Source("a", more), 0, len(more), "xz"))
    for size in (0, 1, 23, 24, 40, len(data) - 1, len(data) - 12, len(data) // 2):
        assert xz_blocks(Source("a", data[:size]), 0, size) == []


def test_each_changed_byte_is_found(tool: Tool) -> None:
    """Wherever liblzma finds it, too."""
    data, draw = in_blocks(tool), random.Random(3)
    places = [*range(40), *range(len(data) - 120, len(data)), *(draw.randrange(len(data)) for _ in range(40))]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << draw.randrange(8)
        with pytest.raises(lzma.LZMAError):
            lzma.decompress(changed, lzma.FORMAT_XZ)
        with pytest.raises(KinspectError):
            read(bytes(changed), "xz")


def test_who_stops_reading_ends_the_threads(tool: Tool) -> None:
    # More than waits to be read of one block, so that its thread cannot be done.
    data = in_blocks(tool, f"--block-size={20 << 20}", data=DATA * 40)
    assert len(xz_blocks(Source("a", data), 0, len(data))) > 1
    found = pieces_ahead(Source("a", data), 0, len(data), "xz")
    assert next(found)
    assert threading.active_count() > 1
    found.close()  # type: ignore[attr-defined]


def test_an_error_of_the_file_arrives(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(random.Random(4).randbytes(8 << 20)))
    source = Source(path)
    found = pieces_ahead(source, 0, source.size, "gzip")
    next(found)
    path.write_bytes(b"")
    with pytest.raises(KinspectError, match="changed while it was read"):
        for _ in found:
            pass
