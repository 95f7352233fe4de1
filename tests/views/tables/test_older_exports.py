"""The exports of raw Images of before 5.4, in the layouts of those kernels: made here, for Debian has none any more."""

import random
import struct
import time
from typing import NamedTuple

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.module.exports import Export
from kinspect.errors import UnsupportedError
from kinspect.schemas.elf import Rela
from kinspect.schemas.exports import Crc, KernelSymbolAbsolute, KernelSymbolUnnamespaced
from kinspect.schemas.record import build
from kinspect.source import Source
from kinspect.views.tables.exports import GPL_TABLE
from kinspect.views.tables.raw_exports import REACH, image_exports
from tests.conftest import SAMPLE

BASE = 0xFFFF000008080000
"""KIMAGE_VADDR + TEXT_OFFSET of a 4.x kernel."""
RELATIVE = 0x403
NAMES = ["jiffies_64", "kfree", "loops_per_jiffy", "printk", "strlen", "vmalloc", "memcpy", "kmalloc", "panic"]
GPL = ["crypto_alloc", "device_add", "loops_per_task", "usb_get_dev"]


class Layout(NamedTuple):
    """The size of a row and of a CRC; whether the pointers are in .rela.dyn."""

    row: int
    crc: int
    relocated: bool = False


LAYOUTS = [Layout(8, 0), Layout(8, 4), Layout(16, 0), Layout(16, 4), Layout(16, 8), Layout(16, 4, True)]


def rows_of(exports: list[Export], start: int, names: int, layout: Layout) -> tuple[bytes, bytes, bytes]:
    """The rows, the strings, and the relocations of a kernel."""
    rows, strings, rela = b"", b"", b""
    for index, export in enumerate(exports):
        at, target = start + index * layout.row, 0x40 + 4 * index
        text = names + len(strings)
        strings += export.name.encode() + b"\0"
        if layout.row == 8:
            rows += build(KernelSymbolUnnamespaced(target - at, text - at - 4))
            continue
        pair = KernelSymbolAbsolute(BASE + target, BASE + text)
        rows += bytes(16) if layout.relocated else build(pair)
        for field, value in enumerate(pair):
            rela += build(Rela(BASE + at + 8 * field, RELATIVE, value - (1 << 64)))
    return rows, strings, rela


def image_of(exports: list[Export], layout: Layout, before: int = 4096) -> Image:
    """An Image: a header, code, the tables, the strings, the relocations."""
    start = 64 + before
    names = start + len(exports) * (layout.row + layout.crc)
    rows, strings, rela = rows_of(exports, start, names, layout)
    crcs = b"".join((build(Crc(export.crc or 0)) + bytes(4))[: layout.crc] for export in exports)
    code = random.Random(before).randbytes(before)
    body = code + rows + crcs + strings
    body += bytes(-len(body) % 8) + (rela if layout.relocated else b"")
    header = struct.pack("<IIQQQQQQ4sI", 0x14000010, 0, 0x80000, 64 + len(body), 0xA, 0, 0, 0, b"ARM\x64", 0)
    return Image(Source("Image", header + body))


def some(layout: Layout) -> list[Export]:
    versions = random.Random(7)
    names = [(name, False) for name in sorted(NAMES)] + [(name, True) for name in sorted(GPL)]
    return [Export(name, versions.randrange(1 << 24, 1 << 32) if layout.crc else None, gpl, "") for name, gpl in names]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.row}-{layout.crc}-{layout.relocated:d}")
def test_the_exports_of_an_older_image(layout: Layout) -> None:
    exports = some(layout)
    for before in (0, 4096, 4100 & ~7):
        found = image_exports(image_of(exports, layout, before))
        assert found.exports == exports
        assert found.licensed
        plain, gpl = found.tables
        assert (plain.name, gpl.name, plain.row, gpl.row) == ("__ksymtab", GPL_TABLE, layout.row, layout.row)
        assert (plain.offset, gpl.offset) == (64 + before, 64 + before + layout.row * len(NAMES))
        assert plain.targets + gpl.targets == [0x40 + 4 * index for index in range(len(exports))]
        assert found.place("device_add").offset == gpl.offset + layout.row


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.row}-{layout.crc}-{layout.relocated:d}")
def test_many_exports(layout: Layout) -> None:
    more = [Export(f"s{number:05}", 1 << 30 if layout.crc else None, False, "") for number in range(3000)]
    plain = sorted([*[export for export in some(layout) if not export.gpl], *more], key=lambda export: export.name)
    exports = [*plain, *[export for export in some(layout) if export.gpl]]
    started = time.process_time()
    assert image_exports(image_of(exports, layout)).exports == exports
    assert time.process_time() - started < 5


@pytest.mark.parametrize("layout", LAYOUTS[:4], ids=lambda layout: f"{layout.row}-{layout.crc}")
def test_a_cut_table_is_not_taken_for_a_whole_one(layout: Layout) -> None:
    exports = some(layout)
    image = image_of(exports, layout)
    start = 64 + 4096 + 2 * layout.row
    data = image.source.read(0, image.size)
    damaged = data[:start] + b"\x55" * layout.row + data[start + layout.row :]
    with pytest.raises(UnsupportedError, match="no table of exports found"):
        image_exports(Image(Source("Image", damaged)))


def test_the_sample_is_of_a_later_kernel() -> None:
    assert {table.row for table in image_exports(Image(SAMPLE / "Image")).tables} == {12}


def test_names_without_a_table_take_bounded_time() -> None:
    pointer = struct.pack("<Q", 0xFFFF000008080000)
    data = pointer * (REACH // 8) + b"\0".join([b"loops_per_jiffy", b"jiffies_64"] * 30_000)
    started = time.process_time()
    with pytest.raises(UnsupportedError, match="no table of exports found"):
        image_exports(Image(Source("Image", data)))
    assert time.process_time() - started < 20
