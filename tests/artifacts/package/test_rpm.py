"""rpm packages, against rpm2cpio and cpio."""

import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.package.file import Package
from kinspect.artifacts.package.rpm.header import RpmTags
from kinspect.errors import KinspectError, MalformedError
from kinspect.schemas.cpio import CpioHeader
from kinspect.schemas.record import parse
from kinspect.source import Source
from tests.toy_package import RELEASE, everything, kernel_files, listing, unpacked

Tool = Callable[[str], str]
SPEC = """\
Name: kernel-toy
Version: 6.1
Release: 2.fc99
Summary: a toy
License: GPL-2.0
BuildArch: noarch
%description
%install
cp -a {tree}/. %{{buildroot}}
%files
/boot
/lib
"""


def rpm(tmp_path: Path, rpmbuild: str, form: str, *defines: str) -> Path:
    """A package of the files of a kernel."""
    (tmp_path / "a.spec").write_text(SPEC.format(tree=kernel_files(tmp_path / "tree")))
    settings = {
        "_topdir": str(tmp_path / "top"),
        "_binary_payload": form,
        "_dbpath": str(tmp_path / "db"),
        "__os_install_post": "%{nil}",
        "clamp_mtime_to_source_date_epoch": "0",
    }
    options = [word for name, value in settings.items() for word in ("--define", f"{name} {value}")]
    options += [word for define in defines for word in ("--define", define)]
    done = subprocess.run([rpmbuild, "-bb", *options, "a.spec"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "top/RPMS").rglob("*.rpm")
    return path


@pytest.mark.parametrize("form", ["w.ufdio", "w6.gzdio", "w6.bzdio", "w2.xzdio", "w2.lzdio", "w3.zstdio"])
def test_an_rpm_is_unpacked_as_rpm2cpio_and_cpio_do(form: str, tool: Tool, tmp_path: Path) -> None:
    path = rpm(tmp_path, tool("rpmbuild"), form)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    with subprocess.Popen([tool("rpm2cpio"), str(path)], stdout=subprocess.PIPE) as payload:
        subprocess.run([tool("cpio"), "-idm", "--quiet"], stdin=payload.stdout, cwd=theirs, check=True)
    assert unpacked(path, tmp_path / "ours") == listing(theirs)
    package = Package(Source(path))
    described = package.format, package.name, package.version, package.architecture
    assert described == ("rpm", "kernel-toy", "6.1-2.fc99", "noarch")
    kernel = tmp_path / "ours/lib/modules" / RELEASE / "kernel"
    assert os.path.samefile(kernel / "a.ko", kernel / "b.ko")


def stripped(data: bytes) -> bytes:
    """A package with a payload as rpm writes it when a file has 4 GiB or more: members have only a number."""
    start = data.index(b"070701")
    payload, at, found, paths = data[start:], 0, b"", []
    basenames = RpmTags(Source("a", data), data.rindex(b"\x8e\xad\xe8\x01"), "header").names(1117)
    while True:
        numbers = parse(CpioHeader, payload[at:]).numbers
        assert numbers is not None
        size, name_size = numbers[6], numbers[11]
        name = payload[at + 110 : at + 110 + name_size - 1]
        body = at + 110 + name_size + -(110 + name_size) % 4
        if name == b"TRAILER!!!":
            break
        paths.append(name.rpartition(b"/")[2])
        found += b"07070X%08x\0\0" % basenames.index(paths[-1]) + payload[body : body + size] + bytes(-size % 4)
        at = body + size + -size % 4
    assert len(paths) == len(basenames)
    # The digests are not of this package: their tags are made others.
    header = data[:start]
    for tag in (5092, 273):
        header = header.replace(struct.pack(">I", tag), struct.pack(">I", 59_999), 1)
    return header + found + payload[at:]


def test_a_payload_without_names_and_sizes(tool: Tool, tmp_path: Path) -> None:
    path = rpm(tmp_path, tool("rpmbuild"), "w.ufdio")
    path.write_bytes(stripped(path.read_bytes()))
    assert unpacked(path, tmp_path / "ours") == listing(tmp_path / "tree")
    ours = tmp_path / "ours/lib/modules" / RELEASE / "kernel"
    assert os.path.samefile(ours / "a.ko", ours / "b.ko")
    for wrong in (b"07070X%08x" % 99, b"07070X0000000z", b"07070X-0000001"):
        data = path.read_bytes().replace(b"07070X00000001", wrong, 1)
        with pytest.raises(MalformedError, match="not one of the files"):
            Package(Source("a.rpm", data)).unpack(tmp_path, everything)


def test_hard_links_are_written_when_one_is_wanted(tool: Tool, tmp_path: Path) -> None:
    """One of them has the data, whichever is wanted."""
    path = rpm(tmp_path, tool("rpmbuild"), "w2.xzdio")
    for name in ("a.ko", "b.ko"):
        folder = tmp_path / name
        folder.mkdir()
        members = Package(Source(path)).unpack(folder, lambda member, name=name: member.path.endswith(f"/{name}"))  # type: ignore[misc]
        assert [(member.path.rpartition("/")[2], member.size) for member in members] == [(name, 6000)]
        assert (folder / members[0].path).read_bytes() == b"module" * 1000


@pytest.mark.parametrize("form", ["w.ufdio", "w6.gzdio", "w3.zstdio"])
def test_a_cut_rpm_is_never_complete(form: str, tool: Tool, tmp_path: Path) -> None:
    path, ours = rpm(tmp_path, tool("rpmbuild"), form), tmp_path / "ours"
    ours.mkdir()
    data = path.read_bytes()
    for size in {*range(4096, len(data), 4096), len(data) - 5}:
        with pytest.raises(KinspectError):
            Package(Source("cut.rpm", data[:size])).unpack(ours, everything)


def test_a_damaged_rpm_is_found_by_its_digests(tool: Tool, tmp_path: Path) -> None:
    good = rpm(tmp_path, tool("rpmbuild"), "w.ufdio").read_bytes()
    places = {"payload": (len(good) - 100_000, len(good) - 1), "header": (good.index(b"GPL-2.0"), good.index(b"a.ko"))}
    for part, offsets in places.items():
        for offset in offsets:
            data = bytearray(good)
            data[offset] ^= 1
            with pytest.raises(MalformedError, match=f"{part} at .*: the {part} is damaged: expected SHA-256"):
                Package(Source("a.rpm", bytes(data))).unpack(tmp_path, everything)
