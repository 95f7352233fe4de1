"""Changes of a file: at random places, and where a format keeps numbers."""

import random
import struct
from collections.abc import Callable, Sequence

VALUES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
LONG_VALUES = (*VALUES, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 4096, (1 << 64) - 1)
WORDS = (
    b"\0", b"\n", b"\r\n", b"\t", b"  ", b"/", b"../", b"*", b"[", b"(", b"\\", b"\x1b[2J", b"\xff", b"\xe2\x80\xae",
    b"%s", b"::error::", b"##[error]", b"=1+1", b"@a", b"0x", b"-1", b"99999999999999999999", b"ELF",
    b"IKCFG_ST\x1f\x8b\x08", b"Linux version ", b"~Module signature appended~\n", b"EXPORT_SYMBOL_GPL", b": ",
    b"make: *** ", b"#1 SMP",
)  # fmt: skip
LARGEST = 1 << 20
"""Bytes of a changed file."""


def mutated(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    """A file with one to twelve changes."""
    found = bytearray(data)
    for _ in range(1 + min(int(draw.expovariate(0.5)), 11)):
        draw.choices(_CHANGES, _WEIGHTS)[0](found, others, draw)
        if not found:
            break
    return bytes(found[:LARGEST])


def _place(data: bytearray, draw: random.Random) -> int:
    """An offset: anywhere, in the first bytes, in the last ones, or where the headers of an ELF or PE file are."""
    size, kind = len(data), draw.random()
    if kind < 0.3:
        return draw.randrange(min(size, 512))
    if kind < 0.4:
        return size - 1 - draw.randrange(min(size, 256))
    if kind < 0.7:
        offset = 0x3C if data[:2] == b"MZ" else 0x28 if data[:4] == b"\x7fELF" else 8
        start = int.from_bytes(data[offset : offset + 4], "big" if data[:2] == b"\xd0\x0d" else "little")
        if start < size:
            return min(size - 1, start + draw.randrange(4096))
    return draw.randrange(size)


def _flip(data: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    data[_place(data, draw)] ^= 1 << draw.randrange(8)


def _byte(data: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    data[_place(data, draw)] = draw.randrange(256)


def _number(data: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    """A number, where one of its size may be."""
    size = draw.choice((2, 4, 4, 8))
    value = draw.choice(LONG_VALUES if size == 8 else VALUES)
    if draw.random() < 0.3:
        value = len(data) + draw.randrange(-64, 64)
    at = _place(data, draw) & -size
    order = draw.choice(("<", "<", ">"))
    raw = struct.pack(f"{order}Q", value & ((1 << 64) - 1))
    data[at : at + size] = raw[:size] if order == "<" else raw[-size:]


def _cut(data: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    del data[_place(data, draw) :]


def _remove(data: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    at = _place(data, draw)
    del data[at : at + draw.choice((1, 4, 8, 64, 4096))]


def _fill(data: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    at = _place(data, draw)
    size = min(len(data) - at, draw.choice((4, 16, 64, 1024)))
    data[at : at + size] = draw.choice((b"\0", b"\xff", b"A", b"\x80")) * size


def _splice(data: bytearray, others: Sequence[bytes], draw: random.Random) -> None:
    """A piece of another file, or of this one, over or between the bytes."""
    other = draw.choice([*others, bytes(data)])
    start, size = draw.randrange(max(1, len(other))), draw.choice((8, 64, 512, 8192))
    at = _place(data, draw)
    piece = other[start : start + size]
    data[at : at + (len(piece) if draw.random() < 0.5 else 0)] = piece


def _word(data: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    at = _place(data, draw)
    word = draw.choice(WORDS)
    data[at : at + (len(word) if draw.random() < 0.5 else 0)] = word


def _repeat(data: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    """The same piece thousands of times."""
    at = _place(data, draw)
    piece = bytes(data[at : at + draw.choice((1, 2, 4, 16, 24, 64, 200))])
    times = draw.choice((2, 20, 1000, 20_000))
    data[at:at] = (piece * times)[: max(0, LARGEST - len(data))]


def _lines(data: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    """The lines of a text in another order, some of them twice."""
    lines = bytes(data).split(b"\n")
    if 2 < len(lines) < 100_000:
        first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
        lines[first], lines[second] = lines[second], draw.choice((lines[first], lines[second]))
        data[:] = b"\n".join(lines)


_CHANGES: tuple[Callable[[bytearray, Sequence[bytes], random.Random], None], ...] = (
    _flip, _byte, _number, _cut, _remove, _fill, _splice, _word, _repeat, _lines,
)  # fmt: skip
_WEIGHTS = (20, 15, 30, 4, 5, 6, 6, 6, 5, 3)
