"""Linker symbols that contradict each other, and damaged tables: a file in order, or an error."""

import contextlib
import random
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.errors import KinspectError
from kinspect.source import Source
from kinspect.views.kernel.symbols import symbol_lines
from kinspect.views.rebuilt.file import rebuilt_elf, vmlinux_of
from kinspect.views.size.account import sizes
from tests.toy_kallsyms import LAYOUTS, Toy, image, symbols

MARKS = (
    *("_stext", "_etext", "__start_rodata", "_sinittext", "_einittext", "__initdata_begin", "_sdata", "_edata", "_end"),
    *("__start___ksymtab", "__stop___ksymtab", "__start_BTF", "__stop_BTF", "__start_notes", "__stop_notes"),
    *("__bss_start", "__bss_stop", "__start___bug_table", "__stop___bug_table", "__per_cpu_start", "__per_cpu_end"),
    *("__start_runtime_x", "__stop_runtime_x", "__alt_instructions", "__alt_instructions_end", "__BTF_ID__a"),
    *("swapper_pg_dir", "__exittext_begin", "__rela_start", "__rela_end", "__init_begin"),
)


def held(data: bytes) -> None:
    found = Image(Source("Image", data))
    with contextlib.suppress(KinspectError):
        at = 0
        made = rebuilt_elf(found)
        for section in made.layout.sections:
            assert at <= section.start <= section.end
            at = section.end
        assert sum(map(len, made.pieces)) == made.size
        vmlinux = vmlinux_of(found)
        assert len(list(symbol_lines(vmlinux))) == made.symbols.total
        assert max(vmlinux.symbols.sizes) < 1 << 40
        sizes(vmlinux, found)


@pytest.mark.parametrize("seed", range(40))
def test_marks_anywhere(seed: int) -> None:
    chance = random.Random(seed)
    toys = symbols(600)
    for name in chance.sample(MARKS, chance.randrange(len(MARKS))):
        place = chance.choice([chance.randrange(0x41000), chance.randrange(0x200000), 0x1000 * chance.randrange(0x50)])
        toys.append(Toy(place, chance.choice("TtDdRrBbWVwAaU?n"), name))
    data = bytearray(image(sorted(toys) if chance.random() < 0.9 else toys, chance.choice(list(LAYOUTS)))[0])
    for _ in range(chance.choice([0, 0, 1, 3, 20])):
        at = chance.choice([chance.randrange(8, 56), chance.randrange(64, len(data) - 8)])
        data[at : at + 8] = chance.choice([b"\xff" * 8, bytes(8), chance.randbytes(8)])
    held(bytes(data))


def test_code_behind_the_end(tmp_path: Path) -> None:
    """The table of alternatives is searched for in front of an offset that the file does not reach."""
    toys = sorted([*symbols(), Toy(0x30000, "T", "_sinittext"), Toy(0x31000, "T", "_einittext")])
    data = image([*toys, Toy(0x180000, "D", "__initdata_begin")])[0]
    held(data)
    held(data[:0x20000])


def test_bss_inside_the_contents() -> None:
    toys = sorted([*symbols(), Toy(0x9000, "B", "__bss_start"), Toy(0x3F000, "D", "_edata")])
    found = rebuilt_elf(Image(Source("Image", image(toys)[0])))
    assert [(row.start, row.name) for row in found.layout.sections if not row.in_file] == [(0x3F000, ".bss")]
