"""Source lines are those of addr2line; broken DWARF ends in an error, soon and in little memory."""

import posixpath
import random
import re
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from kinspect.artifacts.dwarf.line_program import SourceLine, SourceLines
from kinspect.artifacts.dwarf.line_table import LARGEST_LINE_PROGRAM
from kinspect.artifacts.elf.file import Elf, Section
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import MalformedError, UnsupportedError
from kinspect.schemas.elf import SHF_COMPRESSED, SectionHeader
from kinspect.schemas.record import offsets, size_of
from tests.conftest import SAMPLE, Kernel
from tests.support import patched

Tool = Callable[[str], str]
GNU, LLVM = "aarch64-linux-gnu-addr2line", "llvm-addr2line"
SECTIONS = (".debug_info", ".debug_abbrev", ".debug_line", ".debug_line_str", ".debug_str", ".debug_aranges")
PROGRAM = """
#include "part/inline.h"
int first(int a) { return twice(a) + 1; }

int second(int a)
{
	int sum = 0;
	for (int i = 0; i < a; i++)
		sum += first(i) / (a - i);
	return sum;
}

__attribute__((section(".other"))) int third(int a) { return second(a) ? a : -a; }
"""
INLINE = "static inline int twice(int a)\n{\n\tif (a > 3)\n\t\treturn a * 2;\n\treturn a + a * 7;\n}\n"


def lines_of(vmlinux: str, addresses: Sequence[int], addr2line: str) -> list[tuple[str, int] | None]:
    """The output of addr2line: path and line, 0 for an unknown line."""
    command = [addr2line, "-e", vmlinux]
    asked = "".join(f"{address:#x}\n" for address in addresses)
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    found: list[tuple[str, int] | None] = []
    for answer in done.stdout.splitlines():
        # A discriminator distinguishes blocks of one line; it is not part of the location.
        path, _, line = re.sub(r" \(discriminator \d+\)$", "", answer).rpartition(":")
        found.append(None if path in ("??", "") else (posixpath.normpath(path), int(line.replace("?", "0"))))
    assert len(found) == len(addresses)
    return found


def assert_as_addr2line(vmlinux: Elf, addresses: Sequence[int], addr2line: str) -> int:
    """How many of the addresses have lines; all are as in addr2line. Our paths are relative to the build folder."""
    lines = SourceLines(vmlinux)
    checked = 0
    for address, theirs in zip(addresses, lines_of(vmlinux.path, addresses, addr2line), strict=True):
        ours = lines.line(address)
        assert (ours is None) == (theirs is None), f"{address:#x}: {ours}, addr2line says {theirs}"
        if ours and theirs:
            assert ours.line == theirs[1], f"{address:#x}: {ours}, addr2line says {theirs}"
            assert f"/{theirs[0]}".endswith(f"/{ours.path.lstrip('/')}")
            checked += 1
    return checked


def test_a_real_kernel(kernel: Kernel, tool: Tool) -> None:
    vmlinux = Vmlinux(kernel.vmlinux)
    text = vmlinux.section(".text")
    assert text is not None
    chance = random.Random(40)
    addresses = [chance.randrange(text.address, text.end) & ~3 for _ in range(40)]
    assert assert_as_addr2line(vmlinux, addresses, tool(GNU)) >= 36


def test_ten_places_of_a_real_kernel_are_soon_found(kernel: Kernel) -> None:
    vmlinux = Vmlinux(kernel.vmlinux)
    text = vmlinux.section(".text")
    assert text is not None
    chance = random.Random(10)
    begin = time.process_time()
    lines = SourceLines(vmlinux)
    found = [lines.line(chance.randrange(text.address, text.end) & ~3) for _ in range(10)]
    assert time.process_time() - begin < 1
    assert any(found)


def code_of(vmlinux: Elf) -> list[int]:
    return [address for part in vmlinux.sections if part.executable for address in range(part.address, part.end, 4)]


def test_every_code_address_of_the_sample(tool: Tool) -> None:
    addresses = code_of(Vmlinux(SAMPLE / "vmlinux"))
    assert assert_as_addr2line(Vmlinux(SAMPLE / "vmlinux"), addresses, tool(GNU)) > 900


@pytest.fixture(scope="module")
def folder_of_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    (folder / "part").mkdir()
    (folder / "main.c").write_text(PROGRAM)
    (folder / "part" / "inline.h").write_text(INLINE)
    return folder


def compiled(folder: Path, tool: Tool, *options: str) -> Elf:
    path = folder / "program"
    command = [tool("aarch64-linux-gnu-gcc"), "-nostdlib", "-static", "-Wl,-e,0", "-Wl,--build-id=none"]
    subprocess.run([*command, *options, "-o", str(path), "main.c"], cwd=folder, check=True, capture_output=True)
    return Elf(path)


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_each_version(version: int, level: str, folder_of_program: Path, tool: Tool) -> None:
    program = compiled(folder_of_program, tool, f"-gdwarf-{version}", level, "-ffunction-sections")
    addresses = code_of(program)
    # GNU's addr2line takes file 1 of DWARF 5 for the primary source file, which it is not with gas: readelf shows both.
    assert assert_as_addr2line(program, addresses, tool(LLVM)) > 40
    lines = SourceLines(program)
    assert {found.path for found in map(lines.line, addresses) if found} == {"main.c", "part/inline.h"}


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_clang_and_split_dwarf(compiler: str, version: int, split: bool, folder_of_program: Path, tool: Tool) -> None:
    """clang writes no .debug_aranges, and most of split DWARF is in .dwo files (CONFIG_DEBUG_INFO_SPLIT)."""
    command = [tool("clang"), "--target=aarch64-linux-gnu"] if compiler == "clang" else [tool("aarch64-linux-gnu-gcc")]
    command += ["-c", "-O2", f"-gdwarf-{version}", *(["-gsplit-dwarf"] if split else []), "main.c", "-o", "main.o"]
    subprocess.run(command, cwd=folder_of_program, check=True)
    linker = [tool("aarch64-linux-gnu-ld"), "-e", "0", "main.o", "-o", "program"]
    subprocess.run(linker, cwd=folder_of_program, check=True)
    program = Elf(folder_of_program / "program")
    assert (program.section(".debug_aranges") is None) == (compiler == "clang")
    assert SourceLines(program)
    assert assert_as_addr2line(program, code_of(program), tool(LLVM)) > 20


def test_lines_that_only_the_compiler_wrote(folder_of_program: Path, tool: Tool) -> None:
    program = compiled(folder_of_program, tool, "-gdwarf-5", "-gno-as-loc-support", "-O2")
    addresses = code_of(program)
    assert assert_as_addr2line(program, addresses, tool(GNU)) > 40


def test_64_bit_dwarf_is_not_read(folder_of_program: Path, tool: Tool) -> None:
    program = compiled(folder_of_program, tool, "-gdwarf-5", "-gdwarf64")
    assert not SourceLines(program)
    assert [SourceLines(program).line(address) for address in code_of(program)[:3]] == [None] * 3


def test_without_dwarf(folder_of_program: Path, tool: Tool) -> None:
    program = compiled(folder_of_program, tool, "-g0")
    assert not SourceLines(program)
    assert SourceLines(program).line(code_of(program)[0]) is None


def test_an_address_outside_all_units() -> None:
    lines = SourceLines(Vmlinux(SAMPLE / "vmlinux"))
    assert lines
    assert [lines.line(address) for address in (0, 1, 0xFFFF800008021000, (1 << 64) - 1)] == [None] * 4


# ---- Broken DWARF.


@contextmanager
def bounded() -> Iterator[None]:
    """Run in 64 MiB of memory."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def asked(path: Path, step: int = 64) -> list[SourceLine | MalformedError | None]:
    """The results at several addresses, each in under two seconds."""
    vmlinux = Vmlinux(path)
    lines = SourceLines(vmlinux)
    found: list[SourceLine | MalformedError | None] = []
    for address in code_of(Vmlinux(SAMPLE / "vmlinux"))[0x4000::step]:
        begin = time.process_time()
        try:
            found.append(lines.line(address))
        except MalformedError as error:
            found.append(error)
        assert time.process_time() - begin < 2
    return found


def section(name: str) -> Section:
    found = Vmlinux(SAMPLE / "vmlinux").section(name)
    assert found is not None
    return found


def test_the_sample_unbroken() -> None:
    with bounded():
        assert all(isinstance(answer, SourceLine) for answer in asked(SAMPLE / "vmlinux"))


@pytest.mark.parametrize("fill", [b"\xff", b"\0", b"\x80", b"\x7f", b"\x01"], ids=bytes.hex)
@pytest.mark.parametrize("name", SECTIONS)
def test_an_overwritten_section(name: str, fill: bytes, tmp_path: Path) -> None:
    place = section(name)
    for start in (0, place.size // 2):
        path = patched(SAMPLE / "vmlinux", {place.offset + start: fill * (place.size - start)}, tmp_path)
        with bounded():
            answers = asked(path)
        assert len(answers) > 10
        if start == 0 and name in (".debug_info", ".debug_abbrev", ".debug_line"):
            assert not any(isinstance(answer, SourceLine) for answer in answers)
        if name == ".debug_aranges":
            # The units state their ranges too.
            assert answers == asked(SAMPLE / "vmlinux")


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_of_random_bytes(name: str, tmp_path: Path) -> None:
    place, chance = section(name), random.Random(name)
    for _ in range(6):
        start = chance.choice([0, 0, chance.randrange(place.size)])
        path = patched(SAMPLE / "vmlinux", {place.offset + start: chance.randbytes(place.size - start)}, tmp_path)
        with bounded():
            assert len(asked(path)) > 10


@pytest.mark.parametrize("name", SECTIONS)
def test_some_changed_bytes(name: str, tmp_path: Path) -> None:
    place, chance = section(name), random.Random(name)
    met = set()
    for _ in range(25):
        values = (0, 0xFF, 0x80, chance.randrange(256))
        changes = {place.offset + chance.randrange(place.size): bytes([chance.choice(values)]) for _ in range(8)}
        met |= {type(answer) for answer in asked(patched(SAMPLE / "vmlinux", changes, tmp_path), 256)}
    assert SourceLine in met


def header_field(place: Section, field: str) -> int:
    table = Vmlinux(SAMPLE / "vmlinux").header.e_shoff
    return table + place.number * size_of(SectionHeader) + offsets(SectionHeader)[field]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_cut_short_or_elsewhere(name: str, tmp_path: Path) -> None:
    place = section(name)
    for at, values in (
        (header_field(place, "sh_size"), [0, 1, 7, place.size // 2, place.size - 1, 1 << 40, (1 << 64) - 1]),
        (header_field(place, "sh_offset"), [0, place.offset + 1, 1 << 20, 1 << 40, (1 << 64) - 1]),
    ):
        for value in values:
            path = patched(SAMPLE / "vmlinux", {at: value.to_bytes(8, "little")}, tmp_path)
            with bounded():
                assert len(asked(path)) > 10


@pytest.mark.parametrize("name", [".debug_aranges", ".debug_line", ".debug_info"])
def test_a_section_that_only_claims_to_be_compressed_is_refused(name: str, tmp_path: Path) -> None:
    path = patched(
        SAMPLE / "vmlinux", {header_field(section(name), "sh_flags"): bytes([0, SHF_COMPRESSED >> 8])}, tmp_path
    )
    with pytest.raises(UnsupportedError, match=f"{name}.*unknown compression of a section"):
        SourceLines(Vmlinux(path)).line(code_of(Vmlinux(path))[0])


LARGE_NUMBER = b"\xff" * 8 + b"\x7f"


def with_line_header(tables: bytes, folder: Path) -> Path:
    """The sample with other tables of folders and files in the header of each line program."""
    vmlinux, place = Vmlinux(SAMPLE / "vmlinux"), section(".debug_line")
    data, at, changes = vmlinux.contents(place), 0, {}
    while at < len(data):
        opcode_base = at + 17
        changes[place.offset + opcode_base + data[opcode_base]] = tables
        at += 4 + int.from_bytes(data[at : at + 4], "little")
    return patched(SAMPLE / "vmlinux", changes, folder)


@pytest.mark.parametrize(
    "tables",
    [
        b"\0" + LARGE_NUMBER,  # folders without fields
        b"\0\0\0" + LARGE_NUMBER,  # files without fields
        b"\x01\x01\x19" + LARGE_NUMBER,  # a form that takes no bytes
        b"\x01\x01\x1f" + LARGE_NUMBER,
        b"\x01\x01\x0b\xff\x7f",
        b"\0\0\x01\x01\x19" + LARGE_NUMBER,
        b"\xff" + b"\x01\x0b" * 10,
        b"\x01" + b"\xff" * 20,  # a number without an end
        b"\x01\x01\x08" + b"\x20" + b"a" * 12,  # more names than there are
    ],
    ids=bytes.hex,
)
def test_tables_that_claim_more_than_there_is(tables: bytes, tmp_path: Path) -> None:
    path = with_line_header(tables, tmp_path)
    with bounded():
        answers = asked(path)
    assert all(isinstance(answer, MalformedError) for answer in answers)


@pytest.mark.parametrize(("at", "value"), [(17, b"\0"), (4, b"\x17\0"), (4, b"\0\0"), (4, b"\2\0"), (16, b"\0")])
def test_headers_that_never_end(at: int, value: bytes, tmp_path: Path) -> None:
    """An opcode_base of 0, unknown versions, a line_range of 0: refused, or read as something else, at once."""
    place = section(".debug_line")
    data, start, changes = Vmlinux(SAMPLE / "vmlinux").contents(place), 0, {}
    while start < len(data):
        changes[place.offset + start + at] = value
        start += 4 + int.from_bytes(data[start : start + 4], "little")
    path = patched(SAMPLE / "vmlinux", changes, tmp_path)
    with bounded():
        answers = asked(path)
    assert all(isinstance(answer, MalformedError) or answer is None for answer in answers)


def grown(path: Path, place: Section, size: int) -> None:
    """Extend a section in a copy of the sample over all that follows and over zeros after it."""
    with path.open("r+b") as file:
        file.seek(header_field(place, "sh_size"))
        file.write(size.to_bytes(8, "little"))
        file.truncate(place.offset + size)


def test_a_block_that_claims_four_gigabytes(tmp_path: Path) -> None:
    vmlinux, info, abbrev = Vmlinux(SAMPLE / "vmlinux"), section(".debug_info"), section(".debug_abbrev")
    data, declarations, at = vmlinux.contents(info), vmlinux.contents(abbrev), 0
    changes: dict[int, bytes] = {}
    while at < len(data):
        # A unit whose first attribute is the compiler: its form becomes a block, and its offset a length.
        first = declarations.find(bytes([data[at + 12], 0x11, 1, 0x25, 0x0E]))
        if first >= 0:
            changes |= {abbrev.offset + first + 4: b"\x04", info.offset + at + 13: b"\xff" * 4}
        at += 4 + int.from_bytes(data[at : at + 4], "little")
    path = patched(SAMPLE / "vmlinux", changes, tmp_path)
    grown(path, info, 32 << 20)
    with bounded():
        answers = asked(path)
    assert len(changes) > 10
    assert sum(isinstance(answer, MalformedError) for answer in answers) > 5


def with_last_program(code: bytes, folder: Path) -> Path:
    """The sample with other opcodes in its last line program, in a `.debug_line` at the end of the file."""
    place, vmlinux = section(".debug_line"), Vmlinux(SAMPLE / "vmlinux")
    data, at = vmlinux.contents(place), 0
    while at + 4 + int.from_bytes(data[at : at + 4], "little") < len(data):
        at += 4 + int.from_bytes(data[at : at + 4], "little")
    begin = at + 12 + int.from_bytes(data[at + 8 : at + 12], "little")
    head = data[:at] + (begin + len(code) - at - 4).to_bytes(4, "little") + data[at + 4 : begin]
    changes = {
        header_field(place, "sh_offset"): vmlinux.size.to_bytes(8, "little"),
        header_field(place, "sh_size"): (begin + len(code)).to_bytes(8, "little"),
    }
    path = patched(SAMPLE / "vmlinux", changes, folder)
    with path.open("ab") as file:
        file.write(head + code)
    return path


def address_of_last_program(folder: Path) -> int:
    before, without = SourceLines(Vmlinux(SAMPLE / "vmlinux")), SourceLines(Vmlinux(with_last_program(b"\1", folder)))
    code = code_of(Vmlinux(SAMPLE / "vmlinux"))
    return next(address for address in code if before.line(address) and not without.line(address))


def test_each_opcode(tmp_path: Path) -> None:
    at = address_of_last_program(tmp_path)
    code = [
        bytes([0, 9, 2]) + at.to_bytes(8, "little"),  # set the address
        bytes([3, 9, 1]),  # 9 lines on, a row: line 10
        bytes([9, 8, 0]),  # 8 bytes on
        bytes([3, 0x7F, 10, 11, 12, 5, 7, 6, 5, 0xFF, 1, 1]),  # a line back, registers that do not count, a row: line 9
        bytes([2, 4]),  # 4 instructions on
        bytes([0, 3, 0x80, 0, 1]),  # an opcode that nobody knows
        bytes([3, 20, 4, 1, 1]),  # 20 lines on, in another file, a row: line 29
        bytes([8]),  # 17 instructions on
        bytes([13 + 14 + 5 + 2, 0, 1, 1]),  # an instruction and 2 lines on, a row; the end, 0 bytes later
    ]
    lines = SourceLines(Vmlinux(with_last_program(b"".join(code), tmp_path)))
    rows = [lines.line(address) for address in range(at, at + 100)]
    assert [found.line if found else 0 for found in rows] == [10] * 8 + [9] * 16 + [29] * 72 + [0] * 4


def test_a_line_program_that_is_too_long(tmp_path: Path) -> None:
    path = with_last_program(b"\1" * (LARGEST_LINE_PROGRAM + 1), tmp_path)
    with bounded():
        answers = asked(path, 16)
    errors = [str(answer) for answer in answers if isinstance(answer, MalformedError)]
    assert 0 < len(errors) < len(answers)
    for error in errors:
        assert re.search(r"\.debug_line at 0x1c[0-9a-f]{3}: the line program is too long: found 2,097,153", error)


# A copy, a negation, special opcodes, numbers of nine bytes: none comes to an address of the unit.
@pytest.mark.parametrize("opcode", [b"\x01", b"\x06", b"\x0d", b"\xff", b"\x05" + LARGE_NUMBER], ids=bytes.hex)
@pytest.mark.parametrize("address_size", [0, 1 << 20], ids=["", "an address of a megabyte"])
def test_the_longest_line_program(opcode: bytes, address_size: int, tmp_path: Path) -> None:
    address = address_of_last_program(tmp_path)
    first = b"\0\x81\x80\x40\2" + b"\xff" * address_size if address_size else b""
    rest = LARGEST_LINE_PROGRAM - len(first)
    lines = SourceLines(Vmlinux(with_last_program(first + opcode * (rest // len(opcode)), tmp_path)))
    begin = time.process_time()
    assert lines.line(address) is None
    assert time.process_time() - begin < 2
