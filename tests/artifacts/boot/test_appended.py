"""Device trees behind a kernel or another tree: each is named, judged and unpacked."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.checks.check import Severity
from kinspect.cli import main
from kinspect.errors import WrongKindError
from kinspect.inspection import unpack as unpacking
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.record import offsets
from tests.conftest import SAMPLE
from tests.toy_boot import boot_image
from tests.toy_zboot import squeezed

IMAGE = (SAMPLE / "Image").read_bytes()
DTB = (SAMPLE / "dtb" / "hello.dtb").read_bytes()
OVERLAY = (SAMPLE / "dtb" / "hello-lamp.dtbo").read_bytes()
BAD = DTB[:20] + struct.pack(">II", 99, 98) + DTB[28:]
AT = offsets(ImageHeader)["res5"]
PLAIN = b"\x1f\x20\x03\xd5" + IMAGE[4:AT] + bytes(4) + IMAGE[AT + 4 :]
"""Without a PE header."""
KERNELS = {
    "Image-dtb": IMAGE,
    "plain Image-dtb": PLAIN,
    "Image.gz-dtb": squeezed(IMAGE, "gzip"),
    "Image.lz4-dtb": squeezed(IMAGE, "lz4"),
    "Image.lz4-dtb with its size": squeezed(IMAGE, "lz4") + struct.pack("<I", len(IMAGE)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_every_tree_is_judged_and_every_byte_unpacked(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "kernel", tmp_path / "out"
    path.write_bytes(KERNELS[name] + DTB + BAD + OVERLAY)
    for report in (kinspect.check(path), kinspect.image(path), unpacking.parts(path), kinspect.inspect(path)):
        wrong = {one.evidence.at[0].path for one in report.findings if one.severity == Severity.ERROR}
        assert wrong - {str(path)} == {f"{path}:dtb-2"}
    main(["unpack", "--list", str(path)])
    assert "dtb-3" in capsys.readouterr().out
    parts = {"kernel": KERNELS[name], "dtb": DTB + BAD + OVERLAY, "dtb-1": DTB, "dtb-2": BAD, "dtb-3": OVERLAY}
    for part, data in parts.items():
        main(["unpack", "-q", str(path), "--part", part, "-o", str(out)])
        assert out.read_bytes() == data


def test_dtc_reads_what_is_unpacked(tmp_path: Path, tool: Callable[[str], str]) -> None:
    path, out = tmp_path / "Image.gz-dtb", tmp_path / "a.dtb"
    path.write_bytes(KERNELS["Image.gz-dtb"] + DTB)
    assert main(["unpack", "-q", str(path), "--part", "dtb", "-o", str(out)]) == 0
    said = subprocess.run([tool("dtc"), "-I", "dtb", "-O", "dts", str(out)], check=True, capture_output=True)
    assert b"hello on QEMU's virt" in said.stdout


def test_trees_behind_the_kernel_of_a_container(tmp_path: Path) -> None:
    path = tmp_path / "boot.img"
    for kernel in (IMAGE, squeezed(IMAGE, "gzip")):
        path.write_bytes(boot_image(0, kernel + DTB + BAD))
        for report in (kinspect.check(path), kinspect.image(path)):
            assert f"{path}:dtb-2" in {one.evidence.at[0].path for one in report.findings}


def test_joined_trees(tmp_path: Path) -> None:
    path = tmp_path / "all.dtb"
    path.write_bytes(DTB + OVERLAY + BAD)
    for report in (kinspect.check(path), kinspect.dtb(path), unpacking.parts(path)):
        wrong = {one.evidence.at[0].path for one in report.findings if one.severity == Severity.ERROR}
        assert wrong == {f"{path}:dtb-3"}
    assert main(["unpack", "-q", str(path), "--part", "dtb-2", "-o", str(tmp_path / "out")]) == 1
    assert (tmp_path / "out").read_bytes() == OVERLAY


@pytest.mark.parametrize("data", [IMAGE, squeezed(IMAGE, "gzip"), DTB], ids=["Image", "Image.gz", "dtb"])
def test_without_trees_there_are_no_parts(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(data)
    with pytest.raises(WrongKindError, match="expected a container of a boot loader"):
        unpacking.parts(path)
