"""The kernel inside a FIT image, made by mkimage and read back by dumpimage."""

import gzip
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot.fit import Fit
from kinspect.artifacts.boot.image import ImageFacts
from kinspect.artifacts.boot.parts import BootContainer
from kinspect.artifacts.kinds import open_as
from kinspect.checks.check import Severity
from kinspect.cli import main
from kinspect.errors import KinspectError, WrongKindError
from tests.conftest import SAMPLE
from tests.toy_boot import boot_image
from tests.toy_dtb import Toy, toy

IMAGE = (SAMPLE / "Image").read_bytes()
DTB = (SAMPLE / "dtb" / "hello.dtb").read_bytes()
GZ = gzip.compress(IMAGE)
SOURCE = """/dts-v1/;
/ { description = "toy"; #address-cells = <1>;
  images {
    old { data = /incbin/("old"); type = "kernel"; arch = "arm64"; os = "linux"; compression = "none";
          load = <0x40200000>; entry = <0x40200000>; hash-1 { algo = "crc32"; }; };
    linux { data = /incbin/("Image.gz"); type = "kernel"; arch = "arm64"; os = "linux"; compression = "gzip";
            load = <0x40200000>; entry = <0x40200000>; hash-1 { algo = "sha256"; }; };
    board { data = /incbin/("a.dtb"); type = "flat_dt"; arch = "arm64"; compression = "none";
            hash-1 { algo = "sha1"; }; };
    initrd { data = /incbin/("ramdisk"); type = "ramdisk"; arch = "arm64"; os = "linux"; compression = "none";
             hash-1 { algo = "md5"; }; };
  };
  configurations { default = "new";
    first { kernel = "old"; };
    new { kernel = "linux"; fdt = "board"; ramdisk = "initrd"; };
  };
};
"""
PARTS = {"old": b"another kernel", "kernel": GZ, "dtb": DTB, "ramdisk": b"ramdisk!" * 9}


@pytest.fixture(params=[(), ("-E",)], ids=["inside", "behind"])
def fit(request: pytest.FixtureRequest, tmp_path: Path, tool: Callable[[str], str]) -> Path:
    """A FIT image with its data in the tree, or behind it."""
    for name, data in zip(("old", "Image.gz", "a.dtb", "ramdisk"), PARTS.values(), strict=True):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "k.its").write_text(SOURCE)
    command = [tool("mkimage"), *request.param, "-f", "k.its", "a.itb"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "a.itb"


def test_parts_are_the_very_bytes(fit: Path, tool: Callable[[str], str], tmp_path: Path) -> None:
    container = open_as(BootContainer, fit)
    assert isinstance(container, Fit)
    assert [(part.name, part.title) for part in container.parts] == [
        *(("old", "old"), ("kernel", "linux"), ("dtb", "board"), ("ramdisk", "initrd"))
    ]
    for number, (name, data) in enumerate(PARTS.items()):
        assert main(["unpack", "-q", str(fit), "--part", name, "-o", str(tmp_path / "out")]) == 0
        dumped = [tool("dumpimage"), "-T", "flat_dt", "-p", str(number), "-o", "theirs", str(fit)]
        subprocess.run(dumped, cwd=tmp_path, check=True, capture_output=True)
        assert (tmp_path / "out").read_bytes() == (tmp_path / "theirs").read_bytes() == data


def test_the_kernel_of_the_default_configuration_is_the_artifact(fit: Path, tmp_path: Path) -> None:
    report = kinspect.image(fit)
    assert report.findings == ()
    assert {"fit-hashes-match", "image-fits-image-size"} <= set(report.ran)
    assert main(["unpack", "-q", str(fit), "-o", str(tmp_path / "Image")]) == 0
    assert (tmp_path / "Image").read_bytes() == IMAGE
    assert kinspect.dtb(fit).facts[0].form == "FIT image"


def test_flipped_bytes_are_found_where_a_hash_covers_them(fit: Path) -> None:
    data, choose = fit.read_bytes(), random.Random(14)
    covered = [place for part in Fit(fit).parts for place in range(part.start, part.end)]
    for place in choose.sample(covered, 60):
        fit.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            findings = kinspect.image(fit).findings
        except KinspectError:
            findings = kinspect.dtb(fit).findings
        assert "fit-hashes-match" in {finding.id for finding in findings}, place


def test_a_kernel_that_cannot_be_opened_hides_no_finding(fit: Path) -> None:
    data = fit.read_bytes()
    place = data.index(GZ) + 100
    fit.write_bytes(data[:place] + b"\0" * 100 + data[place + 100 :])
    assert "fit-hashes-match" in {finding.id for finding in kinspect.check(fit).findings}
    with pytest.raises(KinspectError):
        kinspect.image(fit)


def test_as_the_kernel_of_another_container(fit: Path, tmp_path: Path) -> None:
    path = tmp_path / "boot.img"
    path.write_bytes(boot_image(0, fit.read_bytes()))
    report = kinspect.image(path)
    assert [layer.name for layer in report.facts_of(ImageFacts)[0].layers] == [
        "Android boot image v0",
        "FIT image",
        "gzip",
    ]
    assert report.findings == ()
    assert kinspect.check(path).exit_code == 0
    data = fit.read_bytes()
    path.write_bytes(boot_image(0, data.replace(b"ramdisk!", b"Ramdisk!")))
    for found in (kinspect.check(path), kinspect.image(path)):
        assert [one.id for one in found.findings if one.severity == Severity.ERROR] == ["fit-hashes-match"]


def test_without_a_kernel_it_stays_a_tree(tmp_path: Path) -> None:
    path = tmp_path / "u-boot.itb"
    firmware = Toy("firmware", [("data", b"abc"), ("type", b"firmware\0")])
    conf = Toy("conf", [("firmware", b"firmware\0")])
    path.write_bytes(toy(Toy("images", [], [firmware]), Toy("configurations", [("default", b"conf\0")], [conf])))
    assert isinstance(kinspect.open(path), kinspect.Dtb)
    with pytest.raises(WrongKindError, match="found a flattened device tree"):
        kinspect.image(path)
    assert [part.name for part in open_as(BootContainer, path).parts] == ["firmware"]
