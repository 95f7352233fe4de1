"""Indexes of kmod: what is written is read again, what is broken is named, whatever the bytes are."""

import ctypes
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinspect.artifacts.depmod.kmod_index import LARGEST_INDEX, LONGEST_KEY, KmodIndex, Values, glob_matches
from kinspect.errors import KinspectError, MalformedError, TruncatedError, UnsupportedError
from kinspect.schemas.kmod_index import (
    MAGIC,
    NODE_CHILDS,
    NODE_PREFIX,
    NODE_VALUES,
    VERSION,
    KmodIndexHeader,
)
from kinspect.schemas.record import build
from kinspect.views.depmod.index import index_bytes, sorted_values

KEYS = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=12) | st.text("ab", max_size=6)
VALUES = st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.text("xyz ", max_size=5)), min_size=1, max_size=3)
ENTRIES = st.dictionaries(KEYS, VALUES.map(tuple), max_size=30)
FNMATCH = ctypes.CDLL(None).fnmatch
patient = settings(deadline=None, max_examples=200)


def index_in(folder: Path, data: bytes) -> KmodIndex:
    path = folder / "modules.alias.bin"
    path.write_bytes(data)
    return KmodIndex(path)


def header(root: int) -> bytes:
    return struct.pack(">III", MAGIC, VERSION, root)


@given(ENTRIES, st.sampled_from([30, 34]))
@patient
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, Values], kmod: int
) -> None:
    index = index_in(tmp_path_factory.mktemp("index"), index_bytes(entries, kmod))
    assert index.entries == entries
    assert [key for key, _ in index] == sorted(entries)
    for key, values in entries.items():
        assert index.lookup(key) == values
        if key + "!" not in entries:
            assert index.lookup(key + "!") == ()
    assert index.header == KmodIndexHeader(*struct.unpack("4s4s4s", index.data[:12]))


def test_the_two_layouts() -> None:
    entries = {"ask": ((0, "x"),), "at": ((7, ""),)}
    leaf, value, other = b"k\0" + struct.pack(">II", 1, 0) + b"x\0", NODE_VALUES, struct.pack(">II", 1, 7) + b"\0"
    inner = struct.pack(">BB", ord("s"), ord("t"))
    before = index_bytes(entries, 34)
    a = 12 + 6
    assert before == (
        header(12 | NODE_CHILDS)
        + struct.pack(">BBI", 97, 97, a | NODE_CHILDS)
        + inner
        + struct.pack(">II", a + 10 | NODE_PREFIX | value, a + 10 + len(leaf) | value)
        + leaf
        + other
    )
    after = index_bytes(entries, 30)
    places = (12 | NODE_PREFIX | value, 12 + len(leaf) | value)
    end = 12 + len(leaf) + len(other)
    root = struct.pack(">BBI", 97, 97, end | NODE_CHILDS)
    assert after == header(end + 10 | NODE_CHILDS) + leaf + other + inner + struct.pack(">II", *places) + root


def test_an_empty_index_is_a_header(tmp_path: Path) -> None:
    for kmod in (30, 34):
        data = index_bytes({}, kmod)
        assert data == header(12)
        assert index_in(tmp_path, data).entries == {}
        assert index_in(tmp_path, data).lookup("a") == ()


def test_values_ascend_and_of_equals_the_newest_is_first() -> None:
    entries = [("a", 2, "x"), ("a", 1, "y"), ("b", 0, "q"), ("a", 2, "z"), ("a", 1, "w")]
    assert sorted_values(entries) == {"a": ((1, "w"), (1, "y"), (2, "z"), (2, "x")), "b": ((0, "q"),)}


@pytest.mark.parametrize("key", ["\x80", "ü", "a\0b"])
def test_a_key_that_no_index_holds_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"ascii|NUL"):
        index_bytes({key: ((0, ""),)}, 34)
    with pytest.raises(ValueError, match="a value holds a NUL"):
        index_bytes({"a": ((0, "b\0"),)}, 34)


def test_a_pattern_in_the_index_finds_an_alias(tmp_path: Path) -> None:
    entries = {
        "pci:v00008086d*sv*": ((3, "e1000"),),
        "pci:v00008086d00001[0-9a]sv*": ((1, "older"),),
        "usb:v1?": ((2, "usb"),),
        "plain": ((4, "plain"),),
    }
    index = index_in(tmp_path, index_bytes(entries, 34))
    assert index.matches("pci:v00008086d00001asv1") == ((1, "older"), (3, "e1000"))
    assert index.matches("pci:v00008086d00001bsv1") == ((3, "e1000"),)
    assert index.matches("plain") == ((4, "plain"),)
    assert index.matches("usb:v1") == ()


GLOB = st.text("ab*?", max_size=8) | st.lists(
    st.sampled_from(["a", "b", "-", "*", "?", "[ab]", "[!a]", "[a-b]", "[^b]", "[]a]", "[a-]", "[", "]", "!"]),
    max_size=6,
).map("".join)


@given(GLOB, st.text("ab-]", max_size=8))
@patient
def test_patterns_are_those_of_the_c_library(pattern: str, text: str) -> None:
    assert glob_matches(pattern, text) == (FNMATCH(pattern.encode(), text.encode(), 0) == 0)


def test_a_pattern_of_stars_ends() -> None:
    assert not glob_matches("*a" * 200 + "b", "a" * 4000)


def node_with_children(*children: int, first: int = 97) -> bytes:
    return struct.pack(f">BB{len(children)}I", first, first + len(children) - 1, *children)


HOSTILE = {
    "bad magic": (struct.pack(">III", MAGIC ^ 1, VERSION, 12), "not an index of kmod", 0),
    "bad version": (struct.pack(">III", MAGIC, 0x00010000, 12), "unknown version", 4),
    "root past the end": (header(NODE_CHILDS | 100), "a node ends past the file", 100),
    "a loop": (header(NODE_CHILDS | 12) + node_with_children(12 | NODE_CHILDS), "nodes overlap or lead back", 12),
    "two to one": (
        header(NODE_CHILDS | 12)
        + node_with_children(22 | NODE_VALUES, 22 | NODE_VALUES)
        + struct.pack(">II", 1, 0)
        + b"\0",
        "nodes overlap or lead back",
        22,
    ),
    "children upside down": (header(NODE_CHILDS | 12) + bytes([98, 97]) + bytes(40), "invalid child range", 12),
    "children over 127": (header(NODE_CHILDS | 12) + bytes([120, 128]) + bytes(40), "invalid child range", 12),
    "children past the end": (header(NODE_CHILDS | 12) + bytes([0, 127]) + bytes(8), "a node ends past the file", 12),
    "too many values": (
        header(NODE_VALUES | 12) + struct.pack(">I", 1 << 31),
        "more values than the file holds",
        12,
    ),
    "a value without an end": (
        header(NODE_VALUES | 12) + struct.pack(">II", 1, 0) + b"abc",
        "a string without a NUL",
        12,
    ),
    "a prefix without an end": (header(NODE_PREFIX | 12) + b"abc", "a string without a NUL", 12),
    "a key that is too long": (header(NODE_PREFIX | 12) + b"a" * 5000 + b"\0", "a string without a NUL", 12),
}


@pytest.mark.parametrize(("data", "problem", "offset"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_broken_is_named_with_its_offset(tmp_path: Path, data: bytes, problem: str, offset: int) -> None:
    with pytest.raises(MalformedError, match=problem) as caught:
        dict(index_in(tmp_path, data))
    assert caught.value.at.offset == offset
    assert caught.value.at.path.endswith("modules.alias.bin")


def test_keys_that_grow_with_every_node_are_stopped(tmp_path: Path) -> None:
    depth = 2 * LONGEST_KEY
    nodes = b"".join(node_with_children(NODE_CHILDS | 12 + 6 * (number + 1)) for number in range(depth))
    with pytest.raises(MalformedError, match="a key is too long"):
        dict(index_in(tmp_path, header(NODE_CHILDS | 12) + nodes))


def test_an_index_that_is_cut_is_an_error_wherever_it_is_cut(tmp_path: Path) -> None:
    data = index_bytes({"abc": ((1, "x"),), "abd": ((2, "y"), (3, "z"))}, 30)
    for size in range(len(data)):
        with pytest.raises(TruncatedError if size < 12 else MalformedError):
            dict(index_in(tmp_path, data[:size]))


@given(st.data())
@patient
def test_any_bytes_end_in_entries_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    good = bytearray(index_bytes(data.draw(ENTRIES), data.draw(st.sampled_from([30, 34]))))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    index = index_in(tmp_path_factory.mktemp("index"), bytes(good))
    for ask in (lambda: index.entries, lambda: index.lookup("abab"), lambda: index.matches("ab")):
        # Anything else that is raised fails the test.
        with suppress(KinspectError):
            ask()


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "modules.dep.bin"
    with path.open("wb") as file:
        file.truncate(LARGEST_INDEX + 1)
    with pytest.raises(UnsupportedError, match="too large for an index"):
        dict(KmodIndex(path))


def test_the_header_is_a_record() -> None:
    assert build(KmodIndexHeader(b"\xb0\x07\xf4\x57", b"\0\2\0\1", b"\x20\0\0\x0c")) == header(NODE_CHILDS | 12)
