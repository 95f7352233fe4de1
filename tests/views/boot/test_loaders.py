"""Which boot loaders take a kernel, by the form of the file."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.kinds import open_as
from kinspect.cli import main
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.record import build, parse
from kinspect.views.boot.loaders import loader_verdicts
from tests.conftest import SAMPLE
from tests.support import on_a_terminal
from tests.toy_boot import boot_image, boot_image_v4, uimage, uimage_of_files
from tests.toy_uki import uki
from tests.toy_zboot import compressed, squeezed, zboot

IMAGE = (SAMPLE / "Image").read_bytes()
HEADER = parse(ImageHeader, IMAGE[:64])
GZ = gzip.compress(IMAGE)
EFI = ("EFI firmware", "systemd-boot")
VMMS = ("Firecracker", "cloud-hypervisor")


def with_header(**fields: Any) -> bytes:
    return build(HEADER._replace(**fields)) + IMAGE[64:]


def answers(data: bytes, folder: Path) -> dict[str, tuple[str, str]]:
    path = folder / "kernel"
    path.write_bytes(data)
    return {one.loader: (one.takes, one.note) for one in loader_verdicts(open_as(Image, str(path)))}


def takers(data: bytes, folder: Path) -> set[str]:
    """Those that take it, with `?` where a condition must hold."""
    found = answers(data, folder)
    return {name + "?" * (takes == "if") for name, (takes, _) in found.items() if takes != "no"}


PLAIN = {"U-Boot booti", *EFI, "GRUB", "Raspberry Pi firmware", "QEMU -kernel", *VMMS, "crosvm"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(lambda: IMAGE, PLAIN, id="Image"),
        pytest.param(lambda: with_header(text_offset=0x80000, flags=2), PLAIN, id="text_offset of 4.x"),
        pytest.param(lambda: with_header(flags=0xC), PLAIN, id="16K pages"),
        pytest.param(lambda: with_header(flags=0xE), PLAIN, id="64K pages"),
        pytest.param(lambda: with_header(code0=0xD503201F, res5=0), PLAIN - {*EFI, "GRUB"}, id="no PE"),
        pytest.param(lambda: with_header(flags=0xB), PLAIN - {"crosvm"}, id="big-endian"),
        pytest.param(lambda: GZ, {"U-Boot booti?", "GRUB?", "Raspberry Pi firmware", "QEMU -kernel"}, id="gzip"),
        pytest.param(lambda: squeezed(IMAGE, "lz4"), {"crosvm"}, id="legacy lz4"),
        pytest.param(lambda: squeezed(IMAGE, "xz"), {"GRUB?"}, id="xz"),
        pytest.param(lambda: squeezed(IMAGE, "lzma"), {"U-Boot booti?"}, id="lzma"),
        pytest.param(lambda: squeezed(IMAGE, "bzip2"), {"U-Boot booti?"}, id="bzip2"),
        pytest.param(lambda: zboot(GZ, "gzip"), {*EFI, "GRUB?", "QEMU -kernel?"}, id="zboot of gzip"),
        pytest.param(lambda: zboot(squeezed(IMAGE, "xz"), "xzkern", len(IMAGE)), {*EFI, "GRUB?"}, id="zboot of xz"),
        pytest.param(lambda: gzip.compress(zboot(GZ, "gzip")), {"GRUB?"}, id="zboot in gzip"),
        pytest.param(lambda: uki((".linux", IMAGE)), {*EFI, "GRUB?"}, id="UKI"),
        pytest.param(lambda: uimage(IMAGE), {"U-Boot bootm", "QEMU -kernel?"}, id="uImage"),
        pytest.param(lambda: uimage(GZ, ih_comp=1), {"U-Boot bootm", "QEMU -kernel?"}, id="uImage of gzip"),
        pytest.param(lambda: uimage(GZ), set(), id="uImage of gzip under -C none"),
        pytest.param(lambda: uimage(IMAGE, ih_comp=1), set(), id="uImage of an Image under -C gzip"),
        pytest.param(lambda: uimage(squeezed(IMAGE, "lz4"), ih_comp=5), set(), id="uImage of legacy lz4"),
        pytest.param(lambda: uimage(gzip.compress(zboot(GZ, "gzip")), ih_comp=1), set(), id="uImage of zboot in gzip"),
        pytest.param(lambda: uimage(squeezed(IMAGE, "lzma"), ih_comp=3), {"U-Boot bootm?"}, id="uImage of lzma"),
        pytest.param(lambda: uimage(IMAGE, ih_arch=2), {"QEMU -kernel?"}, id="uImage for arm"),
        pytest.param(lambda: uimage(zboot(GZ, "gzip")), set(), id="uImage of zboot"),
        pytest.param(lambda: uimage_of_files(IMAGE, b"r" * 64), {"U-Boot bootm"}, id="uImage of files"),
        pytest.param(lambda: boot_image(2, GZ), {"U-Boot bootm?", "Android bootloaders?"}, id="boot.img v2"),
        pytest.param(lambda: boot_image_v4(4, IMAGE), {"U-Boot bootm?", "Android bootloaders?"}, id="boot.img v4"),
    ],
)
def test_who_takes_it(data: Callable[[], bytes], expected: set[str], tmp_path: Path) -> None:
    assert takers(data(), tmp_path) == expected


def test_lz4_of_today(tool: Callable[[str], str], tmp_path: Path) -> None:
    assert takers(compressed(IMAGE, "lz4 frame", tool), tmp_path) == {"U-Boot booti?", "crosvm"}


def test_each_no_has_a_reason(tmp_path: Path) -> None:
    for data in (IMAGE, GZ, zboot(GZ, "gzip"), uimage(IMAGE), boot_image(0, IMAGE)):
        for name, (takes, note) in answers(data, tmp_path).items():
            assert bool(note) == (takes != "yes"), name


def test_image_without_its_size(tmp_path: Path) -> None:
    """U-Boot moves 16 MiB of it."""
    small = with_header(image_size=0, text_offset=0)
    assert answers(small, tmp_path)["U-Boot booti"][0] == "yes"
    takes, note = answers(small.ljust((16 << 20) + 1, b"\0"), tmp_path)["U-Boot booti"]
    assert takes == "if"
    assert "16 MiB" in note


def test_ten_lines_on_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "Image.gz"
    path.write_bytes(GZ)
    _, text = on_a_terminal([".venv/bin/kinspect", "image", str(path)])
    lines = text.replace("\r", "").split("\n")
    start = next(number for number, line in enumerate(lines) if "boots with" in line)
    block = lines[start : lines.index("", start)]
    assert len(block) <= 10
    assert max(map(len, block)) <= 80


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", str(SAMPLE / "Image"), "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)["facts"]
    assert {one["loader"] for one in facts["loaders"] if one["takes"] == "yes"} == PLAIN
