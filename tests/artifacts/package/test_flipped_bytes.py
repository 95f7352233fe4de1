"""A thousand damaged packages of each kind: each is refused, or the damage changes no file, or only files of which the
report says that no checksum covers them."""

import random
import shutil
import subprocess
from collections.abc import Callable
from hashlib import md5
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.package.file import Package
from kinspect.errors import KinspectError, MalformedError
from kinspect.source import Source
from tests.packaged_sample import IMAGE, deb, kernel_folders
from tests.toy_package import RELEASE, everything, kernel_files

Tool = Callable[[str], str]
Files = dict[str, bytes]
NUMBER = 1000


def packed(tree: Path, dpkg_deb: str, form: str, with_sums: bool) -> Path:
    """A package with or without md5sums, of the files of a kernel that is small."""
    (tree / "boot" / f"vmlinuz-{RELEASE}").write_bytes(random.Random(2).randbytes(30_000))
    control = tree / "DEBIAN"
    control.mkdir()
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    sums = "".join(f"{md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files)
    if with_sums:
        (control / "md5sums").write_text(sums)
    return deb(dpkg_deb, tree, "linux-toy", f"-Z{form}")


def contents(package: Package, folder: Path) -> Files:
    """The files of a package, read back from a folder, which is then removed."""
    folder.mkdir()
    try:
        package.unpack(folder, everything)
        files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}
    finally:
        shutil.rmtree(folder)


def flipped(data: bytes, draw: random.Random, number: int) -> bytes:
    """A package with one bit flipped: every other time in the first bytes, where the headers and control.tar are."""
    at = draw.randrange(len(data) if number % 2 else 12 << 10)
    return data[:at] + bytes((data[at] ^ 1 << draw.randrange(8),)) + data[at + 1 :]


@pytest.mark.parametrize(("form", "with_sums"), [("xz", True), ("gzip", True), ("zstd", False), ("none", True)])
def test_each_flipped_byte_of_a_file_is_found(tool: Tool, tmp_path: Path, form: str, with_sums: bool) -> None:
    path, draw = packed(kernel_files(tmp_path / "tree"), tool("dpkg-deb"), form, with_sums), random.Random(14)
    good = Package(Source(path))
    files, found = contents(good, tmp_path / "out"), 0
    assert not good.uncovered
    data = path.read_bytes()
    for number in range(NUMBER):
        try:
            package = Package(Source("damaged.deb", flipped(data, draw, number)))
            _ = package.version
            now = contents(package, tmp_path / "out")
        except KinspectError:
            found += 1
            continue
        # Where nothing is compressed, no sum covers what the package says of itself, nor padding.
        assert now == files
    assert found > NUMBER * (0.4 if form == "none" else 0.9)


def test_without_sums_each_file_is_uncovered(tool: Tool, tmp_path: Path) -> None:
    path = packed(kernel_files(tmp_path / "tree"), tool("dpkg-deb"), "none", with_sums=False)
    package = Package(Source(path))
    files = contents(package, tmp_path / "out")
    others = {name for name, text in files.items() if text} - set(package.uncovered)
    assert len(others) == 1, "one of two hard links"


@pytest.mark.parametrize("end", [1, 20])
def test_damage_behind_the_control_file_is_found(tool: Tool, tmp_path: Path, end: int) -> None:
    """Of control.tar too the rest is read: the checksum of its stream is at its end."""
    path = packed(kernel_files(tmp_path / "tree"), tool("dpkg-deb"), "gzip", with_sums=True)
    data = bytearray(path.read_bytes())
    data[data.index(b"data.tar") // 2 * 2 - 3 - end] ^= 1
    with pytest.raises(MalformedError):
        assert Package(Source("damaged.deb", bytes(data))).version


@pytest.mark.parametrize(
    ("command", "is_covered"),
    [
        ("tar -cf", False),
        ("tar -czf", True),
        ("tar -cjf", True),
        ("tar -I xz -cf", True),
        ("tar -I 'xz --check=none' -cf", False),
        ("tar -I zstd -cf", True),
        ("tar -I 'zstd --no-check' -cf", False),
    ],
)
def test_the_verdict_says_what_no_checksum_covers(tmp_path: Path, command: str, is_covered: bool, tool: Tool) -> None:
    folder, path = kernel_folders(tmp_path)[IMAGE], tmp_path / "linux.tar"
    tool("xz"), tool("zstd")
    subprocess.run(f"{command} {path} -C {folder} .", shell=True, check=True)
    reasons = [one.reason for one in kinspect.check(path).facts[0].unjudged]
    assert any("without a checksum" in reason for reason in reasons) is not is_covered


@pytest.mark.parametrize(
    ("form", "sums", "reason"),
    [
        ("none", True, ["damage to the control file without a checksum"]),
        ("none", False, ["damage to 20 files and the control file without a checksum"]),
        ("xz", False, []),
        ("gzip", True, []),
    ],
)
def test_what_no_checksum_of_a_deb_covers(form: str, sums: bool, reason: list[str], tmp_path: Path, tool: Tool) -> None:
    path = packed(kernel_folders(tmp_path)[IMAGE], tool("dpkg-deb"), form, sums)
    reasons = [one.reason for one in kinspect.check(path).facts[0].unjudged]
    assert [one for one in reasons if "checksum" in one] == reason
