"""Joined streams are read as the real tools read them, and what follows the last one is not taken for a part of it."""

import gzip
import lzma
import random
import subprocess
from collections.abc import Callable, Iterator

import pytest

from kinspect.artifacts.compression.streams import COMPRESSIONS, MOST_STREAMS, decompressed, pieces
from kinspect.artifacts.compression.windows import window_of
from kinspect.artifacts.raw.limits import set_limit, unpacked_limit
from kinspect.errors import MalformedError, TruncatedError, UnsupportedError
from kinspect.source import Source
from tests.toy_zboot import COMMANDS, compressed

Tool = Callable[[str], str]
TEXT = b"".join(b"line %d of a text\n" % number for number in range(9000)) + random.Random(5).randbytes(5000)
PARTS = (TEXT[:70_000], TEXT[70_000:70_001], TEXT[70_001:])
SKIPPABLE = b"\x5a\x2a\x4d\x18\x05\0\0\0skip!"


def unpacked(data: bytes, name: str) -> tuple[bytes, int]:
    found = list(pieces(Source("packed", data), 0, len(data), name))
    return b"".join(piece for piece, _ in found), found[-1][1]


@pytest.mark.parametrize("form", [form for form in COMMANDS if form != "lzma"])
def test_every_joined_stream_counts(form: str, tool: Tool) -> None:
    name = form.split()[0]
    joined = b"".join(compressed(part, form, tool) for part in PARTS)
    command = [tool(name), "-dc"]
    assert subprocess.run(command, input=joined, capture_output=True, check=True).stdout == TEXT
    assert unpacked(joined, name) == (TEXT, len(joined))
    # A size that the build appends, or garbage, is not a part of them.
    for tail in (b"\x10\x20\x30\x40", b"garbage after the stream", joined[:3]):
        assert unpacked(joined + tail, name) == (TEXT, len(joined))
    for end in (len(joined) - 1, len(joined) - len(compressed(PARTS[2], form, tool)) // 2):
        with pytest.raises(MalformedError):
            unpacked(joined[:end], name)


@pytest.mark.parametrize("form", ["zstd", "lz4", "lz4 frame"])
def test_skippable_frames_are_skipped(form: str, tool: Tool) -> None:
    name = form.split()[0]
    joined = compressed(PARTS[0], form, tool) + SKIPPABLE + compressed(PARTS[1], form, tool) + SKIPPABLE
    assert unpacked(joined, name) == (PARTS[0] + PARTS[1], len(joined))
    with pytest.raises(TruncatedError):
        unpacked(joined[:-1], name)


def test_xz_streams_may_be_padded(tool: Tool) -> None:
    stream = lzma.compress(TEXT)
    padded = stream + bytes(8) + stream + bytes(4)
    assert subprocess.run([tool("xz"), "-dc"], input=padded, capture_output=True, check=True).stdout == TEXT * 2
    assert unpacked(padded, "xz") == (TEXT * 2, len(padded))
    # Other padding is refused, as xz does.
    for count in (1, 2, 3, 6):
        assert unpacked(stream + bytes(count), "xz") == (TEXT, len(stream))
        assert subprocess.run([tool("xz"), "-dc"], input=stream + bytes(count), capture_output=True).returncode


@pytest.mark.parametrize("name", ["gzip", "xz", "zstd"])
def test_a_module_may_consist_of_joined_streams(name: str, tool: Tool) -> None:
    joined = b"".join(compressed(part, name, tool) for part in PARTS)
    assert decompressed(Source("a.ko", joined), len(TEXT)) == TEXT
    with pytest.raises(UnsupportedError, match="too large"):
        decompressed(Source("a.ko", joined), len(TEXT) - 1)
    if name == "gzip":
        # As gzread() does, with which kmod reads modules.
        assert decompressed(Source("a.ko", joined + b"garbage"), len(TEXT)) == TEXT
        return
    for tail in (b"garbage", bytes(3)):
        with pytest.raises(MalformedError, match=f"{len(tail)} bytes follow the compressed stream: modinfo and depmod"):
            decompressed(Source("a.ko", joined + tail), len(TEXT))


def test_the_number_of_joined_streams_is_limited() -> None:
    with pytest.raises(UnsupportedError, match=f"too many joined streams: expected at most {MOST_STREAMS:,}"):
        unpacked(gzip.compress(b"x", mtime=0) * (MOST_STREAMS + 1), "gzip")


@pytest.mark.parametrize("log", [10, 20, 27, 28, 31])
def test_the_window_of_zstd_is_in_its_header(log: int, tool: Tool) -> None:
    command = [tool("zstd"), "-q", "-c", f"--zstd=windowLog={log}", "--ultra" if log > 27 else "-3"]
    stream = subprocess.run(command, input=TEXT, capture_output=True, check=True).stdout
    assert window_of(stream[:64], "zstd") == 1 << log
    if log <= 27:
        assert unpacked(stream, "zstd")[0] == TEXT
    else:
        expected = f"needs a window of {'2 GiB' if log == 31 else '256 MiB'} to be unpacked: expected at most 128 MiB"
        for read in (lambda: unpacked(stream, "zstd"), lambda: decompressed(Source("a.ko", stream), 1 << 20)):
            with pytest.raises(UnsupportedError, match=expected):
                read()


@pytest.mark.parametrize("options", ["", "--arm", "--delta=dist=4"])
def test_the_dictionary_of_xz_is_in_its_header(options: str, tool: Tool) -> None:
    for size in (3, 256):
        command = [tool("xz"), "-c", *options.split(), f"--lzma2=dict={size}MiB"]
        stream = subprocess.run(command, input=TEXT, capture_output=True, check=True).stdout
        assert window_of(stream[:64], "xz") == size << 20
    with pytest.raises(UnsupportedError, match="needs a window of 256 MiB to be unpacked: expected at most 256 MiB"):
        unpacked(stream, "xz")


@pytest.fixture
def limit() -> Iterator[Callable[[str], None]]:
    """Sets the limit of --limit for one test."""
    yield set_limit
    set_limit(None)


def test_a_limit_lets_streams_need_more(limit: Callable[[str], None], tool: Tool) -> None:
    zstd = [tool("zstd"), "-q", "-c", "--zstd=windowLog=28", "--ultra"]
    xz = [tool("xz"), "-c", "--lzma2=dict=256MiB"]
    lzma_alone = [tool("xz"), "-c", "--format=lzma", "--lzma1=dict=256MiB"]
    for command, name in ((zstd, "zstd"), (xz, "xz"), (lzma_alone, "lzma")):
        stream = subprocess.run(command, input=TEXT, capture_output=True, check=True).stdout
        with pytest.raises(UnsupportedError, match=r"needs a window of 256 MiB .* MiB \(--limit\)"):
            unpacked(stream, name)
        limit("256MiB")
        assert unpacked(stream, name)[0] == TEXT
        limit("255 MiB")
        with pytest.raises(UnsupportedError, match=r"256 MiB to be unpacked: expected at most 255 MiB \(--limit\)"):
            unpacked(stream, name)
        set_limit(None)


def test_a_limit_is_that_of_what_is_unpacked(limit: Callable[[str], None]) -> None:
    assert unpacked_limit(1 << 20, 1 << 30) == (64 << 20) + (256 << 20)
    limit("1GiB")
    assert unpacked_limit(10, 1 << 29) == 1 << 30


@pytest.mark.parametrize("text", ["", "0", "GiB", "-1", "1.5", "2 TiB", "99999999999999", "2GiB "])
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(MalformedError, match="--limit: not a size"):
        set_limit(text)


def test_a_broken_header_has_no_window() -> None:
    for name in COMPRESSIONS:
        for size in range(64):
            for byte in (b"\0", b"\x21", b"\xff"):
                window_of(byte * size, name)
