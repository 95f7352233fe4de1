"""What is found of kernels whose kallsyms has code alone: as the symbols of other kernels say, and in toys."""

import struct
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.views.kernel.image_symbols import image_symbols
from kinspect.views.rebuilt.table import image_table_facts
from kinspect.views.rebuilt.unnamed import bug_table, parameters, per_cpu
from kinspect.views.tables.entries import table_facts
from tests.conftest import Build, kernel_named

BRK, BASE = 0xD4210000, 0xFFFF800008000000
CODE, DATA = 0x1000, 0x4000


def same_as_symbols(path: str | Path, params: bool) -> None:
    image = Image(path)
    symbols = image_symbols(image)
    places = dict(zip(reversed(symbols.names), reversed(symbols.offsets), strict=True))
    data = image.source.read(0, image.size)

    def extent(start: str, end: str) -> tuple[int, int]:
        return places[start], places[end]

    found = per_cpu(data, places, symbols.offsets, (places["__initdata_begin"], places["__init_end"]))
    assert found is not None
    assert (found.start, found.end) == extent("__per_cpu_start", "__per_cpu_end")
    found = bug_table(data, (places["_sdata"], len(data)))
    assert found is not None
    assert (found.start, found.end) == extent("__start___bug_table", "__stop___bug_table")
    if params:
        rela = extent("__rela_start", "__rela_end") if "__rela_start" in places else (0, 0)
        region = places["__start___param"] - 5, places["__stop___param"] + 4096
        found = parameters(data, rela, symbols.start or 0, region, image.header.image_size)
        assert found is not None
        assert (found.start, found.end) == extent("__start___param", "__stop___param")


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["trixie-cloud", "backports-cloud"])
def test_kernels_with_symbols_of_data(name: str) -> None:
    same_as_symbols(kernel_named(name).image, params=True)


@pytest.mark.corpus
def test_a_build(build: Build) -> None:
    same_as_symbols(build.out / "arch/arm64/boot/Image", params=True)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["bullseye-cloud", "bookworm-cloud"])
@pytest.mark.parametrize("table", ["__param", "__bug_table"])
def test_tables_of_kernels_without_them(name: str, table: str) -> None:
    kernel = kernel_named(name)
    ours, theirs = image_table_facts(Image(kernel.image), table), table_facts(Vmlinux(kernel.vmlinux), table)
    assert len(list(ours.table.rows)) == len(list(theirs.table.rows)) > 100


def bugs(number: int, skipped: int | None = None, step: int = 12) -> bytearray:
    """Code with traps, and a table of them from DATA on, with other words around."""
    data = bytearray(0x6000)
    for row in range(number):
        struct.pack_into("<I", data, CODE + 8 * row, BRK)
        at = DATA + 16 + step * row
        struct.pack_into("<i", data, at, CODE + 8 * row - at if row != skipped else 77)
    return data


@pytest.mark.parametrize("step", [8, 12])
def test_a_table_of_bugs(step: int) -> None:
    found = bug_table(bytes(bugs(20, step=step)), (DATA, 0x6000))
    assert found is not None
    assert (found.name, found.start, found.end) == ("__bug_table", DATA + 16, DATA + 16 + 20 * step)
    assert bug_table(bytes(bugs(5, step=step)), (DATA, 0x6000)) is None
    broken = bug_table(bytes(bugs(20, skipped=6, step=step)), (DATA, 0x6000))
    assert broken is not None
    assert (broken.start, broken.end) == (DATA + 16 + 7 * step, DATA + 16 + 20 * step)
    assert bug_table(bytes(0x6000), (DATA, 0x6000)) is None
    assert bug_table(bytes(0x100), (DATA, 0x100)) is None


def test_parameters_are_without_a_module() -> None:
    """What follows them has versions of modules, which begin in the same way."""
    data = bytearray(0x6000)
    data[0x2000:0x2010] = b"debug\0level\0    "
    rows = [(0x5000 + 40 * row, 0x5010 + 40 * row, 0x5020 + 40 * row) for row in range(10)]
    relocated = [place for row in rows for place in row]
    for row, (name, _, _) in enumerate(rows):
        struct.pack_into("<HbB", data, name + 24, 0o644, -1, 0)
        if row == 9:
            struct.pack_into("<Q", data, name + 8, 0o444)
    for number, place in enumerate(relocated):
        struct.pack_into("<QQQ", data, 0x3000 + 24 * number, BASE + place, 0x403, BASE + 0x2000)
    table, region = (0x3000, 0x3000 + 24 * len(relocated)), (0x4FF3, 0x5800)
    found = parameters(bytes(data), table, BASE, region, 0x6000)
    assert found is not None
    assert (found.start, found.end) == (0x5000, 0x5000 + 9 * 40)
    assert parameters(bytes(data), (0, 0), BASE, region, 0x6000) is None
    struct.pack_into("<B", data, 0x2000, 1)  # no name
    assert parameters(bytes(data), table, BASE, region, 0x6000) is None


def test_variables_of_each_cpu_need_both_functions() -> None:
    def function(*targets: int) -> bytes:
        words = []
        for target in targets:
            words += [
                0x90000000 | (target >> 12 & 3) << 29 | (target >> 14) << 5 | 3,
                0x91000063 | (target & 0xFFF) << 10,
            ]
        return struct.pack(f"<{len(words)}I", *words) + struct.pack("<I", 0xD65F03C0)

    data = bytearray(0x9000)
    names = {"__is_kernel_percpu_address": 0x100, "setup_per_cpu_areas": 0x200}
    data[0x100:0x114], first = function(0x5000, 0x5678), function(0x4010, 0x5000)
    data[0x200 : 0x200 + len(first)] = first
    bounds, region = [0, 0x100, 0x200, 0x300], (0x4000, 0x8000)
    found = per_cpu(bytes(data), names, bounds, region)
    assert found is not None
    assert (found.start, found.end) == (0x5000, 0x5678)
    assert per_cpu(bytes(data), {"setup_per_cpu_areas": 0x200}, bounds, region) is None
    assert per_cpu(bytes(data), names, bounds, (0x5100, 0x8000)) is None
    assert per_cpu(bytes(data[:0x150]), names, bounds, region) is None
