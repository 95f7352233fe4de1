"""Folders of modules that would take for ever, or all memory."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kinspect import workers
from kinspect.artifacts.module import tree as trees
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.scan import ModuleFile, ScanFault, scan
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.artifacts.raw.limits import unpacked_limit
from kinspect.errors import UnsupportedError
from tests.toy_module import TOY, assembled

MIB = 1 << 20


def test_links_that_fan_out_are_followed_a_few_times(tmp_path: Path) -> None:
    for level in range(40):
        (tmp_path / f"d{level}").mkdir()
        if level:
            for name in "ab":
                (tmp_path / f"d{level - 1}" / name).symlink_to(f"../d{level}")
    (tmp_path / "d39" / "toy.ko").write_bytes(b"")
    found = list(scan(str(tmp_path)))
    assert 1 <= sum(isinstance(one, ModuleFile) for one in found) <= 4
    assert any(isinstance(one, ScanFault) and "paths lead to already" in one.problem for one in found)
    assert len(found) < 1000


def test_two_links_to_a_folder_are_followed_as_depmod_does(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "toy.ko").write_bytes(b"")
    (tmp_path / "updates").symlink_to("kernel")
    assert {one.path for one in scan(str(tmp_path))} == {"kernel/toy.ko", "updates/toy.ko"}


def test_a_module_of_a_few_bytes_does_not_unpack_to_half_a_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "toy.ko.gz"
    path.write_bytes(gzip.compress(assembled(TOY).ljust(100 * MIB, b"\0")))
    with pytest.raises(UnsupportedError, match="too large when decompressed"):
        _ = Module(path).data
    assert unpacked_limit(20 * MIB, 512 * MIB) == 512 * MIB


def test_bombs_of_modules_take_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    bomb = gzip.compress(assembled(TOY).ljust(300 * MIB, b"\0"), 1)
    for number in range(8):
        (tmp_path / "kernel" / f"toy{number}.ko.gz").write_bytes(bomb)
    code = """if True:
        import re, sys
        from kinspect.cli import main
        status = main(["modules", sys.argv[1], "-q"])
        print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
        sys.exit(status)
    """
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert int(done.stdout) < 700 << 10


def test_processes_share_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may take more than a process's share is read when no other module is."""
    monkeypatch.setattr(trees, "LARGEST_MODULE", 300 * MIB)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.setattr(workers, "FEWEST", 8)
    (tmp_path / "kernel").mkdir()
    for number in range(12):
        # Each of the first may unpack to 64 MiB, each of the others to 128 MiB.
        more = os.urandom(MIB // 4) if number > 8 else b""
        (tmp_path / "kernel" / f"toy{number}.ko.gz").write_bytes(gzip.compress(assembled(TOY) + more))
    tree = ModuleTree(tmp_path)
    readers = dict(zip((file.name for file in tree.files), tree.judged(lambda _, __: os.getpid()), strict=True))
    assert len(tree.modules) == 12
    assert {readers[f"toy{number}"] for number in range(9, 12)} == {os.getpid()}
    assert os.getpid() not in {readers[f"toy{number}"] for number in range(9)}
