"""The check of a debug file: with its own vmlinux or module, and with others."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.elf.debug_file import DebugFile
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.cli import main
from kinspect.inspection.report import run_checks
from tests.conftest import SAMPLE

Tool = Callable[[str], str]
VMLINUX = SAMPLE / "vmlinux"
KOS = sorted((SAMPLE / "modules").rglob("*.ko"))
ID = "debug-file-is-of-the-same-build"


def split(path: Path, folder: Path, tool: Tool) -> tuple[Path, Path]:
    """The stripped file and its debug file, as rpmbuild and dpkg make them."""
    objcopy, stripped, debug = tool("aarch64-linux-gnu-objcopy"), folder / path.name, folder / f"{path.name}.debug"
    subprocess.run([objcopy, "--only-keep-debug", str(path), str(debug)], check=True)
    link = f"--add-gnu-debuglink={debug}"
    subprocess.run([objcopy, "--strip-debug", link, str(path), str(stripped)], check=True)
    return stripped, debug


def findings(stripped: Vmlinux | Module, debug: Path) -> list[str]:
    report = run_checks((stripped, DebugFile(debug)), "elf.debug_file")
    assert report.ran == (ID,)
    return [finding.evidence.message for finding in report.findings]


def test_a_vmlinux(tool: Tool, tmp_path: Path) -> None:
    stripped, debug = split(VMLINUX, tmp_path, tool)
    assert findings(Vmlinux(stripped), debug) == []
    # Without a link the build id decides.
    assert findings(Vmlinux(VMLINUX), debug) == []
    data = debug.read_bytes()
    debug.write_bytes(data + b"\0")
    (message,) = findings(Vmlinux(stripped), debug)
    assert "not the file that the debug link names: expected CRC 0x" in message
    assert findings(Vmlinux(VMLINUX), debug) == []
    build_id = Vmlinux(VMLINUX).build_id or b""
    debug.write_bytes(data.replace(build_id, b"\1" * 20))
    for vmlinux in (stripped, VMLINUX):
        (message,) = findings(Vmlinux(vmlinux), debug)
        assert f"of another build: expected build id {build_id.hex()}, found {'01' * 20}" in message


def test_a_module(tool: Tool, tmp_path: Path) -> None:
    stripped, debug = split(KOS[0], tmp_path, tool)
    assert findings(Module(stripped), debug) == []
    debug.write_bytes(debug.read_bytes() + b"\0")
    (message,) = findings(Module(stripped), debug)
    assert message.startswith("debug file of a module")


def test_nothing_shows_that_it_belongs_to_the_file(tool: Tool, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([tool("aarch64-linux-gnu-objcopy"), "-R", ".notes", str(VMLINUX), str(bare)], check=True)
    (tmp_path / "debug").mkdir()
    _, debug = split(bare, tmp_path / "debug", tool)
    (message,) = findings(Vmlinux(bare), debug)
    assert "nothing shows that it belongs to the file" in message


def checked(capsys: pytest.CaptureFixture[str], *paths: Path) -> tuple[int, list[str], list[str]]:
    """The status, the roles of what was found, the ids of the findings."""
    status = main(["check", *map(str, paths), "--json"])
    report = json.loads(capsys.readouterr().out)
    return (
        status,
        [piece["role"] for piece in report["facts"][0]["pieces"]],
        [finding["id"] for finding in report["findings"] if finding["severity"] != "info"],
    )


def test_pairs_in_any_order(tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each debug file goes to its own file, though others of its kind are there."""
    kernel = split(VMLINUX, tmp_path, tool)
    modules = [split(path, tmp_path, tool) for path in KOS]
    everything = [*kernel, *(path for pair in modules for path in pair)]
    for paths in (everything, everything[::-1]):
        status, roles, ids = checked(capsys, *paths)
        assert (status, ids) == (0, [])
        assert roles.count("debug file") == 1 + len(modules)
    swapped = [modules[0][0], modules[1][1]]
    assert checked(capsys, *swapped) == (1, ["file", "debug file"], [ID])


def test_a_folder_with_debug_files(tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dist folder: the debug file beside vmlinux is paired, and is no second kernel."""
    split(VMLINUX, tmp_path, tool)
    (tmp_path / "Image").write_bytes((SAMPLE / "Image").read_bytes())
    status, roles, ids = checked(capsys, tmp_path)
    assert (status, sorted(roles), ids) == (0, ["Image", "debug file", "vmlinux"], [])


def test_a_debug_file_of_a_module_is_no_module(tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, debug = split(KOS[0], tmp_path, tool)
    assert main(["module", str(debug)]) == 2
    assert "give the module that it belongs to: expected a module with code, found debug file of a module" in (
        capsys.readouterr().err
    )
    status, roles, ids = checked(capsys, debug)
    assert (status, roles, ids) == (2, ["not judged"], [])
    assert main(["check", str(debug)]) == 2
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("could not tell: nothing checked; not checked: 1 file (")
    assert f"{debug}: cannot be checked alone: found debug file of a module" in printed.err
