"""Each check of a uImage fails when, and only when, its fault is put in; mkimage and dumpimage say what is right."""

import gzip
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot.parts import BootContainer
from kinspect.artifacts.boot.uimage import Uimage
from kinspect.artifacts.kinds import open_as
from kinspect.cli import main
from kinspect.errors import KinspectError, MalformedError, TruncatedError, WrongKindError
from kinspect.inspection import unpack as unpacking
from tests.conftest import SAMPLE
from tests.toy_boot import multi, uimage, uimage_of_files

IMAGE = (SAMPLE / "Image").read_bytes()
DTB = (SAMPLE / "dtb" / "hello.dtb").read_bytes()
GZ = gzip.compress(IMAGE)
RAMDISK = b"ramdisk!!"
GOOD = uimage(GZ, ih_comp=1)
BROKEN_TREE = DTB[:4] + b"\0\1\0\0" + DTB[8:]

FAULTS: dict[str, tuple[bytes, set[str]]] = {
    "gzip": (GOOD, set()),
    "an Image": (uimage(IMAGE), set()),
    "gzip that is not said to be": (uimage(GZ), {"uimage-compression-is-right"}),
    "a kernel to be run in place": (uimage(IMAGE, ih_type=14), set()),
    "three files": (uimage_of_files(GZ, RAMDISK, DTB), set()),
    "a kernel and a tree": (uimage_of_files(GZ, DTB), set()),
    "a padded partition": (GOOD + bytes(5000), set()),
    "an erased partition": (GOOD + b"\xff" * 5000, set()),
    "bytes behind it": (GOOD + b"more", {"nothing-follows-the-parts"}),
    "another header checksum": (uimage(GZ, ih_comp=1, ih_hcrc=7), {"uimage-header-checksum-matches"}),
    "another data checksum": (uimage(GZ, ih_comp=1, ih_dcrc=7), {"uimage-data-checksum-matches"}),
    "another compression": (uimage(GZ, ih_comp=3), {"uimage-compression-is-right"}),
    "an Image said to be compressed": (uimage(IMAGE, ih_comp=1), {"uimage-compression-is-right"}),
    "a compression of the future": (uimage(IMAGE, ih_comp=77), {"uimage-compression-is-right"}),
    "for 32-bit Arm": (uimage(GZ, ih_comp=1, ih_arch=2), {"uimage-is-for-arm64"}),
    "bytes of no file": (uimage(multi(IMAGE, DTB) + b"abcdefg", 4), {"uimage-files-reach-its-end"}),
    "a broken tree": (uimage_of_files(GZ, RAMDISK, BROKEN_TREE), {"dtb-is-whole"}),
}


def written(data: bytes, folder: Path, name: str = "uImage") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_its_findings_and_no_other(name: str, tmp_path: Path) -> None:
    data, expected = FAULTS[name]
    path = written(data, tmp_path)
    report = kinspect.image(path)
    found = {finding.id for finding in report.findings}
    assert found == expected
    if expected:
        assert {finding.id for finding in kinspect.check(path).findings} >= expected


def test_parts_that_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(uimage_of_files(GZ, RAMDISK), tmp_path)
    first, second = Uimage(path).parts
    moved = (first, second._replace(start=first.end - 1))
    monkeypatch.setattr(Uimage, "listed", property(lambda _: moved))
    assert "parts-do-not-overlap" in {finding.id for finding in kinspect.check(path).findings}


def test_the_tree_is_named(tmp_path: Path) -> None:
    path = written(FAULTS["a broken tree"][0], tmp_path)
    found = [finding for finding in kinspect.check(path).findings if finding.severity == "error"]
    assert {finding.evidence.at[0].path for finding in found} == {f"{path}:dtb"}


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    """Both checksums together cover every byte of the file, unless it no longer is a uImage."""
    choose = random.Random(14)
    path = tmp_path / "uImage"
    for place in choose.sample(range(4, len(GOOD)), 300):
        path.write_bytes(GOOD[:place] + bytes([GOOD[place] ^ 1 << choose.randrange(8)]) + GOOD[place + 1 :])
        assert unpack_fails(path) or unpacking.part_verdict(path).exit_code == 1, place


def unpack_fails(path: Path) -> bool:
    try:
        unpacking.part_verdict(path)
    except KinspectError:
        return True
    return False


@pytest.mark.parametrize("size", [5, 63, 64, 100, len(GOOD) - 1])
def test_a_cut_is_one_line(size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(GOOD[:size], tmp_path)
    for words in (("check",), ("image",), ("unpack", "--list")):
        assert main([*words, str(path)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises((TruncatedError, MalformedError)):
        kinspect.image(path).raise_for_findings()


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [(b"\0\0\0\x09\xff\xff\xff\xff\0\0\0\0", "file 2 ends past the data"), (b"\1" * 400, "does not end")],
)
def test_sizes_of_files_that_are_wrong(sizes: bytes, problem: str, tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match=problem):
        _ = Uimage(written(uimage(sizes.ljust(400, b"x"), 4), tmp_path)).parts


def test_what_has_no_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ramdisk = written(uimage(RAMDISK, 3), tmp_path, "ramdisk")
    assert kinspect.check(ramdisk).exit_code == 0
    with pytest.raises(WrongKindError, match="expected an arm64 Image, found a U-Boot uImage"):
        kinspect.image(ramdisk)
    script = written(uimage(b"#!/bin/sh\necho", 2), tmp_path, "script")
    with pytest.raises(WrongKindError, match="wrong kind of file inside uImage: expected a kernel, found a text file"):
        kinspect.image(script)
    assert main(["unpack", "--list", str(script)]) == 0
    assert "text file" in capsys.readouterr().out


def test_parts_are_the_very_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(gzip.compress(uimage_of_files(GZ, RAMDISK, DTB, b"more")), tmp_path)
    for name, data in (("kernel", GZ), ("ramdisk", RAMDISK), ("dtb", DTB), ("file-4", b"more")):
        assert main(["unpack", str(path), "--part", name, "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes() == data
    assert main(["unpack", str(path), "-o", str(tmp_path / "Image")]) == 0
    assert (tmp_path / "Image").read_bytes() == IMAGE
    capsys.readouterr()
    assert main(["unpack", str(path), "--list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [part["name"] for part in document["facts"][0]["parts"]] == ["kernel", "ramdisk", "dtb", "file-4"]
    assert main(["unpack", str(path), "--part", "dtbs", "-o", str(tmp_path / "no")]) == 2
    assert "--part: unknown part (did you mean dtb?)" in capsys.readouterr().err
    assert main(["unpack", str(path), "--list", "-o", str(tmp_path / "no")]) == 2
    assert not (tmp_path / "no").exists()
    assert main(["check", str(path)]) == 0
    assert "6.1.0-hello in gzip in uImage in gzip (beside it: ramdisk, dtb, file-4)" in capsys.readouterr().out


def test_mkimage_and_dumpimage_agree(tmp_path: Path, tool: Callable[[str], str]) -> None:
    files = {"Image.gz": GZ, "ramdisk": RAMDISK * 1000, "a.dtb": DTB}
    for name, data in files.items():
        written(data, tmp_path, name)
    base = [tool("mkimage"), "-A", "arm64", "-O", "linux", "-a", "0x80000", "-e", "0x80000", "-n", "toy"]
    for kind, compression, names in (
        ("kernel", "gzip", "Image.gz"),
        ("multi", "gzip", "Image.gz:ramdisk:a.dtb"),
        ("ramdisk", "none", "ramdisk"),
    ):
        made = [*base, "-T", kind, "-C", compression, "-d", names, "uImage"]
        subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
        container = open_as(BootContainer, tmp_path / "uImage")
        assert kinspect.check(tmp_path / "uImage").findings == ()
        for number, part in enumerate(container.parts):
            out = tmp_path / f"part{number}"
            dumped = [tool("dumpimage"), "-T", kind, "-p", str(number), "-o", str(out), "uImage"]
            subprocess.run(dumped, cwd=tmp_path, check=True, capture_output=True)
            assert container.source_of(part).read(0, part.size) == out.read_bytes() == files[names.split(":")[number]]
