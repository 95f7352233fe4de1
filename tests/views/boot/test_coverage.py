"""What is said to be covered in a container is covered: a byte flipped there is found, at a thousand places."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot.parts import BootContainer
from kinspect.artifacts.kinds import open_as
from kinspect.errors import KinspectError
from kinspect.inspection import unpack as unpacking
from kinspect.inspection.report import Report
from kinspect.reports.verdict import verdict
from kinspect.views.boot.coverage import CoverageFacts, coverage
from kinspect.views.signing.verification import EXTRA, can_verify
from tests import toy_fit
from tests.checks.boot.test_signature import signed
from tests.checks.signing.test_fit import certificate
from tests.conftest import missing
from tests.load.modules import new_key
from tests.toy_android import hash_descriptor, vbmeta
from tests.toy_boot import avb_footer, boot_image, boot_image_v4, uimage
from tests.toy_fit import PARTS, source
from tests.toy_uki import uki

Tool = Callable[[str], str]
IMAGE, GZ, DTB = PARTS["Image"], PARTS["Image.gz"], PARTS["a.dtb"]
BOOT = boot_image(2, GZ, b"ramdisk", DTB)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "container"


def spans(facts: CoverageFacts) -> list[tuple[int, int]]:
    """The ranges that are not covered."""
    return [(one.offset, one.offset + one.size) for one in facts.uncovered]


def swept(path: Path, facts: CoverageFacts, inspect: Callable[[Path], Report], places: Iterable[int]) -> int:
    """How many flipped bytes are found: all that are covered, and perhaps others."""
    data, uncovered, found = path.read_bytes(), spans(facts), 0
    for place in places:
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            status = inspect(path).exit_code
        except KinspectError:
            status = 2
        found += bool(status)
        assert status or any(start <= place < end for start, end in uncovered), f"{place:#x}"
    path.write_bytes(data)
    return found


def sweep(path: Path, inspect: Callable[[Path], Report] = unpacking.part_verdict) -> float:
    """The share of a thousand flipped bytes that are found."""
    assert inspect(path).exit_code == 0
    facts = coverage(open_as(BootContainer, path))
    assert facts.covered + sum(one.size for one in facts.uncovered) == path.stat().st_size
    places = random.Random(14).choices(range(path.stat().st_size), k=1000)
    return swept(path, facts, inspect, places) / len(places)


@pytest.mark.parametrize("options", [(), ("-E",)], ids=["inside", "behind"])
def test_fit(options: tuple[str, ...], tmp_path: Path, tool: Tool) -> None:
    assert sweep(toy_fit.made(tmp_path, tool, source(), *options), kinspect.dtb) > 0.7


def test_fit_with_a_signature(tmp_path: Path, tool: Tool) -> None:
    if not can_verify():
        missing("cryptography", f"the extra {EXTRA} brings it")
    own = certificate(tmp_path, "dev")
    path = toy_fit.made(tmp_path, tool, source(signed="sha256,rsa2048"), "-k", ".", "-r")
    report = kinspect.image(path, (own,))
    (facts,) = report.facts_of(CoverageFacts)
    assert facts.covered > coverage(open_as(BootContainer, path)).covered
    # A configuration that is not the default one would be found by U-Boot; half the places are of data.
    places = random.Random(14).choices([at for start, end in _covered(facts) for at in range(start, end)], k=150)
    assert swept(path, facts, lambda one: kinspect.image(one, (own,)), places) == len(places)


def _covered(facts: CoverageFacts) -> list[tuple[int, int]]:
    found, at = [], 0
    for start, end in (*spans(facts), (facts.size, facts.size)):
        found.append((at, start))
        at = end
    return found


def test_uimage(path: Path) -> None:
    path.write_bytes(uimage(GZ, ih_comp=1))
    assert sweep(path) == 1


def test_boot_image(path: Path) -> None:
    path.write_bytes(BOOT)
    assert 0.4 < sweep(path) < 1


def test_verified_boot_image(path: Path) -> None:
    size = -(-len(BOOT) // 4096) * 4096 + 8192
    path.write_bytes(avb_footer(BOOT, vbmeta(hash_descriptor(BOOT)), size))
    assert sweep(path) > len(BOOT) / size - 0.05


def test_signed_uki(path: Path, tmp_path: Path, tool: Tool) -> None:
    if not can_verify():
        missing("cryptography", f"the extra {EXTRA} brings it")
    path.write_bytes(uki((".cmdline", b"quiet"), (".linux", GZ), (".sbat", b"sbat,1")))
    whole = signed(tool, new_key(tmp_path, "key"), path, tmp_path / "signed.efi")
    last = coverage(open_as(BootContainer, whole)).uncovered[-1]
    assert (last.name, last.offset + last.size) == ("signature", whole.stat().st_size)
    assert str(verdict(unpacking.parts(whole))).endswith("; 12 bytes not covered by a hash")
    assert sweep(whole, _judged) > 0.8


def _judged(path: Path) -> Report:
    """Without what is wrong in the toy itself: its kernel is compressed."""
    report = unpacking.part_verdict(path)
    return report.replaced(findings=tuple(one for one in report.findings if one.id != "uki-kernel-is-an-efi-program"))


def test_what_is_not_covered_is_said(path: Path) -> None:
    path.write_bytes(boot_image_v4(3, GZ, b"ramdisk"))
    report = unpacking.parts(path)
    (facts,) = report.facts_of(CoverageFacts)
    assert facts.covered == 0
    names = [one.name for one in facts.uncovered]
    assert names == ["header", "cmdline", "padding", "kernel", "padding", "ramdisk", "padding"]
    assert str(verdict(report)).endswith("; not covered by any hash")
    path.write_bytes(BOOT)
    report = unpacking.parts(path)
    said = sum(one.size for one in report.facts_of(CoverageFacts)[0].uncovered if one.name != "padding")
    assert str(verdict(report)).endswith(f"; {said:,} bytes not covered by a hash")
    path.write_bytes(uimage(GZ, ih_comp=1))
    assert str(verdict(unpacking.parts(path))).endswith("nothing wrong")
