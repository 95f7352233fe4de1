"""Our lines are those of nm."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.build.consistency import system_map_is_of_vmlinux
from kinspect.schemas import elf
from kinspect.views.kernel.symbols import symbol_lines
from tests.conftest import SAMPLE, Build, Kernel
from tests.support import Named, Part, elf_of

NM = "aarch64-linux-gnu-nm"


def nm(tool: Callable[[str], str], path: Path | str) -> list[bytes]:
    """The lines of nm, in the order of the symbol table; a kernel has no undefined symbols that matter."""
    command = [tool(NM), "-p", "--defined-only", str(path)]
    return subprocess.run(command, capture_output=True, check=True).stdout.splitlines()


def same(tool: Callable[[str], str], path: Path | str, least: int) -> None:
    ours, theirs = list(symbol_lines(Vmlinux(path))), nm(tool, path)
    assert len(theirs) >= least
    assert set(ours) ^ set(theirs) == set()
    assert ours == theirs


def test_the_sample(tool: Callable[[str], str]) -> None:
    same(tool, SAMPLE / "vmlinux", 100)


@pytest.mark.corpus
def test_real_kernels(kernel: Kernel, tool: Callable[[str], str]) -> None:
    same(tool, kernel.vmlinux, 100_000)


@pytest.mark.corpus
def test_a_real_build(build: Build, tool: Callable[[str], str]) -> None:
    same(tool, build.out / "vmlinux", 20_000)


@pytest.mark.corpus
def test_the_maps_of_real_kernels(kernel: Kernel, build: Build) -> None:
    pairs = (kernel.folder / "System.map", kernel.vmlinux), (build.out / "System.map", build.out / "vmlinux")
    for name, vmlinux in pairs:
        system_map = SystemMap(name)
        assert len(system_map.lines) > 20_000
        assert list(system_map_is_of_vmlinux.run(system_map, Vmlinux(vmlinux))) == []


def test_every_kind_of_symbol(tool: Callable[[str], str], tmp_path: Path) -> None:
    """Every binding in every kind of section, as nm has it."""
    parts = [
        Part(".text", b"\0" * 16, 0x1000, elf.SHF_ALLOC | elf.SHF_EXECINSTR),
        Part(".rodata", b"\0" * 16, 0x2000),
        Part(".data", b"\0" * 16, 0x3000, elf.SHF_ALLOC | elf.SHF_WRITE),
        Part(".bss", b"\0" * 16, 0x4000, elf.SHF_ALLOC | elf.SHF_WRITE, elf.SHT_NOBITS),
        Part(".comment", b"\0" * 16, 0, 0),
        Part(".debug_info", b"\0" * 16, 0, 0),
        Part(".note.a", b"\0" * 16, 0x5000, elf.SHF_ALLOC, 7),
    ]
    numbers = [*range(1, len(parts) + 1), elf.SHN_ABS]
    symbols = [
        Named(f"s{number}_{binding}_{kind}", 0x1000 * number, number, binding << 4 | kind)
        for number in numbers
        for binding in (0, 1, 2)
        for kind in range(4)
    ]
    symbols += [Named("$x", 0x1000, 1, 0), Named(".Llocal", 0x1000, 1, 0), Named("", 0x1000, 1, 0)]
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_of(*parts, symbols=symbols))
    same(tool, path, 70)
