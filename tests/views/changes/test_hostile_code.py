"""Code that no compiler makes is compared in bounded time and memory, and never out of its bounds."""

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.cli import main
from kinspect.source import Source
from kinspect.views.changes.bodies import aside
from kinspect.views.changes.closely import FunctionChange
from kinspect.views.changes.described.functions import differing_values
from kinspect.views.changes.side import KernelSide
from kinspect.views.disassembly.alignment import aligned
from kinspect.views.disassembly.listing import page_before
from kinspect.views.kernel.instructions import NOP
from kinspect.views.kernel.symbols import symbol_rows
from tests.conftest import SAMPLE
from tests.support import time_limit
from tests.toy_program import toy_kernel
from tests.views.changes.test_references import SOURCE, assembly

BACK = 0x17000000
"""A branch 64 MiB back."""


def side(*words: int) -> KernelSide:
    """A kernel of one function."""
    data = b"".join(word.to_bytes(4, "little") for word in words)
    fields = {"data": data, "words": memoryview(data).cast("I"), "names": {}, "ends": {0: len(data)}}
    return cast("KernelSide", SimpleNamespace(**fields, veneers=frozenset(), body_sizes={}))


def test_a_branch_to_what_is_before_the_kernel() -> None:
    assert aside(side(*[BACK] * 8), 0, -(64 << 20)) == (("outside", -(64 << 20)),)


def test_an_instruction_behind_the_function_of_one_kernel() -> None:
    """As a damaged table of alternatives has them."""
    change = FunctionChange("f", 0, 0, 8, 8, 1, 64, None, None, lanes=(16,))
    assert differing_values(change, side(NOP, NOP), side(*[NOP] * 32)) is None


def test_code_that_repeats_itself_is_not_aligned_for_minutes() -> None:
    draw = random.Random(1)
    ours, theirs = ([0, *(draw.choice((1, 2)) for _ in range(size)), 3] for size in (1400, 1390))
    with time_limit(10):
        blocks = list(aligned(ours, theirs, 1500))
    assert [block[0] for block in blocks] == [True, False, True]
    assert blocks[0][1:] == (0, blocks[0][2], 0, blocks[0][2])
    assert blocks[-1][2::2] == (1402, 1392)


def test_what_is_equal_at_both_ends_is_found_whatever_the_size() -> None:
    ours, theirs = [*range(50), -1, *range(50, 100)], [*range(50), -2, -3, *range(50, 100)]
    expected = [(True, 0, 50, 0, 50), (False, 50, 51, 50, 52), (True, 51, 101, 52, 102)]
    assert list(aligned(ours, theirs, 1)) == list(aligned(ours, theirs, 1500)) == expected


def test_how_far_back_an_adrp_is_looked_for() -> None:
    words = [0x90000003, *[NOP] * 2100]
    assert page_before(words, 2000, 3) == 0
    assert page_before(words, 2090, 3) is None


def test_a_function_of_megabytes_is_not_shown(
    tmp_path: Path, tool: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("capstone")
    sources = (SOURCE + assembly("huge", f".rept 70000\nadd w0, w0, #{number}\n.endr\nret") for number in (1, 2))
    old, new = (str(toy_kernel(tmp_path, tool, f"side{at}", source)) for at, source in enumerate(sources))
    assert main(["diff", old, new, "--function", "huge"]) == 2
    told = capsys.readouterr().err
    assert (
        told
        == f"kinspect: {old}: huge: too large for a function: expected at most 262,144 bytes, found 280,004 (0x445c4)\n"
    )
    assert main(["diff", old, new, "--quiet"]) == 1


def test_names_without_an_end_in_the_symbols_of_a_vmlinux() -> None:
    vmlinux = Vmlinux(SAMPLE / "vmlinux")
    (section,) = (found for found in vmlinux.sections if found.name == ".strtab")
    data = bytearray((SAMPLE / "vmlinux").read_bytes())
    data[section.offset : section.offset + section.size] = b"A" * section.size
    names = [name for _, _, name in symbol_rows(Vmlinux(Source("vmlinux", bytes(data))))]
    assert max(len(name) for name in names) == 256 + len("<unterminated>")
