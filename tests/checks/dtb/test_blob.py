"""Every check of device trees: what it lets pass, and what it finds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.dtb.blob import Dtb
from kinspect.checks.check import MOST, Severity
from kinspect.inspection.report import Report, checks_of, run_checks
from kinspect.schemas.fdt import FdtHeader, ReserveEntry
from kinspect.schemas.record import offsets, size_of
from tests.conftest import SAMPLE
from tests.toy_dtb import END, END_NODE, ROOT, Toy, aligned, begin, blob, cells, prop, toy

TOPICS = ("dtb.blob", "dtb.structure", "dtb.tree")
Judge = Callable[[bytes], Report]
LAST = ReserveEntry(0, 0)
NODE = begin("") + END_NODE + END


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """The report on the bytes of a device tree."""

    def judged_bytes(data: bytes) -> Report:
        path = tmp_path / "toy.dtb"
        path.write_bytes(data)
        return run_checks((Dtb(path),), *TOPICS)

    return judged_bytes


def found(report: Report) -> set[str]:
    return {finding.id for finding in report.findings}


def texts(report: Report, check: str) -> list[str]:
    return [f"{finding.evidence}" for finding in report.findings if finding.id == check]


def shift(data: bytes, offset: int, value: bytes) -> bytes:
    """The bytes with others at an offset."""
    return data[:offset] + value + data[offset + len(value) :]


def phandle(number: int, *more: tuple[str, bytes]) -> list[tuple[str, bytes]]:
    return [("phandle", cells(number)), *more]


CLOCK = Toy("clock", phandle(1, ("#clock-cells", cells(1))))


def test_a_good_tree_passes_every_check(judge: Judge) -> None:
    data = toy(
        Toy("aliases", [("serial0", b"/soc/uart@1\0")]),
        Toy("cpus", [], [Toy("cpu@0", [("reg", cells(0))])]),
        CLOCK,
        Toy("soc", [("interrupt-parent", cells(1))], [Toy("uart@1", [("clocks", cells(1, 7, 0, 1, 8))])]),
        reserved=(ReserveEntry(0x1000, 0x1000), ReserveEntry(0x2000, 1), LAST),
    )
    report = judge(data)
    assert report.findings == ()
    assert len(report.ran) == len(checks_of(*TOPICS)) == 30


@pytest.mark.parametrize("name", ["hello.dtb", "hello-lamp.dtbo"])
def test_the_sample_passes_every_check(name: str) -> None:
    report = run_checks((Dtb(SAMPLE / "dtb" / name),), *TOPICS)
    assert (report.findings, len(report.ran)) == ((), 30)


PLAIN = toy(CLOCK)
STRUCTURE = size_of(FdtHeader) + size_of(ReserveEntry)
BROKEN = {
    "dtb-is-whole": PLAIN[:-1],
    "dtb-ends-with-its-file": PLAIN + bytes(8),
    "dtb-fits-the-kernel": toy(Toy("node", [("value", bytes(2 << 20))])),
    "dtb-version-is-17": toy(version=18),
    "dtb-is-compatible-with-version-16": toy(last_comp_version=17),
    "dtb-blocks-lie-inside": toy(size_dt_strings=0x1000),
    "dtb-blocks-do-not-overlap": blob(NODE, size_dt_strings=4, off_dt_strings=STRUCTURE),
    "dtb-blocks-are-in-order": blob(
        bytes(4) + NODE, off_dt_strings=STRUCTURE, off_dt_struct=STRUCTURE + 4, size_dt_struct=len(NODE)
    ),
    "dtb-blocks-are-aligned": blob(b"\0" + NODE, off_dt_struct=STRUCTURE + 1, size_dt_struct=len(NODE)),
    "dtb-reservations-end": toy(reserved=[ReserveEntry(0x1000, 0x1000), ReserveEntry(5, 0)]),
    "dtb-reservations-do-not-overlap": toy(reserved=[ReserveEntry(0x1000, 0x1001), ReserveEntry(0x2000, 1), LAST]),
    "dtb-tokens-are-known": blob(begin("") + cells(5) + END_NODE + END),
    "dtb-nodes-nest": blob(begin("") + begin("a") + END_NODE + END),
    "dtb-nesting-fits-the-kernel": blob(begin("") + begin("n") * 63 + END_NODE * 64 + END),
    "dtb-values-lie-inside": blob(begin("") + prop(0, b"1234")[:-4] + END_NODE + END, b"a\0", size_dt_struct=20),
    "dtb-property-names-lie-inside": blob(begin("") + prop(2, b"") + END_NODE + END, b"a\0"),
    "dtb-properties-precede-nodes": blob(begin("") + begin("a") + END_NODE + prop(0, b"") + END_NODE + END, b"a\0"),
    "dtb-padding-is-zero": blob(begin("") + prop(0, b"1")[:-3] + b"\0\1\0" + END_NODE + END, b"a\0"),
    "dtb-structure-ends-with-its-block": blob(NODE + cells(0)),
    "dtb-node-names-are-valid": toy(Toy("a b")),
    "dtb-nodes-have-more-than-an-address": toy(Toy("@1")),
    "dtb-property-names-are-valid": toy(Toy("a", [("a b", b"")])),
    "dtb-names-are-short": toy(Toy("a" * 32)),
    "dtb-names-are-unique": toy(Toy("a"), Toy("b"), Toy("a")),
    "dtb-root-says-what-it-is": toy(root=ROOT[1:]),
    "dtb-boot-cpu-is-there": toy(Toy("cpus", [], [Toy("cpu@0", [("reg", cells(0))])]), boot_cpuid_phys=1),
    "dtb-phandles-are-numbers": toy(Toy("a", [("phandle", cells(0))])),
    "dtb-phandles-are-unique": toy(CLOCK, Toy("a", phandle(1))),
    "dtb-references-lead-to-nodes": toy(CLOCK, Toy("a", [("clocks", cells(2, 0))])),
    "dtb-aliases-lead-to-nodes": toy(Toy("aliases", [("a", b"/b\0")])),
}
TOGETHER = {
    "dtb-is-whole": {"dtb-property-names-lie-inside"},
}
"""What one fault also breaks."""


def test_every_check_is_tried() -> None:
    assert set(BROKEN) == {check.id for check in checks_of(*TOPICS)}


@pytest.mark.parametrize("check", BROKEN)
def test_a_check_finds_what_it_is_for(check: str, judge: Judge) -> None:
    report = judge(BROKEN[check])
    others = found(report) - {check, "dtb-root-says-what-it-is"} - TOGETHER.get(check, set())
    assert check in found(report)
    assert others == set()
    assert all(finding.severity != Severity.UNDECIDED for finding in report.findings)


SAID = {
    "a whole entry has an address": (
        BROKEN["dtb-reservations-end"],
        "the address of the last memory reservation is not 0: expected 0, found 0x5",
    ),
    "no last entry": (
        toy(reserved=[ReserveEntry(1, 1)], off_dt_struct=0x100),
        "the memory reservations have no last entry",
    ),
    "around the end of memory": (
        toy(reserved=[ReserveEntry((1 << 64) - 1, 2), LAST]),
        "the reserved region at 0xffffffffffffffff extends past 64 bits",
    ),
    "in the header": (
        toy(off_mem_rsvmap=32),
        "the reservations block lies in the header: expected from 0x28 on, found 0x20",
    ),
    "nothing": (blob(END), "FDT_END before any node"),
    "no end": (blob(begin("") + END_NODE), "the structure ends without FDT_END"),
    "two roots": (blob(begin("") + END_NODE + NODE), "a second root"),
    "an end too much": (blob(begin("") + END_NODE + END_NODE + END), "FDT_END_NODE without a node"),
    "a property before the root": (blob(prop(0, b"") + NODE, b"a\0"), "a property outside of any node"),
    "deeper than read": (
        blob(begin("") + begin("n") * 1024),
        "nodes are nested too deeply: expected at most 1,024 levels",
    ),
    "a name without an end": (blob(begin("") + cells(1) + b"name"), "a node's name is not terminated"),
    "a property cut": (blob(begin("") + cells(3, 0)), "a property is cut off"),
    "a value too long": (
        blob(begin("") + cells(3, 0xFFFFFFFF, 0) + END_NODE + END),
        "a property's value goes past the end: expected at most 8, found 4,294,967,295 (0xffffffff)",
    ),
    "a long name": (
        blob(begin("") + prop(0, b"") + END_NODE + END, b"a" * 256 + b"\0"),
        "a property's name is not terminated: expected at most 255 bytes",
    ),
    "the root's name": (blob(begin("root") + END_NODE + END), "the root has the name root"),
    "a second property": (
        toy(Toy("a", [("b", b""), ("b", b"1")])),
        "second property b",
    ),
    "long names": (
        toy(Toy("a" * 32), Toy("b" * 33)),
        "2 node names are longer than 31 characters, up to 33",
    ),
    "a phandle of two": (
        toy(Toy("a", [("phandle", cells(1, 2))])),
        "a phandle is not 4 bytes long",
    ),
    "no clock": (
        toy(Toy("x", phandle(1)), Toy("a", [("clocks", cells(1))])),
        "cell 0 refers to x, which has no #clock-cells",
    ),
    "too few numbers": (toy(CLOCK, Toy("a", [("clocks", cells(1))])), "too few cells: expected 2, found 1"),
    "no numbers": (
        toy(CLOCK, Toy("a", [("reset-gpios", b"12345")])),
        "not a list of cells: expected a multiple of 4 bytes, found 5",
    ),
    "an interrupt parent": (toy(Toy("a", [("interrupt-parent", cells(9))])), "no node has this phandle: found 0x9"),
    "half an interrupt parent": (
        toy(Toy("a", [("interrupt-parent", b"12")])),
        "not a phandle: expected 4 bytes, found 2",
    ),
    "an alias in numbers": (
        toy(Toy("aliases", [("a", cells(1))])),
        "the alias leads to no node: expected the path of a node, found no text",
    ),
    "padding": (BROKEN["dtb-padding-is-zero"], "padding is not zero in 1 place: expected 00 00 00, found 00 01 00"),
}


@pytest.mark.parametrize("case", SAID)
def test_messages(case: str, judge: Judge) -> None:
    data, said = SAID[case]
    assert said in [str(finding.evidence) for finding in judge(data).findings]


NOT_SAID = {
    "an overlay's references": toy(Toy("a", [("clocks", cells(7, 0))], [Toy("__overlay__")])),
    "an overlay's root": toy(Toy("a", [], [Toy("__overlay__")]), root=()),
    "files behind a FIT image": toy(Toy("images"), Toy("configurations"), root=()) + bytes(4096),
    "a hog": toy(Toy("a", [("gpio-hog", b""), ("gpios", cells(4, 0))])),
    "no gpio": toy(Toy("a", [("vendor,nr-gpios", cells(44))])),
    "labels": toy(Toy("__symbols__", [("gpio", b"/somewhere\0")])),
    "no reference": toy(CLOCK, Toy("a", [("clocks", cells(0, 0xFFFFFFFF, 1, 5))])),
    "msi without cells": toy(Toy("x", phandle(1)), Toy("a", [("msi-parent", cells(1))])),
    "a removed property": blob(begin("") + cells(4) * 3 + END_NODE + END),
    "an alias' phandle": toy(Toy("aliases", phandle(9))),
}


@pytest.mark.parametrize("case", NOT_SAID)
def test_what_is_good(case: str, judge: Judge) -> None:
    assert found(judge(NOT_SAID[case])) <= {"dtb-root-says-what-it-is"}
    if "root" in case or "FIT" in case:
        assert found(judge(NOT_SAID[case])) == set()


def test_a_finding_has_its_place(judge: Judge) -> None:
    (finding,) = judge(toy(Toy("soc", [], [CLOCK, Toy("a@1", [("clocks", cells(2))])]))).findings
    (at,) = finding.evidence.at
    assert at.part == "/soc/a@1 clocks"
    assert at.offset
    (finding,) = judge(toy(version=18)).findings
    assert finding.evidence.at[0][1:3] == ("version", offsets(FdtHeader)["version"])


def test_only_the_first_of_many_are_named(judge: Judge) -> None:
    report = judge(blob(begin("") + begin("") + END_NODE + prop(9, b"") * 100 + END_NODE + END))
    for check in ("dtb-property-names-lie-inside", "dtb-properties-precede-nodes"):
        assert len(texts(report, check)) == MOST + 1
        assert texts(report, check)[-1] == "and 80 more such places"
    report = judge(toy(*[Toy("!")] * 100))
    assert texts(report, "dtb-node-names-are-valid")[-1] == "and 80 more such nodes"
    assert texts(report, "dtb-names-are-unique")[-1] == "and 79 more such names"


def test_alignment_keeps_lengths() -> None:
    assert [len(aligned(bytes(size))) for size in range(6)] == [0, 4, 4, 4, 4, 8]


def test_the_templates_of_binman_pass(judge: Judge) -> None:
    """`binman.dtsi` of many boards ends up in the device tree that U-Boot itself uses."""
    images = Toy("images", [], [Toy("@fdt-SEQ", [("type", b"flat_dt\0")])])
    data = toy(Toy("binman", [], [Toy("fit", [], [images])]), Toy("soc", [], [Toy("@fdt-SEQ")]))
    report = judge(data)
    assert found(report) == {"dtb-nodes-have-more-than-an-address"}
    assert [str(finding.evidence.at[0]).split()[1] for finding in report.findings] == ["/soc/@fdt-SEQ"]


@pytest.mark.parametrize(
    "nodes",
    [
        [Toy("fragment@0", [], [Toy("__dormant__", [("interrupt-parent", cells(0xFFFFFFFF))])])],
        [Toy("fragment@0", [("target", cells(0xFFFFFFFF))]), Toy("__fixups__", [("uart", b"/fragment@0:target:0\0")])],
    ],
)
def test_what_has_no_active_fragment_is_an_overlay_too(judge: Judge, nodes: list[Toy]) -> None:
    assert found(judge(toy(*nodes, root=[("compatible", b"toy\0")]))) == set()
