"""Compile units compared with what readelf and llvm-dwarfdump say of the same files."""

import random
import re
import struct
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from kinspect.artifacts.dwarf import compile_units
from kinspect.artifacts.dwarf.attributes import Range
from kinspect.artifacts.dwarf.compile_units import CompileUnits, source_paths
from kinspect.artifacts.dwarf.units import aranges, number, unit_heads
from kinspect.artifacts.elf.file import Elf
from kinspect.errors import KinspectError
from tests.conftest import Kernel
from tests.support import Part, elf_of

Tool = Callable[[str], str]
SOURCES = {
    "init/main.c": 'int sort(int); __attribute__((section(".init.text"))) int setup(int n) { return n * 3; }\n'
    "int start(int n) { return setup(n) + sort(n); }\n",
    "lib/sort.c": "int sort(int n) { return n + 1; }\n",
    "lib/data.c": "const int table[3] = { 1, 2, 3 };\n",
    "arch/entry.S": ".text\n.globl entry\nentry: nop\nret\n",
    "kernel/fork.c": "int fork(int n) { return n; }\n"
    '__attribute__((section(".init.text"))) int init(void) { return 4; }\n'
    '__attribute__((section(".exit.text"))) int out(void) { return 5; }\n',
}


@pytest.fixture(scope="module", params=["gcc 4", "gcc 5", "clang 4", "clang 5"])
def linked(request: pytest.FixtureRequest, tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some files, compiled with a version of DWARF and linked."""
    folder = tmp_path_factory.mktemp("units")
    name, version = request.param.split()
    command = [tool("aarch64-linux-gnu-gcc")] if name == "gcc" else [tool("clang"), "--target=aarch64-linux-gnu"]
    objects = []
    for path, text in SOURCES.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
        objects.append(path.rpartition(".")[0] + ".o")
        subprocess.run([*command, "-c", "-O2", f"-gdwarf-{version}", path, "-o", objects[-1]], cwd=folder, check=True)
    places = ["-Ttext=0x10000", "--section-start=.init.text=0x20000", "--section-start=.exit.text=0x30000", "-e", "0"]
    subprocess.run([tool("aarch64-linux-gnu-ld"), *places, *objects, "-o", "linked"], cwd=folder, check=True)
    return folder / "linked"


@pytest.mark.parametrize("compiler", ["gcc 4", "gcc 5", "clang 4", "clang 5"])
def test_dwarf_in_dwo_files(compiler: str, tool: Tool, tmp_path: Path) -> None:
    """What is left of a unit has the name of its .dwo file: the units are the same as without -gsplit-dwarf."""
    name, version = compiler.split()
    command = [tool("aarch64-linux-gnu-gcc")] if name == "gcc" else [tool("clang"), "--target=aarch64-linux-gnu"]
    found = []
    for split in ([], ["-gsplit-dwarf"]):
        objects = []
        for path, text in SOURCES.items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(text)
            objects.append(path.rpartition(".")[0] + ".o")
            options = ["-c", "-O2", f"-gdwarf-{version}", *(split if path.endswith(".c") else [])]
            subprocess.run([*command, *options, path, "-o", objects[-1]], cwd=tmp_path, check=True)
        places = [
            "-Ttext=0x10000",
            "--section-start=.init.text=0x20000",
            "--section-start=.exit.text=0x30000",
            "-e",
            "0",
        ]
        subprocess.run([tool("aarch64-linux-gnu-ld"), *places, *objects, "-o", "linked"], cwd=tmp_path, check=True)
        found.append(CompileUnits(Elf(tmp_path / "linked")).units)
    # gcc leaves no trace of a unit without code.
    assert [unit for unit in found[0] if unit.ranges] == [unit for unit in found[1] if unit.ranges]
    assert len(found[1]) >= 4


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def found_by_dwarfdump(text: str) -> list[tuple[str, list[Range]]]:
    """Name and ranges of each unit, from its first entry."""
    units: list[tuple[str, list[Range]]] = []
    for entry in re.split(r"DW_TAG_compile_unit", text)[1:]:
        name = re.search(r'DW_AT_name\s+\("(.*)"\)', entry)
        pairs = re.findall(r"\[(0x[0-9a-f]+), (0x[0-9a-f]+)\)", entry)
        if not pairs:
            pairs = re.findall(r"DW_AT_low_pc\s+\((0x\w+)\)\s+DW_AT_high_pc\s+\((0x\w+)\)", entry)
        ranges = [(int(start, 16), int(end, 16)) for start, end in pairs]
        assert name
        units.append((name[1], sorted(one for one in ranges if one[0] < one[1])))
    return units


def found_by_readelf(text: str) -> list[tuple[int, int, int]]:
    """The rows of .debug_aranges with the offset of their unit."""
    rows = []
    for part in text.split("Offset into .debug_info:")[1:]:
        unit = int(part.split()[0], 16)
        pairs = re.findall(r"^ +([0-9a-f]{16}) ([0-9a-f]{16})", part, re.MULTILINE)
        rows += [(int(start, 16), int(start, 16) + int(size, 16), unit) for start, size in pairs if int(size, 16)]
    return sorted(rows)


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Adjacent ranges merged."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def own_units(path: str | Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[compile_units.CompileUnit]:
    """The units with the ranges of their own entries, as if there were no .debug_aranges."""
    with monkeypatch.context() as patch:
        patch.setattr(compile_units, "aranges", lambda _: [])
        return CompileUnits(Elf(path)).units


def test_units_are_those_of_the_tools(linked: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = found_by_dwarfdump(output(tool("llvm-dwarfdump"), "--debug-info", "--recurse-depth=0", str(linked)))
    assert [name for name, _ in theirs] == list(SOURCES)
    ours = [(unit.path, sorted(unit.ranges)) for unit in CompileUnits(Elf(linked)).units]
    assert ours == theirs
    assert sum(len(ranges) for _, ranges in theirs) == 7
    assert [(unit.path, sorted(unit.ranges)) for unit in own_units(linked, monkeypatch)] == theirs


def test_names_and_places_are_those_of_readelf(linked: Path, tool: Tool) -> None:
    readelf = tool("aarch64-linux-gnu-readelf")
    text = output(readelf, "--debug-dump=info", "--dwarf-depth=1", str(linked))
    places = [int(place, 16) for place in re.findall(r"Compilation Unit @ offset (?:0x)?([0-9a-f]+):", text)]
    assert [head.offset for head in unit_heads(Elf(linked))] == places
    names = re.findall(r"DW_AT_name +:(?: \(.*?\):)? (\S+)", text)
    assert [unit.path for unit in CompileUnits(Elf(linked)).units] == names
    assert aranges(Elf(linked)) == found_by_readelf(output(readelf, "--debug-dump=aranges", str(linked)))


@pytest.mark.corpus
def test_real_kernels(kernel: Kernel, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranges of the units' own entries are those of .debug_aranges, and those are readelf's."""
    units, own = CompileUnits(Elf(kernel.vmlinux)).units, own_units(kernel.vmlinux, monkeypatch)
    assert [unit.path for unit in units] == [unit.path for unit in own]
    assert len(units) > 2000
    for one, other in zip(units, own, strict=True):
        if one.part:
            # rustc lists static data there too.
            assert joined([*one.ranges, *other.ranges]) == joined(one.ranges), one.path
        else:
            assert joined(one.ranges) == joined(other.ranges), one.path
    text = output(tool("aarch64-linux-gnu-readelf"), "--debug-dump=aranges", kernel.vmlinux)
    assert aranges(Elf(kernel.vmlinux)) == found_by_readelf(text)
    assert all(not unit.path.startswith("..") for unit in units)
    assert {"init/main.c", "virt/kvm/kvm_main.c", "arch/arm64/kernel/entry.S"} <= {unit.path for unit in units}


def test_broken_dwarf(linked: Path) -> None:
    """Truncated anywhere or with changed bytes: units or an error, in bounded time."""
    parts = [
        Part(section.name, Elf(linked).contents(section), 0, 0)
        for section in Elf(linked).sections
        if section.name.startswith(".debug_")
    ]
    chance, start = random.Random(7), time.process_time()
    cases = []
    for part in parts:
        ends = range(0, len(part.data), 1 + len(part.data) // 40)
        cases += [[one._replace(data=one.data[:end]) if one is part else one for one in parts] for end in ends]
    for _ in range(600):
        edited = list(parts)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(edited))
            data = bytearray(edited[at].data)
            data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            edited[at] = edited[at]._replace(data=bytes(data))
        cases.append(edited)
    path = linked.parent / "broken"
    for case in cases:
        path.write_bytes(elf_of(*case))
        _assert_bounded(path)
    whole = linked.read_bytes()
    for end in range(0, len(whole), 1 + len(whole) // 200):
        path.write_bytes(whole[:end])
        _assert_bounded(path)
    assert time.process_time() - start < 60


@pytest.mark.parametrize(
    ("version", "lists", "ranges"),
    [
        (4, struct.pack("<6Q", 0x10, 0x20, 0x30, 0x30, 0, 0), [(0x1010, 0x1020)]),
        (4, struct.pack("<8Q", 0x10, 0x20, (1 << 64) - 1, 0x5000, 4, 8, 0, 0), [(0x1010, 0x1020), (0x5004, 0x5008)]),
        (5, b"\x04\x10\x80\x01\0", [(0x1010, 0x1080)]),
        (5, b"\x05" + struct.pack("<Q", 0x5000) + b"\x04\x04\x08\0", [(0x5004, 0x5008)]),
        (5, b"\x06" + struct.pack("<QQ", 0x5000, 0x5010) + b"\0", [(0x5000, 0x5010)]),
        (5, b"\x07" + struct.pack("<Q", 0x5000) + b"\x20\0", [(0x5000, 0x5020)]),
        (5, b"\x01\x01\x04\x04\x08\x02\x00\x01\x03\x01\x09\0", [(0x7004, 0x7008), (0x6000, 0x7000), (0x7000, 0x7009)]),
        (5, b"\x04\x10", []),
        (5, b"\x09\0", []),
    ],
)
def test_lists_of_ranges(version: int, lists: bytes, ranges: list[Range], tmp_path: Path) -> None:
    """Every kind of entry, with the base from the unit or from the list. Source: DWARF 4, 2.17.3; DWARF 5, 7.25."""
    entry = b"\1a.c\0" + struct.pack("<QI", 0x1000, 0)
    rest = struct.pack("<HBBI", 5, 1, 8, 0) if version == 5 else struct.pack("<HIB", 4, 0, 8)
    path = tmp_path / "units"
    path.write_bytes(
        elf_of(
            Part(".debug_info", struct.pack("<I", len(rest + entry)) + rest + entry, 0, 0),
            Part(".debug_abbrev", bytes([1, 0x11, 0, 0x03, 0x08, 0x11, 0x01, 0x55, 0x17, 0, 0, 0]), 0, 0),
            Part(".debug_rnglists" if version == 5 else ".debug_ranges", lists, 0, 0),
            Part(".debug_addr", struct.pack("<3Q", 0, 0x6000, 0x7000), 0, 0),
        )
    )
    assert CompileUnits(Elf(path)).units == (compile_units.CompileUnit("a.c", "", tuple(ranges)),)


def _assert_bounded(path: Path) -> None:
    try:
        units = CompileUnits(Elf(path)).units
    except KinspectError:
        return
    assert len(units) <= len(SOURCES) + 4
    for unit in units:
        assert all(first < last for first, last in unit.ranges)
        assert len(unit.ranges) < 1000


@pytest.mark.parametrize(("data", "value", "end"), [(b"\x00", 0, 1), (b"\x7f", 127, 1), (b"\x80\x01", 128, 2)])
def test_numbers(data: bytes, value: int, end: int) -> None:
    assert number(data, 0) == (value, end)


def test_numbers_without_end() -> None:
    with pytest.raises(ValueError, match="more than ten bytes"):
        number(b"\x80" * 99, 0)
    with pytest.raises(IndexError):
        number(b"\x80", 0)


@pytest.mark.parametrize(
    ("names", "folders", "paths"),
    [
        (["init/main.c", "lib/../mm/a.c"], ["/src", "/src"], ["init/main.c", "mm/a.c"]),
        (["/src/init/main.c", "/src/mm/a.c", "/lib/core.rs"], ["/out"] * 3, ["init/main.c", "mm/a.c", "/lib/core.rs"]),
        (["../init/main.c", "../mm/a.c", "mm/made.c"], ["/src/out"] * 3, ["init/main.c", "mm/a.c", "mm/made.c"]),
        (["/src/init/main.c", "mm/made.c"], ["/out", "/out"], ["init/main.c", "mm/made.c"]),
        (["mm/a.c", "mm/b.c"], ["", ""], ["mm/a.c", "mm/b.c"]),
        ([], [], []),
    ],
)
def test_paths_of_sources(names: list[str], folders: list[str], paths: list[str]) -> None:
    assert source_paths(names, folders) == paths
