"""The checks of overlays and their base."""

from kinspect.artifacts.dtb.blob import Dtb
from kinspect.checks.check import Severity
from kinspect.inspection.report import Report, run_checks
from kinspect.source import Source
from kinspect.views.dtb.merging import KEEPS_PHANDLES, merged
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
