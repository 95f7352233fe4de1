"""The shipped sample is what its build script builds, byte for byte, and it boots."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import SAMPLE, missing

BUILT = ("Image", "vmlinux", "System.map", "Module.symvers", ".Image.cmd")
Tool = Callable[[str], str]


@pytest.fixture(scope="module")
def rebuilt(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample built anew by the compiler and linker that built what is shipped."""
    done = subprocess.run([tool("aarch64-linux-gnu-gcc"), "--version"], capture_output=True, text=True, check=True)
    banner = (SAMPLE / "vmlinux").read_bytes()
    compiler = re.search(r"\(Debian [^)]*\)", done.stdout)
    if compiler is None or compiler.group().encode() not in banner:
        missing("the compiler that built the sample", "Debian 12 has gcc-aarch64-linux-gnu 12.2.0")
    folder = tmp_path_factory.mktemp("hello")
    subprocess.run([str(SAMPLE / "build.sh"), str(folder)], check=True, capture_output=True)
    subprocess.run([str(SAMPLE / "expected.sh"), str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", BUILT)
def test_a_rebuild_gives_the_same_bytes(rebuilt: Path, name: str) -> None:
    assert (rebuilt / name).read_bytes() == (SAMPLE / name).read_bytes()


@pytest.mark.parametrize("path", sorted((SAMPLE / "expected").iterdir()), ids=lambda path: path.name)
def test_the_tools_print_what_is_shipped(rebuilt: Path, path: Path) -> None:
    assert (rebuilt / "expected" / path.name).read_text() == path.read_text()


def test_a_rebuild_gives_the_same_modules(rebuilt: Path, tool: Tool) -> None:
    tool("depmod")
    folder = rebuilt / "modules"
    subprocess.run([str(SAMPLE / "modules" / "build.sh"), str(folder)], check=True, capture_output=True)
    shipped = [path for path in (SAMPLE / "modules").rglob("*") if path.is_file() and "lib/modules" in str(path)]
    assert len(shipped) >= 17
    for path in [*shipped, SAMPLE / "modules" / "Module.symvers"]:
        again = folder / path.relative_to(SAMPLE / "modules")
        assert again.read_bytes() == path.read_bytes(), path.name


def test_a_rebuild_gives_the_same_device_trees(dtc: str, tool: Tool, tmp_path: Path) -> None:
    tool("file")
    done = subprocess.run([str(SAMPLE / "dtb" / "build.sh"), str(tmp_path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    shipped = [
        SAMPLE / "dtb" / "hello.dtb",
        SAMPLE / "dtb" / "hello-lamp.dtbo",
        *(SAMPLE / "dtb" / "expected").iterdir(),
    ]
    assert len(shipped) == 5
    for path in shipped:
        assert (tmp_path / path.relative_to(SAMPLE / "dtb")).read_bytes() == path.read_bytes(), path.name


def test_it_boots_greets_and_powers_off(tool: Tool) -> None:
    command = [tool("qemu-system-aarch64"), "-M", "virt", "-cpu", "cortex-a57", "-nic", "none"]
    command += ["-nographic", "-no-reboot", "-kernel", str(SAMPLE / "Image")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Hello from a tiny arm64 kernel" in done.stdout
    assert "Linux version 6.1.0-hello" in done.stdout
    assert "6 symbols exported, and 5 for GPL modules only" in done.stdout


def test_what_is_shipped_is_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 400_000
