"""What a device tree says of itself, and what it is for."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.dtb.blob import LONGEST_SHOWN, MOST_RESERVATIONS, Block, Dtb, DtbKind
from kinspect.artifacts.dtb.structure import LONGEST_TEXT
from kinspect.errors import MalformedError, TruncatedError, WrongKindError
from kinspect.inspection import dtb as inspection
from kinspect.schemas.fdt import ReserveEntry
from tests.conftest import SAMPLE
from tests.toy_dtb import END, END_NODE, Toy, begin, blob, cells, toy

HELLO, LAMP = SAMPLE / "dtb" / "hello.dtb", SAMPLE / "dtb" / "hello-lamp.dtbo"
FIT = """/dts-v1/;
/ {
	description = "a kernel and its tree";
	#address-cells = <1>;
	images {
		kernel { data = /incbin/("Image"); type = "kernel"; arch = "arm64"; os = "linux"; compression = "none";
			load = <0>; entry = <0>; hash { algo = "sha256"; }; };
		fdt { data = /incbin/("hello.dtb"); type = "flat_dt"; arch = "arm64"; compression = "none"; };
	};
	configurations { default = "hello"; hello { kernel = "kernel"; fdt = "fdt"; }; };
};
"""


def test_the_sample_says_what_it_is() -> None:
    facts = Dtb(HELLO).facts
    assert (facts.form, facts.model) == (DtbKind.TREE, "hello on QEMU's virt")
    assert facts.compatible == ("sample,hello-virt", "linux,dummy-virt")
    assert facts.reservations == (ReserveEntry(0x40000000, 0x1000),)
    source = (SAMPLE / "dtb" / "expected" / "hello.dtb.dts").read_text()
    assert facts.nodes == source.count("{")
    assert facts.properties == source.count(";\n") - source.count("};\n") - len(["/dts-v1/;", "/memreserve/"])
    assert facts.phandles == source.count("\tphandle = ")
    assert facts.levels == 3
    assert sum(block.size for block in facts.blocks) == facts.size == HELLO.stat().st_size


def test_an_overlay_is_one() -> None:
    facts = Dtb(LAMP).facts
    assert (facts.form, facts.model, facts.compatible) == (DtbKind.OVERLAY, None, ())


def test_an_overlay_that_is_applied_is_a_tree(tool: Callable[[str], str], tmp_path: Path) -> None:
    merged = tmp_path / "merged.dtb"
    subprocess.run([tool("fdtoverlay"), "-i", str(HELLO), "-o", str(merged), str(LAMP)], check=True)
    report = inspection.dtb(merged)
    assert report.ok
    assert [finding.id for finding in report.findings] == ["dtb-padding-is-zero"]
    dtb = Dtb(merged)
    assert dtb.form == DtbKind.TREE
    number = dtb.number_of("/soc/lamp")
    assert number is not None
    status = dtb.nodes[number].property("status")
    assert status is not None
    assert status.texts == ("okay",)


@pytest.mark.parametrize("outside", [False, True])
def test_a_fit_image_is_one(outside: bool, tool: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "fit.its").write_text(FIT)
    for path in (SAMPLE / "Image", HELLO):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    command = [tool("mkimage"), *["-E"] * outside, "-f", "fit.its", "fit.itb"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    report = kinspect.inspect(tmp_path / "fit.itb")
    assert (report.ok, report.findings) == (True, ())
    dtb = Dtb(tmp_path / "fit.itb")
    assert dtb.form == DtbKind.FIT
    assert (dtb.size > dtb.header.totalsize) == outside
    number = dtb.number_of("/images/kernel")
    assert number is not None
    data = dtb.nodes[number].property("data")
    assert (data is None) if outside else (data is not None and data.value == (SAMPLE / "Image").read_bytes())


def test_kinspect_knows_it() -> None:
    assert isinstance(kinspect.open(HELLO), kinspect.Dtb)
    report = kinspect.inspect(HELLO)
    assert report.ok
    assert len(report.ran) == 38
    assert report == inspection.dtb(HELLO)


def test_another_file_is_none() -> None:
    with pytest.raises(WrongKindError, match="expected a flattened device tree, found an arm64 Image"):
        inspection.dtb(SAMPLE / "Image")


def at(path: Path, data: bytes) -> Dtb:
    path.write_bytes(data)
    return Dtb(path)


def test_a_header_that_is_cut_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TruncatedError, match="expected 40 bytes, found 39"):
        at(tmp_path / "cut.dtb", HELLO.read_bytes()[:39]).facts  # noqa: B018
    assert at(tmp_path / "header.dtb", HELLO.read_bytes()[:40]).facts.nodes == 0


def test_a_broken_tree_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    dtb = at(tmp_path / "broken.dtb", blob(begin("") + begin("a") + END_NODE + cells(7) + END_NODE + END))
    assert [node.name for node in dtb.nodes] == ["", "a"]
    with pytest.raises(MalformedError, match="at 0x4c: unknown token"):
        dtb.tree  # noqa: B018


def test_values_are_texts_and_numbers(tmp_path: Path) -> None:
    values = [
        ("two", b"a\0b\0"),
        ("none", b"a"),
        ("cells", cells(1, 2)),
        ("odd", b"abcde"),
        ("long", bytes(LONGEST_TEXT + 1)),
    ]
    node = at(tmp_path / "values.dtb", toy(Toy("a", values))).nodes[1]
    assert [one.texts for one in node.properties] == [("a", "b"), (), (), (), ()]
    assert [one.cells for one in node.properties[:4]] == [(0x61006200,), (), (1, 2), ()]


def test_the_first_of_a_name_is_found(tmp_path: Path) -> None:
    two = [Toy("a@1", [("x", b"1"), ("x", b"2")]), Toy("a@2"), Toy("a@1")]
    dtb = at(tmp_path / "two.dtb", toy(*two))
    assert (dtb.number_of("/a"), dtb.number_of("/a@2"), dtb.number_of("/a@1"), dtb.number_of("/a@3")) == (1, 2, 1, None)
    found = dtb.nodes[1].property("x")
    assert found is not None
    assert found.value == b"1"


def test_an_alias_of_an_alias_leads_nowhere(tmp_path: Path) -> None:
    dtb = at(tmp_path / "alias.dtb", toy(Toy("aliases", [("a", b"b\0"), ("b", b"/c\0")]), Toy("c", [], [Toy("d")])))
    assert (dtb.number_of("a"), dtb.number_of("b"), dtb.number_of("b/d"), dtb.number_of("c")) == (None, 2, 3, None)


def test_a_long_path_is_shortened(tmp_path: Path) -> None:
    dtb = at(tmp_path / "long.dtb", toy(Toy("a" * 100, [], [Toy("b" * 100)])))
    path = dtb.path_of(dtb.nodes[2])
    assert path == f"...{'a' * (LONGEST_SHOWN - 101)}/{'b' * 100}"


def test_blocks_are_told_where_the_header_puts_them(tmp_path: Path) -> None:
    dtb = at(tmp_path / "lies.dtb", toy(off_dt_strings=0xFFFFFFFF, size_dt_strings=0xFFFFFFFF))
    assert dtb.blocks[3] == Block("strings", 0xFFFFFFFF, 0xFFFFFFFF)
    assert dtb.strings == b""


def test_reservations_are_read_to_the_last(tmp_path: Path) -> None:
    reserved = [ReserveEntry(index << 12, 1) for index in range(1000)]
    dtb = at(tmp_path / "many.dtb", toy(reserved=[*reserved, ReserveEntry(0, 0)]))
    assert dtb.reservations.entries == tuple(reserved)
    assert dtb.blocks[1].size == 16 * 1001
    dtb = at(tmp_path / "more.dtb", toy(reserved=[ReserveEntry(1, 1)] * (MOST_RESERVATIONS + 100)))
    assert len(dtb.reservations.entries) == MOST_RESERVATIONS
    assert dtb.reservations.last is None
