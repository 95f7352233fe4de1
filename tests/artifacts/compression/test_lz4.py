"""The lz4 decoder restores what lz4 compressed with any of its options, and raises an error for anything else."""

import random
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinspect.artifacts.compression import lz4
from kinspect.errors import KinspectError, MalformedError, TruncatedError, UnsupportedError
from kinspect.source import Source
from tests.conftest import SAMPLE
from tests.toy_zboot import lz4_stored

Tool = Callable[[str], str]
IMAGE = (SAMPLE / "Image").read_bytes()
TEXT = b"".join(b"line %d of a text that repeats itself\n" % (number % 97) for number in range(9000))
INPUTS = {
    "image": IMAGE,
    "text": TEXT,
    "nothing": b"",
    "one byte": b"x",
    "zeros": bytes(9 << 20),
    "noise": random.Random(4).randbytes(5 << 20),
    "8 MiB": (IMAGE * 70)[: 8 << 20],
    "8 MiB + 1": (IMAGE * 70)[: (8 << 20) + 1],
}
OPTIONS = {
    "legacy": ["-l"],
    "legacy -9": ["-l", "-9"],
    "frame": [],
    "frame -9": ["-9"],
    "64 KiB linked": ["-B4", "-BD"],
    "4 MiB": ["-B7"],
    "check sums": ["-B5", "-BX"],
    "size": ["--content-size"],
    "no check sum": ["--no-frame-crc"],
}


@pytest.fixture(params=["in Python", "in C"], autouse=True, scope="module")
def decoder(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs without the package lz4 and with it."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "in Python":
            patch.setitem(sys.modules, "lz4.block", None)
            assert lz4._decoded_in_c(b"\x10x", b"", 9) is None
        else:
            pytest.importorskip("lz4.block")
            assert lz4._decoded_in_c(b"\x10x", b"", 9) == b"x"
        yield


def decoded(data: bytes) -> tuple[bytes, int]:
    found = list(lz4.pieces(Source("packed", data), 0, len(data)))
    return b"".join(piece for piece, _ in found), found[-1][1]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", INPUTS)
def test_what_lz4_makes_is_read(name: str, options: str, tool: Tool, tmp_path: Path) -> None:
    # --content-size needs a file of known size.
    (tmp_path / "in").write_bytes(INPUTS[name])
    command = [tool("lz4"), "-q", "-f", *OPTIONS[options], str(tmp_path / "in"), str(tmp_path / "out")]
    subprocess.run(command, check=True)
    data = (tmp_path / "out").read_bytes()
    if name == "nothing" and "legacy" in options:
        with pytest.raises(TruncatedError, match="has no blocks"):
            decoded(data)
        return
    assert decoded(data) == (INPUTS[name], len(data))
    if "legacy" not in options:
        assert decoded(data + b"more") == (INPUTS[name], len(data))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=4000))
def test_literals_come_out(data: bytes) -> None:
    if data:
        assert decoded(lz4_stored(data))[0] == data


def sequence(literals: bytes, distance: int, length: int) -> bytes:
    """A sequence of a block, as specified."""
    count, match = len(literals), length - 4

    def more(number: int) -> bytes:
        return b"\xff" * ((number - 15) // 255) + bytes([(number - 15) % 255]) if number >= 15 else b""

    token = bytes([min(count, 15) << 4 | min(match, 15)])
    return token + more(count) + literals + struct.pack("<H", distance) + more(match)


def legacy(block: bytes) -> bytes:
    return lz4.LEGACY_MAGIC + struct.pack("<I", len(block)) + block


@given(
    st.lists(st.tuples(st.binary(max_size=20), st.integers(1, 40), st.integers(4, 600)), max_size=20),
    st.binary(min_size=5, max_size=300),
)
def test_matches_repeat_what_lies_before(parts: Sequence[tuple[bytes, int, int]], last: bytes) -> None:
    whole, block = bytearray(b"start"), b""
    first = b"start"
    for literals, distance, length in parts:
        whole += literals if block else b""
        given_literals = first if not block else literals
        back = min(distance, len(whole))
        block += sequence(given_literals, back, length)
        for _ in range(length):
            whole.append(whole[-back])
    if not block:
        whole = bytearray()
    count = len(last)
    rest = b"\xff" * ((count - 15) // 255) + bytes([(count - 15) % 255]) if count >= 15 else b""
    block += bytes([min(count, 15) << 4]) + rest + last
    assert decoded(legacy(block))[0] == bytes(whole) + last


@pytest.mark.parametrize(
    "block",
    [
        b"\x10",  # a literal that is missing
        b"\xf0\xff",  # a length that is cut
        sequence(b"abc", 0, 4) + b"\x10x",  # a match with itself
        sequence(b"abc", 4, 4) + b"\x10x",  # a match from before the block
        sequence(b"abc", 1, 4),  # no literals at the end
        sequence(b"abc", 1, (8 << 20) + 1) + b"\x10x",  # more than a block may hold
        b"\xf0\x00",
    ],
)
def test_a_broken_block_is_an_error_with_its_place(block: bytes) -> None:
    with pytest.raises(MalformedError, match="packed: lz4 stream at 0x4: the lz4 block is broken"):
        decoded(legacy(block))


FRAME = lz4.FRAME_MAGIC + b"\x60\x40\x82"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lz4.LEGACY_MAGIC, "has no blocks"),
        (lz4.LEGACY_MAGIC + b"\x64\0\0\0" + bytes(50), "truncated"),
        (lz4.LEGACY_MAGIC + b"\xff\xff\xff\xff" + bytes(50), "has no blocks"),
        (FRAME, "truncated"),
        (FRAME + b"\x08\0\0\0" + bytes(4), "truncated"),
        (FRAME + b"\1\0\1\x80" + bytes(1 << 17), "too large"),
        (lz4.FRAME_MAGIC + b"\x20\x40\x82", "unknown lz4 frame"),
        (lz4.FRAME_MAGIC + b"\x60\x30\x82", "unknown lz4 frame"),
        (lz4.FRAME_MAGIC + b"\x68\x40" + struct.pack("<Q", 9) + b"\0" + bytes(4), "wrong lz4 content size"),
        (lz4.FRAME_MAGIC + b"\x64\x40" + bytes(4) + b"\xe5" + bytes(4), "truncated"),
    ],
)
def test_a_broken_frame_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        decoded(data)


def test_a_match_reaches_over_several_blocks() -> None:
    stored = [struct.pack("<I", 1 << 31 | len(part)) + part for part in (b"first block", b"second")]
    block = sequence(b"x", 18, 5) + b"\x10y"
    data = lz4.FRAME_MAGIC + b"\x40\x40\xc0" + b"".join(stored) + struct.pack("<I", len(block)) + block + bytes(4)
    assert decoded(data) == (b"first blocksecondxfirsty", len(data))


def test_a_block_that_claims_too_much_takes_no_memory() -> None:
    block = sequence(b"x", 1, 1 << 30) + b"\x10y"
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError, match="the lz4 block is broken"):
            decoded(legacy(block))
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_dictionary_is_not_read() -> None:
    with pytest.raises(UnsupportedError, match="dictionary"):
        decoded(lz4.FRAME_MAGIC + b"\x61\x40" + bytes(20))


@settings(max_examples=300)
@given(st.binary(max_size=300), st.sampled_from([lz4.LEGACY_MAGIC, FRAME]))
def test_nothing_but_our_errors(data: bytes, magic: bytes) -> None:
    with suppress(KinspectError):
        decoded(magic + data)
