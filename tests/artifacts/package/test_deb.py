"""Debian packages, against dpkg-deb."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.package.file import Package
from kinspect.errors import KinspectError
from kinspect.source import Source
from tests.toy_package import RELEASE, everything, kernel_files, listing

Tool = Callable[[str], str]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files of a package of a kernel."""
    return kernel_files(tmp_path / "tree")


def deb(tree: Path, dpkg_deb: str, form: str) -> Path:
    (tree / "DEBIAN").mkdir()
    fields = "Description: a toy\n Version: 9\nVersion: 6.1-1\nArchitecture: arm64\nMaintainer: a <a@b>\n"
    (tree / "DEBIAN/control").write_text(f"Package: linux-toy\n{fields}")
    path = tree.parent / "toy.deb"
    subprocess.run([dpkg_deb, "--build", "--root-owner-group", f"-Z{form}", str(tree), str(path)], check=True)
    return path


@pytest.mark.parametrize("form", ["none", "gzip", "xz", "zstd"])
def test_a_deb_is_unpacked_as_dpkg_deb_does(tree: Path, tool: Tool, form: str, tmp_path: Path) -> None:
    path = deb(tree, tool("dpkg-deb"), form)
    subprocess.run([tool("dpkg-deb"), "-x", str(path), str(tmp_path / "theirs")], check=True)
    ours = tmp_path / "ours"
    ours.mkdir()
    package = Package(Source(path))
    described = package.format, package.name, package.version, package.architecture
    assert described == ("deb", "linux-toy", "6.1-1", "arm64")
    members = package.unpack(ours, everything)
    assert listing(ours) == listing(tmp_path / "theirs")
    assert {member.path for member in members} == set(listing(ours))
    kinds = {member.path.rpartition("/")[2]: member.kind for member in members}
    assert [kinds[name] for name in ("boot", "a.ko", "link.ko")] == ["folder", "file", "symlink"]


def test_only_what_is_wanted_is_written(tree: Path, tool: Tool, tmp_path: Path) -> None:
    path, ours = deb(tree, tool("dpkg-deb"), "xz"), tmp_path / "ours"
    ours.mkdir()
    members = Package(Source(path)).unpack(ours, lambda member: member.path.endswith("/empty.ko"))
    assert [member.path for member in members] == [f"lib/modules/{RELEASE}/kernel/empty.ko"]
    assert [name for name in listing(ours) if name.endswith(".ko")] == [members[0].path]


@pytest.mark.parametrize("form", ["none", "gzip", "xz", "zstd"])
def test_a_cut_deb_is_never_complete(tree: Path, tool: Tool, form: str, tmp_path: Path) -> None:
    path, ours = deb(tree, tool("dpkg-deb"), form), tmp_path / "ours"
    ours.mkdir()
    data = path.read_bytes()
    # The last byte may be padding.
    for size in {*range(4096, len(data), 4096), len(data) - 2}:
        with pytest.raises(KinspectError, match=r"cut off|truncated|ends|too short"):
            Package(Source("cut.deb", data[:size])).unpack(ours, everything)
