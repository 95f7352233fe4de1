"""Where the images of a FIT are loaded: apart, or one over the other."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.checks.check import Severity
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.record import parse_table, size_of
from tests import toy_fit
from tests.toy_fit import DEVICE_TREE, IMAGE, KERNEL, RAMDISK, source

HEADER = parse_table(ImageHeader, IMAGE[: size_of(ImageHeader)])[0]
END, BSS_END = KERNEL + len(IMAGE), KERNEL + HEADER.image_size
APART, ROOM, ENTRY = "fit-images-are-loaded-apart", "fit-kernel-has-room-for-its-bss", "fit-entry-is-in-the-kernel"
ELSEWHERE = {"kernel": KERNEL, "fdt": DEVICE_TREE, "ramdisk": RAMDISK}
CASES: dict[str, tuple[dict[str, int], int, set[str]]] = {
    "apart": (ELSEWHERE, KERNEL, set()),
    "no addresses": ({"kernel": KERNEL}, KERNEL, set()),
    "right behind .bss": (ELSEWHERE | {"fdt": BSS_END}, KERNEL, set()),
    "right before the kernel": (ELSEWHERE | {"ramdisk": KERNEL - 72}, KERNEL, set()),
    "a ramdisk in the kernel": (ELSEWHERE | {"ramdisk": END - 1}, KERNEL, {APART}),
    "a device tree behind the compressed kernel": (ELSEWHERE | {"fdt": KERNEL + 0x10000}, KERNEL, {APART}),
    "a device tree over the ramdisk": (ELSEWHERE | {"fdt": RAMDISK - 8}, KERNEL, {APART}),
    "a device tree in .bss": (ELSEWHERE | {"fdt": END}, KERNEL, {ROOM}),
    "a kernel that is moved over the ramdisk": (
        {"kernel": KERNEL - 0x100000, "fdt": DEVICE_TREE, "ramdisk": KERNEL},
        KERNEL - 0x100000,
        {APART},
    ),
    "another entry": (ELSEWHERE, END, {ENTRY}),
}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_what_overlaps_is_named(name: str, packed: bool, tmp_path: Path, tool: Callable[[str], str]) -> None:
    loads, entry, expected = CASES[name]
    path = toy_fit.made(tmp_path, tool, source(loads, entry=entry, packed=packed))
    for report in (kinspect.check(path), kinspect.dtb(path)):
        assert {found.id for found in report.findings if found.severity != Severity.INFO} == expected


def test_the_message_names_both(tmp_path: Path, tool: Callable[[str], str]) -> None:
    path = toy_fit.made(tmp_path, tool, source(ELSEWHERE | {"fdt": KERNEL + 0x10000}))
    (found,) = [one.evidence for one in kinspect.dtb(path).findings if one.id == APART]
    assert str(found) == "kernel and fdt overlap in memory: found 0x40210000 to 0x402107c6"
    assert [place.part for place in found.at] == ["/images/kernel load", "/images/fdt load"]


@pytest.mark.parametrize(
    ("named", "packed", "faulty"),
    [("gzip", True, False), ("gzip", False, True), ("lz4", True, True), ("lzma", True, True), ("none", True, False)],
)
def test_the_compression_is_that_of_the_node(
    named: str, packed: bool, faulty: bool, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    text = source(packed=packed)
    kernel = text.index('compression = "')
    text = text[:kernel] + re.sub('"[a-z]+"', f'"{named}"', text[kernel:], count=1)
    path = toy_fit.made(tmp_path, tool, text)
    found = {one.id for one in kinspect.dtb(path).findings if one.severity == Severity.ERROR}
    assert found == ({"fit-compression-is-right"} if faulty else set())
