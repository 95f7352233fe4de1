"""Linker maps of GNU ld and LLD, and files that are not linker maps."""

import random
import time
from pathlib import Path

import pytest

from kinspect.artifacts.build import linker_map
from kinspect.artifacts.build.linker_map import Contribution, LinkerMap, Output
from kinspect.errors import KinspectError, MalformedError, UnreadableError, UnsupportedError

GNU = """\
Archive member included to satisfy reference by file (symbol)

init/main.o                   (--whole-archive)

Discarded input sections

 .comment       0x0000000000000000       0x1f init/main.o

Memory Configuration

Name             Origin             Length             Attributes
*default*        0x0000000000000000 0xffffffffffffffff

Linker script and memory map

                0xffffffc008000000                . = 0xffffffc008000000

.head.text      0xffffffc008000000    0x10000
                0xffffffc008000000                _text = .
 *(.head.text)
 .head.text     0xffffffc008000000    0x10000 arch/arm64/kernel/head.o
                0xffffffc008000000                _text

.text           0xffffffc008010000       0xf0
 *(.irqentry.text)
 .irqentry.text
                0xffffffc008010000       0x94 drivers/irqchip/irq gic.o
 *fill*         0xffffffc008010094        0xc
 .text          0xffffffc0080100a0        0x0 init/version.o
 .text          0xffffffc0080100a0       0x40 drivers/lib.a(a.o)
                0xffffffc0080100a0                start_kernel
                0xffffffc0080100e0                . = ALIGN (0x8)
                0xffffffc0080100e0        0x8 QUAD 0x0

.data..percpu   0xffffffc008020000       0x78 load address 0x0000000000020000
 .rodata.str1.8
                0xffffffc008020000       0x66 init/main.o
                                         0x8e (size before relaxing)
 COMMON         0xffffffc008020068       0x10 init/main.o

.altinstructions_and_more
                0xffffffc008030000        0x8
 .alt           0xffffffc008030000        0x8 a.o
LOAD vmlinux.a
OUTPUT(vmlinux elf64-littleaarch64)
"""
LLD = """\
             VMA              LMA     Size Align Out     In      Symbol
               0                0        0     1 jiffies = jiffies_64
ffff800008000000 ffff800008000000    10000 65536 .head.text
ffff800008000000 ffff800008000000        0     1         _text = .
ffff800008000000 ffff800008000000    10000 65536         vmlinux.a(arch/arm64/kernel/head.o):(.head.text)
ffff800008000000 ffff800008000000        0     1                 $x
ffff800008010000 ffff800008010000       40    16 .text
ffff800008010000 ffff800008010000       2c    16         kernel/a b.o:(.text.hot)
ffff800008010000 ffff800008010000       2c     1                 name:(with)
ffff80000801002c ffff80000801002c        4     1         . = ALIGN ( 8 )
ffff800008010030 ffff800008010030       10     8         <internal>:(.got)
"""


def written(folder: Path, text: str | bytes) -> LinkerMap:
    path = folder / "vmlinux.map"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return LinkerMap(path)


def of(found: LinkerMap) -> list[tuple[str, int, int, str, int | None]]:
    return [one[:5] for one in found.contributions]


def test_gnu_ld(tmp_path: Path) -> None:
    found = written(tmp_path, GNU)
    assert of(found) == [
        (".head.text", 0xFFFFFFC008000000, 0x10000, "arch/arm64/kernel/head.o", None),
        (".irqentry.text", 0xFFFFFFC008010000, 0x94, "drivers/irqchip/irq gic.o", None),
        (".text", 0xFFFFFFC0080100A0, 0x40, "drivers/lib.a(a.o)", None),
        (".rodata.str1.8", 0xFFFFFFC008020000, 0x66, "init/main.o", 0x8E),
        ("COMMON", 0xFFFFFFC008020068, 0x10, "init/main.o", None),
        (".alt", 0xFFFFFFC008030000, 8, "a.o", None),
    ]
    assert [output[:3] for output in found.outputs] == [
        (".head.text", 0xFFFFFFC008000000, 0x10000),
        (".text", 0xFFFFFFC008010000, 0xF0),
        (".data..percpu", 0xFFFFFFC008020000, 0x78),
        (".altinstructions_and_more", 0xFFFFFFC008030000, 8),
    ]
    lines = GNU.splitlines()
    rows = [(row.offset, row.section) for row in found.outputs] + [
        (row.offset, row.section) for row in found.contributions
    ]
    for offset, section in rows:
        assert lines[found.line(offset) - 1].split()[0] == section


def test_lld(tmp_path: Path) -> None:
    found = written(tmp_path, LLD)
    assert of(found) == [
        (".head.text", 0xFFFF800008000000, 0x10000, "vmlinux.a(arch/arm64/kernel/head.o)", None),
        (".text.hot", 0xFFFF800008010000, 0x2C, "kernel/a b.o", None),
        (".got", 0xFFFF800008010030, 0x10, "", None),
    ]
    assert [output[:3] for output in found.outputs] == [
        (".head.text", 0xFFFF800008000000, 0x10000),
        (".text", 0xFFFF800008010000, 0x40),
    ]
    assert found.line(found.contributions[-1].offset) == 11


@pytest.mark.parametrize("text", [GNU, LLD], ids=["GNU ld", "LLD"])
@pytest.mark.parametrize("size", [200, 257, 301, 512, 700])
def test_a_map_is_read_in_pieces(text: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written(tmp_path, text)
    expected = whole.outputs, whole.contributions
    monkeypatch.setattr(linker_map, "_PIECE", size)
    again = LinkerMap(whole.path)
    assert (again.outputs, again.contributions) == expected
    assert [again.line(row.offset) for row in again.contributions] == [whole.line(row.offset) for row in expected[1]]


def test_files_that_are_not_maps(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match=r"vmlinux.map:1: not a linker map: expected .*, found 'hello'"):
        _ = written(tmp_path, "hello\nworld\n").outputs
    with pytest.raises(MalformedError, match="without sections"):
        _ = written(tmp_path, "\nLinker script and memory map\n").outputs
    with pytest.raises(MalformedError, match="not a linker map"):
        _ = written(tmp_path, "").outputs
    with pytest.raises(UnreadableError):
        _ = LinkerMap(tmp_path / "missing").contributions


def test_what_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linker_map, "MOST", 3)
    with pytest.raises(UnsupportedError, match="too many sections: expected at most 3"):
        _ = written(tmp_path, GNU).contributions
    monkeypatch.setattr(linker_map, "LARGEST", 1000)
    with pytest.raises(UnsupportedError, match="too large: expected at most 1,000 bytes"):
        _ = written(tmp_path, GNU).contributions


@pytest.mark.parametrize("text", [GNU, LLD], ids=["GNU ld", "LLD"])
def test_broken_maps(text: str, tmp_path: Path) -> None:
    """Truncated anywhere or with changed bytes: rows or an error."""
    data, chance = text.encode(), random.Random(5)
    broken = [data[:end] for end in range(0, len(data), 3)]
    for _ in range(400):
        edited = bytearray(data)
        for _ in range(chance.randrange(1, 9)):
            edited[chance.randrange(len(edited))] = chance.choice(b"\n 0xf*(:)\0\xff.")
        broken.append(bytes(edited))
    for one in broken:
        try:
            found = written(tmp_path, one)
            assert all(isinstance(row, Contribution) and row.size for row in found.contributions)
            assert all(isinstance(row, Output) for row in found.outputs)
        except KinspectError:
            pass


@pytest.mark.parametrize(
    "line",
    [
        "a" * 99 + "\n",
        " " * 4_000_000,
        " .a" * 1_000_000,
        " .text 0x" + "1" * 4_000_000,
        " .a\n" * 999,
        "0 " * 2_000_000,
    ],
    ids=["short lines", "spaces", "a long line", "a long number", "names alone", "columns"],
)
def test_endless_lines(line: str, tmp_path: Path) -> None:
    """The time is linear in the size of a map, whatever its contents."""
    for head in ("\nLinker script and memory map\n", LLD.splitlines()[0] + "\n"):
        found = written(tmp_path, head + line * (4_000_000 // len(line)))
        start = time.process_time()
        with pytest.raises(MalformedError, match="without sections"):
            _ = found.contributions
        assert time.process_time() - start < 5
