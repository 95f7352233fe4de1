"""The checks of overlays and their base."""

from kinspect.artifacts.dtb.blob import Dtb
from kinspect.checks.check import Severity
from kinspect.inspection.report import Report, run_checks
from kinspect.source import Source
from kinspect.views.dtb.merging import KEEPS_PHANDLES, merged
from kinspect.views.dtb.pairing import unpaired_overlays
from tests.toy_dtb import Toy, cells, toy

NODE = Toy("uart", [("phandle", cells(7)), ("status", b"okay\0")])
BASE = toy(NODE)


def judged(overlay: bytes, version: tuple[int, ...] = (1, 6, 1)) -> Report:
    facts, _ = merged(Dtb(Source("base.dtb", BASE)), [Dtb(Source("a.dtbo", overlay))], version)
    return run_checks((facts,), "dtb.overlay")


def fragment(target: str, *properties: tuple[str, bytes]) -> Toy:
    return Toy("fragment@0", [("target-path", target.encode() + b"\0")], [Toy("__overlay__", properties)])


def found(report: Report) -> list[tuple[str, Severity]]:
    return [(finding.id, finding.severity) for finding in report.findings]


def test_an_overlay_that_applies() -> None:
    assert found(judged(toy(fragment("/uart", ("status", b"disabled\0"))))) == []


def test_an_overlay_that_does_not_apply() -> None:
    report = judged(toy(fragment("/no", ("status", b"disabled\0"))))
    assert found(report) == [("overlays-apply", Severity.ERROR)]
    text = "the base has no node /no, the target of the fragment (FDT_ERR_NOTFOUND)"
    assert str(report.findings[0].evidence) == text
    assert str(report.findings[0].evidence.at[0]).startswith("a.dtbo: /fragment@0 target-path at 0x")


def test_an_overlay_that_changes_a_phandle() -> None:
    overlay = toy(fragment("/uart", ("phandle", cells(1))))
    report = judged(overlay)
    assert found(report) == [("overlays-keep-phandles", Severity.WARNING)]
    assert str(report.findings[0].evidence).endswith("expected 0x7, found 0x8")
    assert found(judged(overlay, KEEPS_PHANDLES)) == [("overlays-change-something", Severity.INFO)]


def test_an_overlay_that_changes_nothing() -> None:
    dormant = Toy("fragment@0", [("target-path", b"/\0")], [Toy("__dormant__", [("a", b"")])])
    for overlay in (toy(fragment("/uart", ("status", b"okay\0"))), toy(dormant)):
        assert found(judged(overlay)) == [("overlays-change-something", Severity.INFO)]


def test_the_tables_of_an_overlay() -> None:
    fixups = Toy("__fixups__", [("c", b"/fragment@0/__overlay__:clocks:0\0")])
    good, broken = [fragment("/uart", ("clocks", cells(0xFFFFFFFF))), fixups], [fragment("/uart"), fixups]
    for nodes, ids in ((good, []), (broken, [("overlay-references-are-in-order", Severity.ERROR)])):
        report = run_checks((Dtb(Source("a.dtbo", toy(*nodes))),), "dtb.overlay")
        assert found(report) == ids
    assert found(run_checks((Dtb(Source("a.dtb", toy(*broken[1:], NODE))),), "dtb.overlay")) == [
        ("overlay-references-are-in-order", Severity.ERROR)
    ]


def unpaired(*trees: tuple[str, bytes]) -> Report:
    return run_checks((unpaired_overlays(Dtb(Source(name, data)) for name, data in trees),), "dtb.overlay")


LABELLED = toy(NODE, Toy("__symbols__", [("uart", b"/uart\0")]))
BY_LABEL = Toy("fragment@0", [("target", cells(0xFFFFFFFF))], [Toy("__overlay__", [("a", b"")])])
FIXUPS = Toy("__fixups__", [("uart", b"/fragment@0:target:0\0")])


def test_an_overlay_beside_its_base() -> None:
    overlay = toy(BY_LABEL, FIXUPS)
    assert found(unpaired(("a.dtbo", overlay), ("base.dtb", BASE), ("labelled.dtb", LABELLED))) == []
    report = unpaired(("a.dtbo", overlay), ("base.dtb", BASE))
    assert found(report) == [("overlays-apply-to-a-tree-beside-them", Severity.INFO)]
    text = "does not apply to base.dtb: the base has no labels, and so no uart: compile it with `dtc -@`"
    assert str(report.findings[0].evidence) == text
    report = unpaired(("a.dtbo", toy(fragment("/no"))), ("base.dtb", BASE), ("labelled.dtb", LABELLED))
    assert "does not apply to any of 2 device trees here, such as " in str(report.findings[0].evidence)
    assert found(unpaired(("a.dtbo", overlay))) == []


def test_an_overlay_for_another_overlay() -> None:
    """Its label is defined by an overlay that is there, too."""
    label = Toy("__symbols__", [("uart", b"/fragment@0/__overlay__\0")])
    contents = Toy("__overlay__", [("phandle", cells(1))])
    first = toy(Toy("fragment@0", [("target-path", b"/uart\0")], [contents]), label)
    overlay = toy(BY_LABEL, FIXUPS)
    assert found(unpaired(("b.dtbo", overlay), ("base.dtb", BASE), ("a.dtbo", first))) == []
