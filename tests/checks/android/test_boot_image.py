"""Each check of an Android boot image fails when its fault is put in; mkbootimg says what is right."""

import gzip
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.android.boot_image import AndroidBoot, VendorBoot
from kinspect.artifacts.boot.parts import BootContainer
from kinspect.artifacts.kinds import open_as
from kinspect.cli import main
from kinspect.errors import KinspectError, MalformedError, WrongKindError
from kinspect.inspection import unpack as unpacking
from tests.conftest import SAMPLE
from tests.toy_boot import avb_footer, boot_id, boot_image, boot_image_v4, vendor_boot
from tests.toy_initramfs import Entry, archive

IMAGE = (SAMPLE / "Image").read_bytes()
DTB = (SAMPLE / "dtb" / "hello.dtb").read_bytes()
GZ = gzip.compress(IMAGE)
CPIO = gzip.compress(archive(Entry("init", b"#!/bin/sh\n")))
SECOND = archive(Entry("second", b"more"))
V2 = boot_image(2, GZ, CPIO, DTB)
VENDOR = vendor_boot([CPIO, SECOND], DTB, b"androidboot.hardware=toy\n")
ROWS = VENDOR.index(struct.pack("<3I", len(CPIO), 0, 0), 4096)


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


FAULTS: dict[str, tuple[bytes, set[str]]] = {
    "version 0": (boot_image(0, GZ, CPIO), set()),
    "version 1": (boot_image(1, GZ, CPIO, dtbo=DTB), set()),
    "version 2": (V2, set()),
    "version 2 with two trees": (boot_image(2, GZ, CPIO, DTB + DTB), set()),
    "version 3": (boot_image_v4(3, IMAGE, CPIO), set()),
    "version 4": (boot_image_v4(4, GZ, CPIO, b"signature"), set()),
    "init_boot": (boot_image_v4(4, b"", CPIO), set()),
    "vendor boot 3": (vendor_boot([CPIO], DTB, version=3), set()),
    "vendor boot 4": (VENDOR, set()),
    "a verified partition": (avb_footer(V2, b"AVB0" + bytes(300), 1 << 16), set()),
    "an id of zeros": (patched(V2, 576, bytes(32)), set()),
    "an id of another tool": (patched(V2, 576, b"\7" * 32), set()),
    "another id": (patched(V2, 576, b"\7"), {"boot-image-id-matches"}),
    "another offset": (
        patched(boot_image(1, GZ, CPIO, dtbo=DTB), 1636, struct.pack("<Q", 9000)),
        {"recovery-dtbo-is-at-its-offset"},
    ),
    "a ramdisk past its section": (
        patched(VENDOR, ROWS + 108, struct.pack("<I", 10_000)),
        {"vendor-ramdisks-are-inside-their-section"},
    ),
    "bytes behind it": (V2 + b"more", {"nothing-follows-the-parts"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_its_findings_and_no_other(name: str, tmp_path: Path) -> None:
    data, expected = FAULTS[name]
    path = tmp_path / "boot.img"
    path.write_bytes(data)
    assert {finding.id for finding in unpacking.part_verdict(path).findings} == expected
    report = kinspect.check(path)
    assert {finding.id for finding in report.findings} == expected
    assert report.exit_code == (1 if expected - {"nothing-follows-the-parts"} else 0)


def test_the_kernel_is_the_artifact(tmp_path: Path) -> None:
    path = tmp_path / "boot.img"
    for name in ("version 0", "version 1", "version 2", "version 3", "version 4", "a verified partition"):
        path.write_bytes(FAULTS[name][0])
        found = open_as(kinspect.Image, path)
        assert found.source.read(0, found.size) == IMAGE
        assert found.layers[0].name.startswith("Android boot image v")
    for name, kind in (("init_boot", "an Android boot image"), ("vendor boot 4", "an Android vendor boot image")):
        path.write_bytes(FAULTS[name][0])
        with pytest.raises(WrongKindError, match=f"expected an arm64 Image, found {kind}"):
            kinspect.image(path)


def test_a_tree_where_the_version_is(tmp_path: Path) -> None:
    """What vendors made before version 1: the size of a device tree takes the place of the version."""
    path = tmp_path / "boot.img"
    data = boot_image(0, GZ, CPIO) + DTB.ljust(2048, b"\0")
    data = patched(data, 40, struct.pack("<I", len(DTB)))
    path.write_bytes(patched(data, 576, boot_id(GZ, CPIO, b"", DTB)))
    assert kinspect.check(path).findings == ()
    assert AndroidBoot(path).part("dtb") is not None


def test_parts_are_the_very_bytes(tmp_path: Path) -> None:
    path, out = tmp_path / "boot.img", tmp_path / "out"
    made = {
        "version 1": {"kernel": GZ, "ramdisk": CPIO, "recovery_dtbo": DTB, "cmdline": b"console=ttyS0"},
        "version 2": {"kernel": GZ, "ramdisk": CPIO, "dtb": DTB, "extra_cmdline": b"quiet"},
        "version 4": {"kernel": GZ, "ramdisk": CPIO, "signature": b"signature", "cmdline": b"console=ttyS0"},
        "init_boot": {"ramdisk": CPIO},
        "vendor boot 4": {
            "ramdisk": CPIO + SECOND,
            "ramdisk-1": CPIO,
            "ramdisk-2": SECOND,
            "dtb": DTB,
            "bootconfig": b"androidboot.hardware=toy\n",
            "cmdline": b"androidboot.x=1",
        },
    }
    for name, parts in made.items():
        path.write_bytes(FAULTS[name][0])
        for part, data in parts.items():
            assert main(["unpack", "-q", str(path), "--part", part, "-o", str(out)]) == 0
            assert out.read_bytes() == data, (name, part)


def test_flipped_bytes_are_found_where_the_id_covers_them(tmp_path: Path) -> None:
    choose = random.Random(14)
    path = tmp_path / "boot.img"
    path.write_bytes(V2)
    covered = [place for part in AndroidBoot(path).paged_parts for place in range(part.start, part.end)]
    for place in choose.sample(covered, 200):
        path.write_bytes(patched(V2, place, bytes([V2[place] ^ 1])))
        found = unpacking.part_verdict(path)
        assert "boot-image-id-matches" in {finding.id for finding in found.findings}, place


@pytest.mark.parametrize("data", [V2, VENDOR, boot_image_v4(4, GZ, CPIO)], ids=["boot 2", "vendor", "boot 4"])
def test_a_cut_is_one_line(data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "boot.img"
    for size in (8, 12, 44, 100, 1600, 2100, 4096, 5000):
        path.write_bytes(data[:size])
        assert main(["check", str(path)]) == 2, size
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (patched(V2, 36, struct.pack("<I", 0)), "not a page size"),
        (patched(V2, 36, struct.pack("<I", 3000)), "not a page size"),
        (patched(VENDOR, 12, struct.pack("<I", 5)), "not a page size"),
        (patched(VENDOR, 8, struct.pack("<I", 9)), "unsupported version"),
        (patched(VENDOR, 2116, struct.pack("<I", 1 << 31)), "the entries do not fit the table"),
        (patched(VENDOR, 2120, struct.pack("<I", 0)), "the entries do not fit the table"),
        (patched(V2, 8, struct.pack("<I", 0xFFFFFFFF)), "the kernel ends past the end"),
    ],
)
def test_headers_that_make_no_sense(data: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "boot.img"
    path.write_bytes(data)
    with pytest.raises(KinspectError, match=problem):
        _ = open_as(BootContainer, path).parts
    assert kinspect.check(path).exit_code == 2


def test_a_tree_past_the_end(tmp_path: Path) -> None:
    path = tmp_path / "boot.img"
    path.write_bytes(patched(VENDOR, 2100, b"\xff" * 4))
    with pytest.raises(MalformedError):
        _ = VendorBoot(path).parts


def test_mkbootimg_and_unpack_bootimg_agree(tmp_path: Path, tool: Callable[[str], str]) -> None:
    files = {"kernel": GZ, "ramdisk": CPIO, "second": b"second", "dtb": DTB, "recovery_dtbo": DTB}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    for version, names, page in (
        (0, ("kernel", "ramdisk", "second"), 4096),
        (1, ("kernel", "ramdisk"), 2048),
        (2, ("kernel", "ramdisk", "second", "dtb"), 16384),
        (3, ("kernel", "ramdisk"), 4096),
    ):
        words = [word for name in names for word in (f"--{name}", name)]
        made = [tool("mkbootimg"), "--header_version", str(version), "--pagesize", str(page), "--cmdline", "a b"]
        subprocess.run([*made, *words, "-o", "boot.img"], cwd=tmp_path, check=True, capture_output=True)
        unpacked = [tool("unpack_bootimg"), "--boot_img", "boot.img", "--out", "out"]
        subprocess.run(unpacked, cwd=tmp_path, check=True, capture_output=True)
        assert kinspect.check(tmp_path / "boot.img").findings == ()
        container = open_as(BootContainer, tmp_path / "boot.img")
        assert {part.name for part in container.parts} == {"cmdline", *names}
        for name in names:
            part = container.part(name)
            assert part is not None
            found = container.source_of(part).read(0, part.size)
            assert found == (tmp_path / "out" / name).read_bytes() == files[name]
    vendor = ["--vendor_boot", "vendor.img", "--vendor_ramdisk", "ramdisk", "--dtb", "dtb"]
    command = [tool("mkbootimg"), "--header_version", "3", "--vendor_cmdline", "c", *vendor]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert kinspect.check(tmp_path / "vendor.img").findings == ()
    found_parts = {part.name: part.size for part in VendorBoot(tmp_path / "vendor.img").parts}
    assert found_parts == {"cmdline": 1, "ramdisk": len(CPIO), "dtb": len(DTB)}
