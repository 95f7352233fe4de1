"""DTBO images as mkdtboimg makes them are good, and their trees are judged; each fault gives its finding."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.cli import main
from kinspect.errors import KinspectError
from kinspect.inspection import unpack as unpacking
from tests.conftest import SAMPLE
from tests.support import optional_tool
from tests.toy_android import dtbo, hash_descriptor, vbmeta
from tests.toy_boot import avb_footer

DTB = (SAMPLE / "dtb" / "hello.dtb").read_bytes()
OVERLAY = (SAMPLE / "dtb" / "hello-lamp.dtbo").read_bytes()
BAD = DTB[:20] + struct.pack(">II", 99, 98) + DTB[28:]
CUT = {"dtb-is-whole", "dtb-property-names-lie-inside", "overlay-references-are-in-order"}
"""The findings on a tree that is cut."""
TWO = dtbo(OVERLAY, DTB)
PACKED = dtbo(OVERLAY, DTB, OVERLAY, version=1, flags=(0, 1, 2))


def patched(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + struct.pack(">I", value) + data[offset + 4 :]


FAULTS: dict[str, tuple[bytes, set[str]]] = {
    "two trees": (TWO, set()),
    "compressed trees": (PACKED, set()),
    "no tree": (dtbo(), set()),
    "a verified partition": (avb_footer(TWO, vbmeta(hash_descriptor(TWO)), 1 << 14), set()),
    "another header size": (patched(TWO, 8, 40), {"dtbo-table-is-sound"}),
    "another version": (patched(TWO, 28, 7), {"dtbo-table-is-sound"}),
    "a total size past the file": (patched(TWO, 4, len(TWO) + 1), {"dtbo-table-is-sound"}),
    "an entry past the total size": (patched(TWO, 4, len(TWO) - 1), {"dtbo-entries-are-device-trees"}),
    "another offset": (patched(TWO, 36, 100), {"dtbo-entries-are-device-trees", "parts-do-not-overlap"}),
    "padding behind a tree": (dtbo(OVERLAY, DTB + bytes(64)), {"dtb-ends-with-its-file"}),
    "another size": (patched(TWO, 32, len(OVERLAY) - 1), {"dtbo-entries-are-device-trees", *CUT}),
    "not compressed": (patched(PACKED, 48, 1), {"dtbo-entries-are-device-trees"}),
    "an unknown compression": (patched(PACKED, 48, 3), {"dtbo-entries-are-device-trees"}),
    "a bad tree": (dtbo(OVERLAY, BAD), {"dtb-version-is-17", "dtb-is-compatible-with-version-16"}),
    "bytes behind it": (TWO + b"more", {"nothing-follows-the-parts"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_its_findings_and_no_other(name: str, tmp_path: Path) -> None:
    data, expected = FAULTS[name]
    path = tmp_path / "dtbo.img"
    path.write_bytes(data)
    report = kinspect.check(path)
    assert {finding.id for finding in report.findings} == expected
    assert {finding.id for finding in unpacking.part_verdict(path).findings} == expected


def test_every_tree_is_listed_judged_and_unpacked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "dtbo.img", tmp_path / "out"
    path.write_bytes(dtbo(OVERLAY, BAD, OVERLAY))
    assert main(["unpack", "--list", str(path)]) == 1
    listed = capsys.readouterr().out
    assert "id 0x2, rev 0x0: hello on QEMU's virt (sample,hello-virt)" in listed
    assert f"{path}:dtb-2" in listed
    for name, data in (("dtb-1", OVERLAY), ("dtb-2", BAD), ("dtb-3", OVERLAY)):
        main(["unpack", "-q", str(path), "--part", name, "-o", str(out)])
        assert out.read_bytes() == data


def test_truncation_is_never_good(tmp_path: Path) -> None:
    path = tmp_path / "dtbo.img"
    for size in range(4, len(PACKED), 7):
        path.write_bytes(PACKED[:size])
        try:
            assert kinspect.check(path).exit_code
        except KinspectError:
            continue


@pytest.mark.parametrize("options", [(), ("--version=1", "--flags=1"), ("--version=1", "--flags=2")])
def test_images_of_the_real_tool(options: tuple[str, ...], tmp_path: Path, tool: Callable[[str], str]) -> None:
    mkdtboimg = optional_tool("mkdtboimg")
    for name, data in (("a.dtbo", OVERLAY), ("b.dtb", DTB)):
        (tmp_path / name).write_bytes(data)
    command = [mkdtboimg, "create", "dtbo.img", *options, "a.dtbo", "--id=7", "b.dtb", "--id=8"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    path = tmp_path / "dtbo.img"
    report = unpacking.parts(path)
    assert report.findings == ()
    assert [part.title for part in report.facts_of(kinspect.ContainerFacts)[0].parts] == [
        "id 0x7, rev 0x0",
        "id 0x8, rev 0x0",
    ]
    dump = [mkdtboimg, "dump", "dtbo.img", "-b", "theirs", "-o", "list"]
    subprocess.run(dump, cwd=tmp_path, check=True, capture_output=True)
    for number in (0, 1):
        assert main(["unpack", "-q", str(path), "--part", f"dtb-{number + 1}", "-o", str(tmp_path / "ours")]) == 0
        assert (tmp_path / "ours").read_bytes() == (tmp_path / f"theirs.{number}").read_bytes()
