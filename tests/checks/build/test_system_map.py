"""The order and the end of a System.map."""

from pathlib import Path

import pytest

from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.inspection.report import run_checks
from tests.conftest import SAMPLE, Build, Kernel

LINES = (SAMPLE / "System.map").read_bytes().splitlines(keepends=True)


def findings(data: bytes, folder: Path, *others: Vmlinux) -> dict[str, str]:
    path = folder / "System.map"
    path.write_bytes(data)
    report = run_checks((SystemMap(path), *others), "build.consistency")
    return {found.id: str(found.evidence) for found in report.findings}


def test_lines_are_in_order(tmp_path: Path) -> None:
    assert findings(b"".join(LINES), tmp_path, Vmlinux(SAMPLE / "vmlinux")) == {}
    # The same lines, so that only their order is wrong.
    for lines in (reversed(LINES), (*LINES[1:], LINES[0]), (*LINES[:9], LINES[-1], *LINES[9:-1])):
        found = findings(b"".join(lines), tmp_path, Vmlinux(SAMPLE / "vmlinux"))
        assert list(found) == ["system-map-is-in-order"]


def test_a_truncated_map_alone(tmp_path: Path) -> None:
    found = findings(b"".join(LINES)[:-1], tmp_path)
    assert found == {"system-map-is-in-order": "the last line has no newline: the file is truncated"}


def test_a_line_that_is_there_twice(tmp_path: Path) -> None:
    found = findings(b"".join([*LINES[:9], LINES[8], *LINES[9:]]), tmp_path, Vmlinux(SAMPLE / "vmlinux"))
    assert list(found) == ["system-map-is-of-vmlinux"]


def test_a_map_of_another_build(tmp_path: Path) -> None:
    data = b"".join(LINES).replace(b"ffff8000080", b"ffff8000090")
    (message,) = findings(data, tmp_path, Vmlinux(SAMPLE / "vmlinux")).values()
    assert message.startswith("not the same build: ")


@pytest.mark.corpus
def test_real_maps_are_in_order(kernel: Kernel, build: Build) -> None:
    for path in (kernel.folder / "System.map", build.out / "System.map"):
        assert run_checks((SystemMap(path),), "build.consistency").findings == ()
