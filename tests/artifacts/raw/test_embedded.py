"""The embedded parts of a raw Image are where the symbols of vmlinux say, and chance matches are rejected."""

import gzip
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.raw.embedded import (
    LARGEST_CONFIG,
    Embedded,
    EmbeddedConfig,
    Extent,
    config_in,
    embedded_in,
    kallsyms_in,
)
from kinspect.schemas.record import build
from kinspect.schemas.tables import BTF_MAGIC, BtfHeader
from kinspect.source import WINDOW, Source
from tests.conftest import SAMPLE, Kernel

TEXT = b"CONFIG_ARM64=y\n# CONFIG_SMP is not set\n"


def held(data: bytes) -> Source:
    return Source("Image", data)


def parts_in(source: Source, end: int, banner: int = 0, notes: int = 0) -> Embedded:
    return embedded_in(source, end, kallsyms_in(source, end, banner), notes)


def offset(vmlinux: Vmlinux, name: str) -> int:
    """The offset of a symbol in the Image."""
    value, start = vmlinux.symbols.value(name), vmlinux.text
    assert value is not None
    assert start is not None
    return value - start


def test_they_are_where_vmlinux_says(kernel: Kernel) -> None:
    vmlinux, found = Vmlinux(kernel.vmlinux), Image(kernel.image).embedded
    start, stop = offset(vmlinux, "__start_BTF"), offset(vmlinux, "__stop_BTF")
    assert found.btf == Extent(start, stop - start)
    start, index = offset(vmlinux, "kallsyms_token_table"), offset(vmlinux, "kallsyms_token_index")
    assert found.kallsyms == Extent(start, index + 512 - start)
    assert ("CONFIG_IKCONFIG=y" in (kernel.folder / "config").read_text()) == (found.config is not None)


def test_they_are_found_without_knowing_where_to_look(kernel: Kernel) -> None:
    image = Image(kernel.image)
    assert parts_in(image.source, image.size) == image.embedded
    # When it is not where the known offsets suggest, the rest is searched.
    last = image.size - 8
    assert parts_in(image.source, image.size, last, last) == image.embedded


def test_what_is_cut_off_is_not_there(kernel: Kernel) -> None:
    image = Image(kernel.image)
    found = image.embedded
    assert found.btf is not None
    assert found.kallsyms is not None
    for place in (found.btf, found.kallsyms):
        end = place.offset + place.size
        assert place in parts_in(image.source, end)
        assert place not in parts_in(image.source, end - 1)


def test_the_sample_has_none() -> None:
    assert Image(SAMPLE / "Image").embedded == Embedded(None, None, None)


@given(st.binary(max_size=300), st.binary(max_size=2000), st.binary(max_size=300))
def test_a_config_is_found_anywhere(before: bytes, text: bytes, after: bytes) -> None:
    stream = gzip.compress(text)
    data = before + b"IKCFG_ST" + stream + b"IKCFG_ED" + after
    found = config_in(held(data), [(0, len(data))])
    assert found == EmbeddedConfig(Extent(len(before) + 8, len(stream)), text)


def test_a_config_over_the_edge_of_a_window(tmp_path: Path) -> None:
    stream = gzip.compress(TEXT)
    for place in range(WINDOW - 20, WINDOW + 4, 3):
        path = tmp_path / "Image"
        path.write_bytes(bytes(place) + b"IKCFG_ST" + stream + b"IKCFG_ED" + bytes(100))
        assert config_in(Source(path), [(0, path.stat().st_size)]) == EmbeddedConfig(
            Extent(place + 8, len(stream)), TEXT
        )


@pytest.mark.parametrize(
    "data",
    [
        b"IKCFG_ST",
        b"IKCFG_ST\x1f\x8b\x08",
        b"IKCFG_ST" + gzip.compress(TEXT),
        b"IKCFG_ST" + gzip.compress(TEXT) + b"IKCFG_E",
        b"IKCFG_ST" + gzip.compress(TEXT)[:-9] + b"IKCFG_ED",
        b"IKCFG_ST" + gzip.compress(TEXT)[:-8] + bytes(8) + b"IKCFG_ED",
        b"IKCFG_ST" + gzip.compress(bytes(17 << 20)) + b"IKCFG_ED",
        b"IKCFG_ST\x1f\x8b\x08" * 5000,
    ],
)
def test_what_only_looks_like_a_config(data: bytes) -> None:
    assert config_in(held(data), [(0, len(data))]) is None
    whole = data + b"IKCFG_ST" + gzip.compress(TEXT) + b"IKCFG_ED"
    found = config_in(held(whole), [(0, len(whole))])
    # After a thousand false matches the search ends.
    assert found is None if data.count(b"IKCFG_ST") > 1000 else found and found.text == TEXT


TYPES = struct.pack("<III", 1, 1 << 24, 4) + struct.pack("<I", 32 | 1 << 24)
NAMES = b"\0int\0"
GOOD = BtfHeader(BTF_MAGIC, 1, 0, 24, 0, len(TYPES), len(TYPES), len(NAMES))


def btf(header: BtfHeader = GOOD, types: bytes = TYPES, names: bytes = NAMES) -> bytes:
    return build(header) + types + names


def test_btf_is_found() -> None:
    data = bytes(40) + btf() + bytes(7)
    assert parts_in(held(data), len(data)).btf == Extent(40, len(btf()))
    longer = build(GOOD._replace(hdr_len=32)) + bytes(8) + TYPES + NAMES
    assert parts_in(held(longer), len(longer)).btf == Extent(0, len(longer))


@pytest.mark.parametrize(
    "data",
    [
        btf()[:20],
        btf()[:-1],
        btf(GOOD._replace(version=2)),
        btf(GOOD._replace(hdr_len=16)),
        btf(GOOD._replace(hdr_len=1 << 31)),
        btf(GOOD._replace(type_len=8)),
        btf(GOOD._replace(type_len=1 << 31)),
        btf(GOOD._replace(type_off=1 << 31)),
        btf(GOOD._replace(str_off=8)),
        btf(GOOD._replace(str_off=0xFFFFFFF0)),
        btf(GOOD._replace(str_len=0)),
        btf(GOOD._replace(str_len=100)),
        btf(types=struct.pack("<IIII", 1, 0, 4, 0)),
        btf(types=struct.pack("<IIII", 99, 1 << 24, 4, 0)),
        btf(names=b"xint\0"),
        btf(names=b"\0intx"),
    ],
)
def test_what_only_looks_like_btf(data: bytes) -> None:
    assert parts_in(held(data), len(data)).btf is None
    whole = data + b"\1\1\1\1" + btf()
    assert parts_in(held(whole), len(whole)).btf == Extent(len(data) + 4, len(btf()))


def kallsyms(tokens: Sequence[bytes], alignment: int, start: int) -> bytes:
    """The token table and its index, aligned for an offset."""
    places = [sum(len(token) + 1 for token in tokens[:number]) for number in range(256)]
    table = b"".join(token + b"\0" for token in tokens)
    table += bytes(-(start + len(table)) % alignment)
    return table + struct.pack("<256H", *places)


DIGITS = [b"%d" % digit for digit in range(10)]
TOKENS = [b"t%d" % number for number in range(48)] + DIGITS + [b"x%d" % number for number in range(198)]


@pytest.mark.parametrize("alignment", [4, 8])
@pytest.mark.parametrize("start", [0, 8, 12, 4096])
def test_kallsyms_are_found(alignment: int, start: int) -> None:
    if start % alignment:
        return
    for extra in range(9):
        tokens = [b"t" * (extra + 1), *TOKENS[1:]]
        data = bytes(start) + kallsyms(tokens, alignment, start) + bytes(16)
        found = parts_in(held(data), len(data)).kallsyms
        assert found == Extent(start, len(data) - start - 16), extra


def test_what_only_looks_like_kallsyms() -> None:
    good = kallsyms(TOKENS, 8, 0)
    table = good[:-512]
    for bad in (
        good[:-1],
        table,
        table + bytes(512),
        table + b"\xff" * 512,
        good[:-2] + b"\0\0",
        b"".join(digit + b"\0" for digit in DIGITS) * 900,
    ):
        assert parts_in(held(bad), len(bad)).kallsyms is None


def test_bombs_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the candidates unpacks to the largest .config, and has no end mark."""
    bomb, made = b"IKCFG_ST" + gzip.compress(bytes(LARGEST_CONFIG - 1)), 0
    real = zlib.decompressobj

    class Counted:
        def __init__(self, wbits: int) -> None:
            nonlocal made
            self.stream = real(wbits)
            made += 1

        def __getattr__(self, name: str) -> object:
            return getattr(self.stream, name)

    monkeypatch.setattr(zlib, "decompressobj", Counted)
    assert config_in(held(bomb * 50), [(0, len(bomb) * 50)]) is None
    assert made <= 5


BANNER = b"Linux version 6.1.0 (me@here) #1 SMP\n\0\0\0"


KALLSYMS = kallsyms(TOKENS, 4, 0)


def note(build_id: bytes) -> bytes:
    return struct.pack("<III4s", 4, len(build_id), 3, b"GNU\0") + build_id


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (note(b"a" * 20) + BANNER + note(b"b" * 20) + note(b"c" * 20), b"b" * 20),
        (note(b"a" * 20) + BANNER, b"a" * 20),
        (note(b"a" * 20) + note(b"b" * 20), b"a" * 20),
        (BANNER, None),
        (note(b"a" * 20) + BANNER + note(b"b" * 20) + KALLSYMS + note(b"c" * 20), b"c" * 20),
        (note(b"a" * 20) + BANNER + note(b"b" * 20) + KALLSYMS, b"b" * 20),
        (note(b"a" * 20) + BANNER + KALLSYMS, b"a" * 20),
        (KALLSYMS + note(b"a" * 20) + BANNER, b"a" * 20),
    ],
)
def test_the_build_id_is_the_first_after_the_banner_and_kallsyms(data: bytes, expected: bytes | None) -> None:
    assert len(BANNER) % 4 == 0
    assert Image(held(bytes(64) + data)).build_id == expected
