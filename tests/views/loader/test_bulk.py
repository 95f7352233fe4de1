"""What is found in whole columns is what a look at each row finds."""

import random
import struct
from types import SimpleNamespace
from typing import cast

import pytest

from kinspect.schemas import elf
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.relocation import tests as relocation_tests
from kinspect.views.loader.relocation.areas import BRANCHES, Areas
from kinspect.views.loader.relocation.values import has_types_among

SYMBOLS = [0, 1, 2, 1, 3, 0]
"""The sections of some symbols."""


def table(rows: list[tuple[int, int, int]]) -> bytes:
    return b"".join(
        struct.pack("<QQq", 8 * at, symbol << 32 | kind, addend) for at, (kind, symbol, addend) in enumerate(rows)
    )


def random_rows(seed: int) -> list[tuple[int, int, int]]:
    drawn = random.Random(seed)
    kinds = (275, 282, 283, 283, 257)
    return [
        (drawn.choice(kinds), drawn.randrange(len(SYMBOLS)), drawn.choice((0, 0, 0, 4, -8, 1 << 40)))
        for _ in range(seed % 90)
    ]


def stubs_row_by_row(rows: list[tuple[int, int, int]], target: int) -> int:
    """As the kernel counts them. Source: arch/arm64/kernel/module-plts.c, count_plts()."""
    seen, count = set(), 0
    for row in rows:
        kind, symbol, addend = row
        if kind not in BRANCHES or SYMBOLS[symbol] == target or (not addend and row in seen):
            continue
        seen.add(row)
        count += 1
    return count


@pytest.mark.parametrize("seed", range(0, 400, 7))
def test_stubs(seed: int) -> None:
    rows = random_rows(seed)
    data = table(rows)
    sections = SimpleNamespace(
        types=[0, 1, 1, elf.SHT_RELA, elf.SHT_RELA],
        infos=[0, 0, 0, 1, 2],
        flags=[0, elf.SHF_EXECINSTR, elf.SHF_EXECINSTR, 0, 0],
    )
    info = SimpleNamespace(
        sections=sections,
        count=5,
        names=[b"", b".text", b".init.text", b".rela.text", b".rela.init.text"],
        symbol_sections=SYMBOLS,
        bytes_of=lambda _: data + b"rest",
    )
    assert Areas(cast(LoadInfo, info)).stubs == (stubs_row_by_row(rows, 1), stubs_row_by_row(rows, 2))


@pytest.mark.parametrize("odd", [0, 256, 258, 279, 300, 311, 512, 256 + 65536, 283 + (1 << 24), 283])
@pytest.mark.parametrize("place", [0, 5, 19])
def test_known_types(odd: int, place: int) -> None:
    rows = [(kind, 1, 0) for kind in (275, 283, 257, 261) * 5]
    rows[place] = (odd, 1, 0)
    known = has_types_among(table(rows), relocation_tests._LOW_BYTES)
    # Other types may be known too, but are looked at one by one.
    assert known == (odd in relocation_tests._SUPPORTED and odd > 255)
