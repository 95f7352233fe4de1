"""lzo streams that lzop wrote, and broken ones."""

import random
import subprocess
import time
from collections.abc import Callable

import pytest

from kinspect.artifacts.compression.streams import pieces
from kinspect.errors import MalformedError, TruncatedError
from kinspect.source import Source
from tests.conftest import SAMPLE, Build

IMAGE = (SAMPLE / "Image").read_bytes()
Tool = Callable[[str], str]
DRAW = random.Random(9)
NOISE = DRAW.randbytes(300_000)
CONTENTS = {
    "nothing": b"",
    "one byte": b"a",
    "few": b"abcabc",
    "a repetition": b"ab" * 5000,
    "zeros": bytes(600_000),
    "noise": NOISE,
    "noise that comes again": NOISE[:20_000] * 3 + NOISE[:1900] + NOISE[:700],
    "few letters": bytes(DRAW.randrange(3) for _ in range(100_000)),
    "an Image": IMAGE,
}


def lzop(data: bytes, tool: Tool, *options: str) -> bytes:
    return subprocess.run([tool("lzop"), *options, "-c"], input=data, capture_output=True, check=True).stdout


def unpacked(data: bytes) -> bytes:
    return b"".join(piece for piece, _ in pieces(Source("x.lzo", data), 0, len(data), "lzo"))


@pytest.mark.parametrize("options", [("-1",), ("-3",), ("-9",), ("-9", "--crc32"), ("-1", "-CC"), ("-1", "-F")])
@pytest.mark.parametrize("name", CONTENTS)
def test_what_lzop_writes(name: str, options: tuple[str, ...], tool: Tool) -> None:
    data = CONTENTS[name]
    packed = lzop(data, tool, *options)
    assert unpacked(packed) == data
    # The offset after the stream, and not of what follows it.
    *_, (_, end) = pieces(Source("x", packed + b"more"), 0, len(packed) + 4, "lzo")
    assert end == len(packed)


def test_many_lengths(tool: Tool) -> None:
    for _ in range(100):
        start, size = DRAW.randrange(len(IMAGE)), DRAW.randrange(3000)
        data = IMAGE[start : start + size]
        assert unpacked(lzop(data, tool)) == data


@pytest.mark.corpus
def test_a_real_kernel(build: Build, tool: Tool) -> None:
    data = (build.out / "arch/arm64/boot/Image").read_bytes()
    packed = lzop(data, tool, "-9")
    start = time.monotonic()
    assert unpacked(packed) == data
    assert time.monotonic() - start < 5  # 0.25 s where this was written


def test_a_stream_that_is_cut(tool: Tool) -> None:
    packed = lzop(IMAGE[:5000], tool)
    for size in range(9, len(packed)):
        with pytest.raises((TruncatedError, MalformedError)):
            unpacked(packed[:size])


def test_a_flipped_bit_is_found(tool: Tool) -> None:
    """All that follows the magic number is covered by a checksum, or is one, or a size."""
    data = IMAGE[:40_000]
    packed = lzop(data, tool)
    for _ in range(1000):
        place = DRAW.randrange(9, len(packed))
        changed = bytearray(packed)
        changed[place] ^= 1 << DRAW.randrange(8)
        try:
            found = unpacked(bytes(changed))
        except MalformedError:
            continue
        # A bit of a match that is followed by another one may mean nothing.
        assert found == data, place


def test_sizes_of_blocks_are_bounded(tool: Tool) -> None:
    packed = lzop(b"a" * 1000, tool)
    at = packed.index((1000).to_bytes(4, "big"))
    for size in (0x7FFFFFFF, (256 << 10) + 1):
        with pytest.raises(MalformedError, match="too large"):
            unpacked(packed[:at] + size.to_bytes(4, "big") + packed[at + 4 :])
