"""Packages for tests, and what is in them once they are unpacked."""

import os
import stat
from pathlib import Path

from kinspect.artifacts.package.file import Package
from kinspect.artifacts.package.member import PackageMember
from kinspect.source import Source

RELEASE = "6.1.0-toy"


def everything(_: PackageMember) -> bool:
    return True


def listing(folder: Path) -> dict[str, tuple[int, bytes, int]]:
    """The kind, contents and time of everything below a folder."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        modified = int(status.st_mtime) if stat.S_ISREG(status.st_mode) else 0
        found[str(path.relative_to(folder))] = stat.S_IFMT(status.st_mode), data, modified
    return found


def kernel_files(root: Path) -> Path:
    """A folder with the files of a package of a kernel."""
    modules = root / "lib/modules" / RELEASE / "kernel"
    modules.mkdir(parents=True)
    (root / "boot").mkdir()
    (root / "boot" / f"vmlinuz-{RELEASE}").write_bytes(os.urandom(700_000))
    (modules / "a.ko").write_bytes(b"module" * 1000)
    (modules / "empty.ko").write_bytes(b"")
    (modules / ("long" * 40 + ".ko")).write_bytes(b"x" * 512)
    (modules / "ä b.ko").write_bytes(b"x" * 513)
    (modules / "link.ko").symlink_to("a.ko")
    os.link(modules / "a.ko", modules / "b.ko")
    os.utime(modules / "a.ko", (1, 1_600_000_000))
    return root


def unpacked(path: Path, folder: Path) -> dict[str, tuple[int, bytes, int]]:
    """What is in a package, as it is in a new folder once it is unpacked."""
    folder.mkdir()
    members = Package(Source(path)).unpack(folder, everything)
    found = listing(folder)
    assert {member.path for member in members if member.kind != "folder"} == {
        path for path, (kind, *_) in found.items() if kind != stat.S_IFDIR
    }
    return found
