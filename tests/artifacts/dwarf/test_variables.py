"""The types of variables: those of the sample as its sources declare them, those of real kernels as BTF has them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.dwarf.variables import VariableType, variable_types
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.schemas import btf
from kinspect.views.abi.definitions import Definitions
from kinspect.views.btf.kernel import kernel_types
from tests.conftest import SAMPLE, Kernel, kernel_named

SOURCE = """
typedef unsigned int u32;
struct device { int id; };
enum mode { READ };
int number;
struct device *const devices[4] = { 0 };
int (*probe)(struct device *, ...);
const char *names[2][3];
void *nothing;
enum mode mode;
u32 count;
extern struct device declared;
struct device declared = { 1 };
struct { int a; } unnamed;
"""
TYPES = {
    "number": ("int", ()),
    "devices": ("struct device *const [4]", ("struct device",)),
    "probe": ("int (*)(struct device *, ...)", ("struct device",)),
    "names": ("const char *[2][3]", ()),
    "nothing": ("void *", ()),
    "mode": ("enum mode", ("enum mode",)),
    "count": ("u32", ("u32",)),
    "declared": ("struct device", ("struct device",)),
    "unnamed": ("struct {...}", ()),
}


def found_in(vmlinux: Vmlinux, names: list[str]) -> dict[str, VariableType]:
    values = {name: vmlinux.symbols.value(name) for name in names}
    return variable_types(vmlinux, {address: name for name, address in values.items() if address is not None})


@pytest.mark.parametrize("dwarf", [4, 5])
def test_as_the_source_declares_them(dwarf: int, tool: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text(SOURCE)
    gcc, ld = tool("aarch64-linux-gnu-gcc"), tool("aarch64-linux-gnu-ld")
    subprocess.run([gcc, "-c", f"-gdwarf-{dwarf}", "-o", "x.o", "x.c"], cwd=tmp_path, check=True)
    command = [ld, "-e", "0", "-Ttext-segment=0xffffffc008000000", "-o", "vmlinux", "x.o"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = found_in(Vmlinux(tmp_path / "vmlinux"), list(TYPES))
    assert {name: (kind.text, tuple(sorted(kind.names))) for name, kind in found.items()} == TYPES


def test_without_dwarf() -> None:
    assert found_in(Vmlinux(SAMPLE / "abi/old/vmlinux"), ["system_clock"]) == {}


@pytest.mark.corpus
def test_as_btf_has_them(kernel: Kernel) -> None:
    """BTF has the types of per-CPU variables."""
    vmlinux = kinspect.open(kernel.vmlinux, Vmlinux)
    definitions = Definitions(kernel_types(vmlinux))
    types = definitions.types
    theirs = {types.name_of(number): types.target_of(number) for number in types.of_kind(btf.VAR)}
    found = found_in(vmlinux, list(theirs))
    assert len(found) > 0.9 * len(theirs) > 100
    texts = {name: definitions.declarations.of(theirs[name]) for name in found}
    named = {name: text for name, text in texts.items() if "{" not in text}
    assert {name: found[name].text for name in named} == named


@pytest.mark.corpus
def test_exported_variables_have_types() -> None:
    kernel = kernel_named("bookworm-cloud")
    vmlinux = kinspect.open(kernel.vmlinux, Vmlinux)
    functions = Definitions(kernel_types(vmlinux)).functions
    names = [
        line.split("\t")[1]
        for line in (kernel.folder / "Module.symvers").read_text().splitlines()
        if "\tvmlinux\t" in line and line.split("\t")[1] not in functions
    ]
    assert len(found_in(vmlinux, names)) > 0.95 * len(names) > 500
