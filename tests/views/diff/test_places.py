"""Where vmlinux is stripped, the symbols of what differs are those of the Image."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.views.diff.facts import diff_facts
from tests.conftest import SAMPLE, Build


@pytest.mark.corpus
def test_a_stripped_vmlinux(build: Build, tmp_path: Path, tool: Callable[[str], str]) -> None:
    whole, stripped, changed = Vmlinux(build.out / "vmlinux"), tmp_path / "vmlinux", tmp_path / "Image"
    objcopy = [tool("aarch64-linux-gnu-objcopy"), "--strip-all", whole.path, str(stripped)]
    subprocess.run(objcopy, check=True, capture_output=True)
    data = bytearray((build.out / "arch/arm64/boot/Image").read_bytes())
    start = whole.symbols.value("vfs_read")
    assert start
    assert whole.text
    for place in (start - whole.text + 8, len(data) // 2):
        data[place] ^= 0xFF
    changed.write_bytes(data)
    ours, theirs = (diff_facts(Vmlinux(path), Image(changed), 10).why for path in (stripped, whole.path))
    assert ours
    assert theirs
    assert ours.symbols == theirs.symbols
    assert [hunk.place.partition("/")[0] for hunk in ours.differences] == [
        hunk.place.partition("/")[0] for hunk in theirs.differences
    ]
    assert "vfs_read" in {stat.name for stat in ours.symbols}


def test_neither_has_symbols(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """The sample's Image has no kallsyms."""
    stripped, changed = tmp_path / "vmlinux", tmp_path / "Image"
    objcopy = [tool("aarch64-linux-gnu-objcopy"), "--strip-all", str(SAMPLE / "vmlinux"), str(stripped)]
    subprocess.run(objcopy, check=True, capture_output=True)
    data = bytearray((SAMPLE / "Image").read_bytes())
    data[0x10A38] ^= 1
    changed.write_bytes(data)
    why = diff_facts(Vmlinux(stripped), Image(changed), 10).why
    assert why
    assert [stat.bytes for stat in why.symbols] == [1]
