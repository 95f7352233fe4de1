"""Debian packages, against dpkg-deb."""

import random
import stat
import subprocess
import sys
from collections.abc import Callable
from hashlib import md5
from pathlib import Path

import pytest

from kinspect.artifacts.package.ar import ar_members
from kinspect.artifacts.package.file import Package
from kinspect.errors import KinspectError, MalformedError, TruncatedError
from kinspect.source import Source
from tests.toy_package import RELEASE, everything, kernel_files, listing, unpacked

Tool = Callable[[str], str]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files of a package of a kernel."""
    return kernel_files(tmp_path / "tree")


def deb(tree: Path, dpkg_deb: str, form: str, sums: str = "") -> Path:
    (tree / "DEBIAN").mkdir()
    fields = "Description: a toy\n Version: 9\nVersion: 6.1-1\nArchitecture: arm64\nMaintainer: a <a@b>\n"
    (tree / "DEBIAN/control").write_text(f"Package: linux-toy\n{fields}")
    if sums:
        (tree / "DEBIAN/md5sums").write_text(sums)
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


@pytest.mark.parametrize("form", ["none", "gzip", "xz", "zstd"])
def test_each_damaged_file_is_found(tree: Path, tool: Tool, form: str, tmp_path: Path) -> None:
    """By the sum of its stream, or that in md5sums when it is not compressed."""
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    sums = "".join(f"{md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files)
    path, draw = deb(tree, tool("dpkg-deb"), form, sums), random.Random(5)
    assert unpacked(path, tmp_path / "good")
    data = path.read_bytes()
    start = data.index(b"data.tar")
    for _ in range(100):
        # In a file's data, which are most of the package.
        changed, place = bytearray(data), draw.randrange(start + 10_000, start + 690_000)
        changed[place] ^= 1 << draw.randrange(8)
        with pytest.raises(MalformedError):
            Package(Source("a.deb", bytes(changed))).unpack(tmp_path, lambda _: False)


@pytest.mark.corpus
def test_the_packages_of_a_real_kernel(debs: list[Path], tool: Tool, tmp_path: Path) -> None:
    assert len(debs) == 3
    for number, path in enumerate(path for path in debs if "-dbg_" not in path.name):
        theirs = tmp_path / f"theirs{number}"
        subprocess.run([tool("dpkg-deb"), "-x", str(path), str(theirs)], check=True)
        expected = listing(theirs)
        for name, (kind, target, modified) in expected.items():
            # build and source of modules lead to the headers, which must be those of a package.
            if stat.S_ISLNK(kind) and target.startswith(b"/"):
                expected[name] = kind, b"../" * name.count("/") + target[1:], modified
        assert unpacked(path, tmp_path / f"ours{number}") == expected
        package = Package(Source(path))
        fields = subprocess.check_output([tool("dpkg-deb"), "-W", "--showformat=${Package} ${Version}", str(path)])
        assert f"{package.name} {package.version}" == fields.decode()


@pytest.mark.corpus
def test_a_real_package_cut_anywhere_is_never_complete(debs: list[Path], tmp_path: Path) -> None:
    data = debs[0].read_bytes()
    end = len(data)
    for size in (*range(0, end, 4096), end - 2):
        with pytest.raises(KinspectError):
            Package(Source("cut.deb", data[:size])).unpack(tmp_path, lambda _: False)
    # Its archive alone, which does not say how long it is.
    archive = next(member for member in ar_members(Source("a.deb", data)) if member.name == "data.tar.xz")
    tar = data[archive.offset : archive.offset + archive.size]
    for size in (*range(1 << 18, len(tar), len(tar) // 10), len(tar) - 4096, len(tar) - 12, len(tar) - 1):
        with pytest.raises(TruncatedError, match="truncated"):
            Package(Source("cut.tar.xz", tar[:size])).unpack(tmp_path, lambda _: False)


@pytest.mark.corpus
def test_the_memory_for_a_real_package(debs: list[Path], tmp_path: Path) -> None:
    """Beside the interpreter's own: blocks of data, and two dictionaries of xz."""
    script = """
import resource, sys
from hashlib import md5
from pathlib import Path
from kinspect.artifacts.package.file import Package
from kinspect.source import Source
package = Package(Source(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
package.unpack(Path(sys.argv[2]), lambda _: True)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    image = next(path for path in debs if path.name.startswith("linux-image") and "-dbg_" not in path.name)
    done = subprocess.run([sys.executable, "-c", script, str(image), str(tmp_path)], capture_output=True, check=True)
    assert int(done.stdout) < 60
