"""Every difference between an Image and a vmlinux is found, in the ranges of a naive comparison, and attributed."""

import os
import random
import re
import subprocess
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.source import WINDOW
from kinspect.views.diff.comparison import Comparison, compare
from kinspect.views.diff.explanation import GAP, DiffStat, Hunk, differences, explain
from tests.conftest import SAMPLE, Kernel
from tests.support import Part, elf_of

Tool = Callable[[str], str]
Pairs = list[tuple[int, int]]
PAGE = 4096
TEXT = 0xFFFF800008000000
SECTION, HOLE = WINDOW + 2 * PAGE + 905, WINDOW + 3000
BORDERS = (0, PAGE, 5 * PAGE, WINDOW - PAGE, WINDOW, SECTION, SECTION + WINDOW, SECTION + HOLE, SECTION + HOLE + 7777)
FLIPS = {"bookworm-cloud": 1000, "backports-cloud": 400}


class Pair(NamedTuple):
    """A vmlinux, the bytes that objcopy makes of it, and a place for an Image."""

    vmlinux: Elf
    flat: bytes
    path: Path

    def held_against(self, image: bytes) -> Comparison:
        self.path.write_bytes(image)
        return compare(self.vmlinux, Image(self.path))

    def edges(self) -> list[int]:
        """Where sections and gaps begin and end."""
        spans = compare(self.vmlinux, Image(self.path)).flat.spans
        return sorted({0, len(self.flat), *(edge for span in spans for edge in (span.offset, span.end))})


def pair_of(folder: Path, *parts: Part) -> Pair:
    """A made vmlinux."""
    (folder / "vmlinux").write_bytes(elf_of(*parts))
    base = min(part.address for part in parts)
    flat = bytearray(max(part.address + len(part.data) for part in parts) - base)
    for part in parts:
        flat[part.address - base : part.address - base + len(part.data)] = part.data
    (folder / "Image").write_bytes(flat)
    return Pair(Elf(folder / "vmlinux"), bytes(flat), folder / "Image")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Some hundred bytes: a gap, two neighbours, a gap of one byte, a section of one byte."""
    data = random.Random(1).randbytes(400)
    return pair_of(
        tmp_path_factory.mktemp("small"),
        Part("a", data[:100], TEXT),
        Part("b", data[100:180], TEXT + 150),
        Part("c", data[180:200], TEXT + 230),
        Part("d", data[200:201], TEXT + 251),
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """More than a window in a section and in a gap; no edge but the first is at the border of a page or window."""
    data = random.Random(2).randbytes(SECTION)
    return pair_of(
        tmp_path_factory.mktemp("large"),
        Part("a", data, TEXT),
        Part("b", data[:7777], TEXT + SECTION + HOLE),
        Part("c", data[100:9000], TEXT + SECTION + HOLE + 7777),
    )


@pytest.fixture
def hello(tmp_path: Path) -> Pair:
    """The shipped sample."""
    flat = (SAMPLE / "Image").read_bytes()
    (tmp_path / "Image").write_bytes(flat)
    return Pair(Vmlinux(SAMPLE / "vmlinux"), flat, tmp_path / "Image")


def ranges_of(comparison: Comparison) -> Pairs:
    return [pair for found in comparison.ranges for pair in zip(found.starts, found.ends, strict=True)]


def naive_ranges(expected: bytes, actual: bytes, edges: Sequence[int]) -> tuple[Pairs, int]:
    """Byte by byte: ranges, cut at the edges, with at most 15 equal bytes between two that differ; how many differ."""
    found: Pairs = []
    differing = [at for at, (one, other) in enumerate(zip(expected, actual, strict=False)) if one != other]
    for at in differing:
        crossed = found and bisect_right(edges, found[-1][1] - 1) != bisect_right(edges, at)
        if found and not crossed and at - found[-1][1] <= 15:
            found[-1] = found[-1][0], at + 1
        else:
            found.append((at, at + 1))
    return found, len(differing)


def assert_as_naive(pair: Pair, image: bytes) -> Comparison:
    comparison = pair.held_against(image)
    ranges, differing = naive_ranges(pair.flat, image, pair.edges())
    assert ranges_of(comparison) == ranges
    assert (comparison.range_count, comparison.differing_bytes) == (len(ranges), differing)
    assert comparison.image_size == len(image)
    assert comparison.same == (image == pair.flat)
    return comparison


def edited(flat: bytes, edits: Mapping[int, int]) -> bytes:
    """A copy with the bytes at some offsets changed by XOR."""
    copy = bytearray(flat)
    for offset, mask in edits.items():
        copy[offset] ^= mask
    return bytes(copy)


def test_the_sample_is_the_same(sample: Path) -> None:
    comparison = compare(Vmlinux(sample / "vmlinux"), Image(sample / "Image"))
    assert comparison.same
    assert (comparison.ranges, comparison.differing_bytes, comparison.image_size) == ((), 0, 135680)


def test_a_real_kernel_is_the_same(kernel: Kernel) -> None:
    comparison = compare(Vmlinux(kernel.vmlinux), Image(kernel.image))
    assert comparison.same
    assert comparison.ranges == ()
    assert comparison.flat.size == comparison.image_size == os.path.getsize(kernel.image)


def test_every_bit_is_compared(small: Pair) -> None:
    edges = small.edges()
    assert edges == [0, 100, 150, 230, 250, 251, 252]
    for offset in range(len(small.flat)):
        for bit in range(8):
            comparison = small.held_against(edited(small.flat, {offset: 1 << bit}))
            assert ranges_of(comparison) == [(offset, offset + 1)]
            assert comparison.differing_bytes == 1
            stretch = comparison.ranges[0].stretch
            assert (stretch.span is None) == (100 <= offset < 150 or offset == 250)
            assert stretch.offset <= offset < stretch.offset + stretch.size
            assert {stretch.offset, stretch.offset + stretch.size} <= set(edges)


def test_each_section_and_gap_of_the_sample(hello: Pair) -> None:
    edges = hello.edges()
    assert len(edges) > 20
    for start, end in pairwise(edges):
        for offset in {start, (start + end) // 2, end - 1}:
            comparison = assert_as_naive(hello, edited(hello.flat, {offset: 0x80}))
            assert ranges_of(comparison) == [(offset, offset + 1)]
        assert_as_naive(hello, hello.flat[:start] + bytes([0x5A]) * (end - start) + hello.flat[end:])


BORDERS = (
    0,
    PAGE,
    5 * PAGE,
    WINDOW - PAGE,
    WINDOW,
    2 * WINDOW,
    2 * WINDOW + 5001,
    3 * WINDOW + 5001,
    3 * WINDOW + 17306,
)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("equal", [0, 1, 14, 15, 16, 17])
def test_differences_merge_over_at_most_15_equal_bytes(border: int, equal: int, large: Pair) -> None:
    for start in {border - equal - 2, border - equal - 1, border - 1, border, border + 1}:
        second = start + equal + 1
        if start < 0 or second >= len(large.flat):
            continue
        comparison = assert_as_naive(large, edited(large.flat, {start: 1, second: 0xFF}))
        if any(start < edge <= second for edge in large.edges()) or equal > 15:
            assert ranges_of(comparison) == [(start, start + 1), (second, second + 1)]
        else:
            assert ranges_of(comparison) == [(start, second + 1)]


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("before", "after"), [(1, 1), (0, 1), (1, 0), (PAGE, PAGE), (20, 0), (0, 20), (WINDOW, 40)])
def test_a_run_over_a_border(border: int, before: int, after: int, large: Pair) -> None:
    run = range(max(0, border - before), min(border + after, len(large.flat)))
    comparison = assert_as_naive(large, edited(large.flat, dict.fromkeys(run, 0x10)))
    assert comparison.differing_bytes == len(run)


@pytest.mark.parametrize("step", range(1, 20))
def test_a_difference_every_few_bytes(step: int, large: Pair) -> None:
    comparison = assert_as_naive(large, edited(large.flat, dict.fromkeys(range(0, len(large.flat), step), 0x01)))
    assert (comparison.range_count < 10) == (step <= 16)


def test_all_bytes_differ(large: Pair) -> None:
    comparison = assert_as_naive(large, edited(large.flat, dict.fromkeys(range(len(large.flat)), 0xFF)))
    assert comparison.differing_bytes == len(large.flat)
    assert comparison.range_count == 4


@pytest.mark.parametrize("size", [0, 1, 63, PAGE, WINDOW - 1, WINDOW, WINDOW + 1, SECTION, SECTION + 1])
def test_a_shorter_image(size: int, large: Pair) -> None:
    comparison = assert_as_naive(large, large.flat[:size])
    assert not comparison.same
    assert comparison.range_count == 0
    if size:
        assert_as_naive(large, edited(large.flat[:size], {size - 1: 1, 0: 2}))


@pytest.mark.parametrize("extra", [1, 15, PAGE, WINDOW])
def test_a_longer_image(extra: int, large: Pair) -> None:
    for fill in (b"\0", b"\xff"):
        comparison = assert_as_naive(large, large.flat + fill * extra)
        assert not comparison.same
        assert comparison.range_count == 0
    assert_as_naive(large, edited(large.flat, {len(large.flat) - 1: 1}) + bytes(extra))


def test_a_vmlinux_with_nothing_to_copy(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(elf_of(Part("a", b"abc", TEXT, flags=0)))
    (tmp_path / "Image").write_bytes(b"")
    assert compare(Elf(tmp_path / "vmlinux"), Image(tmp_path / "Image")).same
    (tmp_path / "Image").write_bytes(b"x")
    comparison = compare(Elf(tmp_path / "vmlinux"), Image(tmp_path / "Image"))
    assert (comparison.same, comparison.range_count, comparison.flat.size) == (False, 0, 0)


places = st.sampled_from(BORDERS).flatmap(lambda border: st.integers(max(0, border - 40), border + 40))
runs = st.tuples(
    places | st.integers(0, 3 * WINDOW),
    st.integers(1, 20) | st.integers(1, 3 * PAGE) | st.just(WINDOW),  # how long
    st.sampled_from([1, 1, 2, 15, 16, 17, 18]),  # how far apart
    st.integers(1, 255),
)


@settings(deadline=None, max_examples=120)
@given(runs=st.lists(runs, max_size=6), size=st.just(1 << 30) | places, more=st.sampled_from([0, 0, 1, 100]))
def test_any_differences(large: Pair, runs: list[tuple[int, int, int, int]], size: int, more: int) -> None:
    image = bytearray(large.flat)
    for start, length, apart, mask in runs:
        for offset in range(start, min(start + length, len(image)), apart):
            image[offset] ^= mask
    assert_as_naive(large, bytes(image[:size]) + bytes(more))


# ---- Where they are.


def test_a_difference_says_where_and_what(hello: Pair) -> None:
    offset = 0x10A08
    hello.held_against(edited(hello.flat, dict.fromkeys(range(offset, offset + 20), 0xFF)))
    (found,) = differences(Vmlinux(SAMPLE / "vmlinux"), Image(hello.path), 10)
    assert (found.offset, found.size, found.address, found.section) == (offset, 20, TEXT + offset, ".text")
    assert found.expected == hello.flat[offset : offset + 16]
    assert found.actual == bytes(byte ^ 0xFF for byte in found.expected)
    assert found.line is None


def test_a_difference_in_a_gap(hello: Pair) -> None:
    hello.held_against(edited(hello.flat, {0x12000: 0x5A}))
    vmlinux, image = Vmlinux(SAMPLE / "vmlinux"), Image(hello.path)
    why = explain(vmlinux, image, 10)
    assert why.sections == (DiffStat(GAP, 1, 1),)
    assert why.symbols == ()
    assert why.differences == (Hunk(0x12000, 1, TEXT + 0x12000, GAP, "after .got.plt", None, b"\0", b"\x5a"),)


def test_tallies_add_up(hello: Pair) -> None:
    edits = {0x10000: 1, 0x10001: 1, 0x10005: 1, 0x10100: 1, 0x12000: 1, 0x21000: 1}
    hello.held_against(edited(hello.flat, edits))
    vmlinux, image = Vmlinux(SAMPLE / "vmlinux"), Image(hello.path)
    why = explain(vmlinux, image, 2)
    assert [(found.offset, found.size) for found in why.differences] == [(0x10000, 6), (0x10100, 1)]
    assert why.sections == (DiffStat(".text", 4, 2), DiffStat(GAP, 1, 1), DiffStat(".data", 1, 1))
    # The bytes of a symbol are those of its ranges, equal ones between them included.
    assert sum(tally.bytes for tally in why.symbols) == 6 + 1 + 1
    assert sum(tally.ranges for tally in why.symbols) == 3


class Truth(NamedTuple):
    """What readelf and nm say of a vmlinux: sections with bytes in the Image by address, symbols of each by address."""

    sections: list[tuple[int, int, str]]
    symbols: dict[str, list[tuple[int, int, str]]]

    def section(self, address: int) -> str:
        for start, size, name in self.sections:
            if start <= address < start + size:
                return name
        return GAP

    def names(self, section: str, address: int) -> set[tuple[str, int]]:
        """The symbols that may be named for an address, each with its own address."""
        rows = self.symbols.get(section, [])
        upto = bisect_right(rows, (address, 1 << 64, ""))
        last = rows[upto - 1][0] if upto else None
        return {(name, start) for start, size, name in rows[:upto] if start == last or address < start + size}


def truth_of(vmlinux: str, tool: Tool) -> Truth:
    def output(*words: str) -> Iterator[str]:
        done = subprocess.run([tool(words[0]), *words[1:], vmlinux], capture_output=True, text=True, check=True)
        return iter(done.stdout.splitlines())

    row = re.compile(r"\s+\[ *\d+\] (\S+)\s+(\S+)\s+([0-9a-f]{16}) [0-9a-f]+ ([0-9a-f]+) \S+\s+([A-Z]*A[A-Z]*) ")
    rows = [found.groups() for found in map(row.match, output("aarch64-linux-gnu-readelf", "-SW")) if found]
    sections = [(int(address, 16), int(size, 16), name) for name, kind, address, size, _ in rows if kind != "NOBITS"]
    symbols: dict[str, list[tuple[int, int, str]]] = {}
    for line in output("aarch64-linux-gnu-nm", "-n", "-f", "sysv"):
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 7 and cells[1]:
            symbols.setdefault(cells[6], []).append((int(cells[1], 16), int(cells[4] or "0", 16), cells[0]))
    for found in symbols.values():
        found.sort()
    return Truth(sections, symbols)


def assert_attributed(vmlinux: Vmlinux, image: Image, offset: int, truth: Truth) -> str:
    (found,) = differences(vmlinux, image, 10)
    assert vmlinux.text is not None
    address = vmlinux.text + offset
    assert (found.offset, found.size, found.address) == (offset, 1, address)
    assert found.section == truth.section(address)
    assert found.expected != found.actual == image.source.read(offset, 1)
    if found.section == GAP:
        assert found.place.startswith("after ")
        return found.section
    name, _, within = found.place.partition("+")
    start = address - int(within.partition("/")[0], 16)
    names = truth.names(found.section, address)
    if names:
        assert (name, start) in names
    else:
        assert (name, truth.section(start)) == (found.section, found.section)
    return found.section


def test_every_place_of_the_sample_is_attributed(hello: Pair, tool: Tool) -> None:
    vmlinux = Vmlinux(SAMPLE / "vmlinux")
    truth = truth_of(vmlinux.path, tool)
    assert len(truth.sections) == 20
    assert len(truth.symbols) > 10
    met = set()
    for offset in [*range(64), *range(0x10000, len(hello.flat), 61), *hello.edges()[:-1]]:
        hello.path.write_bytes(edited(hello.flat, {offset: 4}))
        met.add(assert_attributed(vmlinux, Image(hello.path), offset, truth))
    assert met == {name for _, _, name in truth.sections} | {GAP}


def test_a_bit_flipped_anywhere_in_a_real_kernel_is_found_and_attributed(
    kernel: Kernel, tool: Tool, tmp_path: Path
) -> None:
    vmlinux, truth = Vmlinux(kernel.vmlinux), truth_of(kernel.vmlinux, tool)
    assert vmlinux.text is not None
    copy = tmp_path / "Image"
    copy.write_bytes(Path(kernel.image).read_bytes())
    chance = random.Random(2026)
    met = set()
    with copy.open("r+b", buffering=0) as file:
        for number in range(FLIPS[kernel.name]):
            # Half of them anywhere, half of them in each section alike, for some are small.
            start, size, _ = chance.choice(truth.sections) if number % 2 else (vmlinux.text, copy.stat().st_size, "")
            offset, mask = chance.randrange(start - vmlinux.text, start - vmlinux.text + size), 1 << chance.randrange(8)
            (byte,) = os.pread(file.fileno(), 1, offset)
            os.pwrite(file.fileno(), bytes([byte ^ mask]), offset)
            met.add(assert_attributed(vmlinux, Image(copy), offset, truth))
            os.pwrite(file.fileno(), bytes([byte]), offset)
    assert met == {name for _, size, name in truth.sections} | {GAP}
