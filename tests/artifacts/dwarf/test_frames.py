"""Inlined calls are those of addr2line -i; broken units end in an error, soon."""

import contextlib
import posixpath
import random
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kinspect.artifacts.dwarf.frames import SourceFrames
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import MalformedError
from tests.conftest import SAMPLE, Kernel, kernel_named
from tests.support import patched

Tool = Callable[[str], str]
ADDR2LINE = "aarch64-linux-gnu-addr2line"
PROGRAM = """
static inline int add(int a, int b) { return a / b + 3; }
static inline int twice(int a)
{
	if (a > 3)
		return add(a, a - 1) * 2;
	return a;
}
__attribute__((noinline)) int first(int a) { return twice(a) + 1; }
int second(int a) { return first(a) + twice(a + 4) * twice(first(a)); }
__attribute__((section(".other"))) int third(int a) { return add(a, second(a)); }
"""


def theirs(path: str, addresses: Sequence[int], addr2line: str) -> list[list[tuple[str, str]]]:
    """The functions and lines that addr2line -i prints for each address, without discriminators."""
    asked = "".join(f"{address:#x}\n" for address in addresses)
    command = [addr2line, "-a", "-i", "-f", "-e", path]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    found: list[list[tuple[str, str]]] = []
    lines = iter(done.stdout.splitlines())
    for line in lines:
        if line.startswith("0x"):
            found.append([])
        else:
            found[-1].append((line, posixpath.normpath(re.sub(r" \(discriminator \d+\)$", "", next(lines)))))
    return found


def compared(file: Elf, addresses: Sequence[int], addr2line: str) -> tuple[int, list[str]]:
    """How many addresses are in functions, and those whose frames differ."""
    frames, checked, wrong = SourceFrames(file), 0, []
    for address, known in zip(addresses, theirs(file.path, addresses, addr2line), strict=True):
        ours = [(one.function, str(one.source)) for one in frames.at(address)]
        # Between functions are filling instructions, which addr2line ascribes to the symbol before them.
        if not ours or not ours[0][0]:
            continue
        checked += 1
        same = len(ours) == len(known) and all(
            (name == other or other.startswith("_R")) and f"/{path}".endswith(f"/{line.lstrip('/')}")
            for (name, line), (other, path) in zip(ours, known, strict=True)
        )
        if not same:
            wrong.append(f"{address:#x}: {ours}, addr2line says {known}")
    return checked, wrong


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["bookworm-cloud", "trixie-cloud", "backports-cloud", "bullseye-cloud"])
def test_a_real_kernel(name: str, tool: Tool) -> None:
    vmlinux = Vmlinux(kernel_named(name).vmlinux)
    text = vmlinux.section(".text")
    assert text is not None
    chance = random.Random(150)
    addresses = [chance.randrange(text.address, text.end) & ~3 for _ in range(150)]
    checked, wrong = compared(vmlinux, addresses, tool(ADDR2LINE))
    assert checked > 120
    # GNU's addr2line takes file 1 of DWARF 5 for the primary source file.
    headers = [one for one in wrong if "include/trace/events" in one or "/include/" in one.split("addr2line")[0]]
    assert wrong == headers
    assert len(headers) < 8


def test_twenty_addresses_are_soon_found(kernel: Kernel) -> None:
    vmlinux = Vmlinux(kernel.vmlinux)
    text = vmlinux.section(".text")
    assert text is not None
    chance = random.Random(20)
    begin = time.process_time()
    frames = SourceFrames(vmlinux)
    found = [frames.at(chance.randrange(text.address, text.end) & ~3) for _ in range(20)]
    assert time.process_time() - begin < 1
    assert any(len(one) > 1 for one in found)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("version", [3, 4, 5])
def test_each_version_and_compiler(compiler: str, version: int, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(PROGRAM)
    command = [tool("clang"), "--target=aarch64-linux-gnu"] if compiler == "clang" else [tool("aarch64-linux-gnu-gcc")]
    command += ["-c", "-O2", f"-gdwarf-{version}", "main.c", "-o", "main.o"]
    subprocess.run(command, cwd=tmp_path, check=True)
    linker = [tool("aarch64-linux-gnu-ld"), "-e", "0", "main.o", "-o", "program"]
    subprocess.run(linker, cwd=tmp_path, check=True)
    program = Elf(tmp_path / "program")
    code = [address for part in program.sections if part.executable for address in range(part.address, part.end, 4)]
    checked, wrong = compared(program, code, tool(ADDR2LINE if compiler == "gcc" else "llvm-addr2line"))
    assert checked > 25
    assert wrong == []
    frames = SourceFrames(program)
    found = {tuple(one.function for one in frames.at(address)) for address in code}
    assert ("add", "third") in found
    assert any(len(one) > 1 and one[-2] == "twice" for one in found)


def test_a_known_start_changes_nothing() -> None:
    vmlinux = Vmlinux(SAMPLE / "vmlinux")
    frames, symbols = SourceFrames(vmlinux), vmlinux.symbols
    checked = 0
    for number, (value, size, info) in enumerate(zip(symbols.values, symbols.sizes, symbols.infos, strict=True)):
        if info & 15 == 2 and size:
            for address in range(value, value + size, 4):
                found = frames.at(address, (symbols.name(number), value))
                assert found == frames.at(address)
                checked += bool(found)
    assert checked > 500


@pytest.mark.parametrize("name", [".debug_info", ".debug_abbrev", ".debug_rnglists", ".debug_str"])
def test_broken_units(name: str, tmp_path: Path) -> None:
    vmlinux, chance = Vmlinux(SAMPLE / "vmlinux"), random.Random(name)
    place, text = vmlinux.section(name), vmlinux.section(".text")
    assert place is not None
    assert text is not None
    for number in range(40):
        size = 8 if number else place.size
        changes = {place.offset + chance.randrange(place.size): bytes([chance.randrange(256)]) for _ in range(size)}
        frames = SourceFrames(Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path)))
        for address in range(text.address, text.end, 512):
            begin = time.process_time()
            with contextlib.suppress(MalformedError):
                frames.at(address)
            assert time.process_time() - begin < 1
