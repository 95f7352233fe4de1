"""Installed modules against those of the build."""

import shutil
import struct
from pathlib import Path

import pytest

from kinspect.inspection.check import check
from tests.conftest import SAMPLE, Build
from tests.support import Named, Part, elf_of
from tests.toy_build import put

RELEASE = "6.1.0-toy"
IDS = {"installed-modules-are-those-built", "installed-lists-are-those-of-the-build"}


def module(build_id: int, signature: bytes = b"") -> bytes:
    """A module with a build id; what follows the ELF file does not belong to it."""
    note = struct.pack("<III4sQ", 4, 8, 3, b"GNU\0", build_id)
    parts = Part(".note.gnu.build-id", note, type=7), Part(".modinfo", b"license=GPL\0vermagic=6.1.0-toy\0")
    return elf_of(*parts, symbols=[Named("nothing", 0)], e_type=1) + signature


def arranged(folder: Path) -> tuple[Path, Path]:
    out, tree = folder / "out", folder / "install/lib/modules" / RELEASE
    put(out / "include/config/kernel.release", f"{RELEASE}\n".encode())
    put(out / "modules.builtin", b"kernel/fs/in.ko\n")
    put(out / "modules.builtin.modinfo", b"in.file=fs/in\0")
    put(out / "modules.order", b"fs/a.ko\nfs/b.ko\n")
    for number, name in enumerate(("fs/a.ko", "fs/b.ko")):
        put(out / name, module(number))
        put(tree / "kernel" / name, module(number, b"a signature"))
    put(tree / "modules.order", b"kernel/fs/a.ko\nkernel/fs/b.ko\n")
    for name in ("modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(out / name, tree / name)
    return out, tree


def messages(*paths: Path) -> list[str]:
    return [str(found.evidence) for found in check(*paths).findings if found.id in IDS]


def test_each_difference_is_found(tmp_path: Path) -> None:
    out, tree = arranged(tmp_path)
    assert messages(out, tree) == []
    put(tree / "updates/c.ko", module(9))
    assert messages(out, tree) == []
    put(tree / "kernel/fs/a.ko", module(7))
    assert messages(out, tree) == ["1 installed module from a different build: fs/a"]
    (tree / "kernel/fs/a.ko").unlink()
    assert messages(out, tree) == ["1 module built but not installed: fs/a"]
    put(tree / "kernel/fs/a.ko", module(0))
    put(tree / "kernel/fs/old.ko", module(3))
    assert messages(out, tree) == ["1 module installed but not in the build: fs/old"]
    (tree / "kernel/fs/old.ko").unlink()
    put(tree / "modules.builtin.modinfo", b"in.file=fs/other\0")
    (tree / "modules.builtin").unlink()
    assert messages(out, tree) == [
        "modules.builtin is missing",
        "modules.builtin.modinfo differs from that of the build",
    ]


@pytest.mark.corpus
def test_real_modules_are_those_of_their_build(build: Build) -> None:
    report = check(build.out, build.modules)
    assert set(report.ran) >= IDS
    assert not IDS & {found.id for found in report.findings}


def test_the_sample_has_no_build_ids(tmp_path: Path) -> None:
    assert messages(SAMPLE / "modules") == []
