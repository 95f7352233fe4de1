"""The checks of a device tree make no more evidence than they show."""

from pathlib import Path

import pytest

from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.dtb.structure import Node
from kinspect.checks.check import MOST
from kinspect.inspection.dtb import dtb
from tests.toy_dtb import Toy, cells, toy

MANY = 2000
HOSTILE = {
    "property names": [Toy("a", [(f"_ {number}", b"") for number in range(MANY)])],
    "node names": [Toy(f" {number}") for number in range(MANY)],
    "nodes of the same name": [Toy("a") for number in range(MANY)],
    "references": [Toy(f"a{number}", [("clocks", cells(99))]) for number in range(MANY)],
    "phandles": [Toy(f"a{number}", [("phandle", cells(0))]) for number in range(MANY)],
    "equal phandles": [Toy(f"a{number}", [("phandle", cells(1))]) for number in range(MANY)],
    "aliases": [Toy("aliases", [(f"a{number}", b"/no\0") for number in range(MANY)])],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_only_evidence_that_is_shown_is_made(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, places = tmp_path / "a.dtb", 0
    path.write_bytes(toy(*HOSTILE[kind]))

    def counted(self: Dtb, node: Node) -> str:
        nonlocal places
        places += 1
        return "/"

    monkeypatch.setattr(Dtb, "path_of", counted)
    report = dtb(str(path))
    more = [f"and {MANY - MOST - first:,} more" for first in (0, 1)]
    assert any(text in str(found) for text in more for found in report.findings)
    assert places < 10 * MOST
