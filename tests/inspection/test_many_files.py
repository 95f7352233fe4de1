"""Device trees by the hundred: in several processes as in one, and each forgotten after it was read."""

import json
import os
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.dtb.structure import Structure
from kinspect.inspection.build import one_kernel
from kinspect.views.dtb import pairing
from tests.toy_dtb import Toy, cells, toy

LABELLED = toy(Toy("uart", [("phandle", cells(7))]), Toy("__symbols__", [("uart", b"/uart\0")]))
CONTENTS = Toy("__overlay__", [("a", b"")])
BY_LABEL = toy(
    Toy("fragment@0", [("target", cells(0xFFFFFFFF))], [CONTENTS]),
    Toy("__fixups__", [("uart", b"/fragment@0:target:0\0")]),
)
ELSEWHERE = toy(Toy("fragment@0", [("target-path", b"/no\0")], [CONTENTS]))


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    """Trees of which some are broken, and overlays, one of them by another name."""
    for number in range(80):
        node = Toy("uart", [("phandle", cells(number + 1)), ("clocks", cells(1000 * (number % 3)))])
        (tmp_path / f"b{number}.dtb").write_bytes(toy(node)[: -8 if number == 33 else None])
    (tmp_path / "cut.dtb").write_bytes(LABELLED[:20])
    (tmp_path / "labelled.dtb").write_bytes(LABELLED)
    (tmp_path / "a.dtbo").write_bytes(BY_LABEL)
    (tmp_path / "elsewhere.dtbo").write_bytes(ELSEWHERE)
    return tmp_path


def checked(folder: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads(kinspect.check(folder).to_json())
    return document


@pytest.mark.parametrize("renamed", [False, True])
def test_processes_find_what_one_finds(trees: Path, monkeypatch: pytest.MonkeyPatch, renamed: bool) -> None:
    if renamed:
        (trees / "a.dtbo").rename(trees / "z.dtb")
        (trees / "elsewhere.dtbo").rename(trees / "zz.dtb")
    found = {}
    for count in (1, 2, 3):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, count=count: set(range(count)))
        found[count] = checked(trees)
    assert found[1] == found[2] == found[3]
    text = json.dumps(found[1])
    assert "does not apply to any of 81 device trees here" in text
    # The other overlay has its label in one of them.
    assert text.count("does not apply to") == 1
    assert "no node has this phandle" in text or "is not the phandle of a node" in text


def test_no_tree_is_kept(trees: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[pairing.NamedTree] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})

    def none_unpaired(named: list[pairing.NamedTree]) -> pairing.UnpairedOverlays:
        kept.extend(named)
        return pairing.UnpairedOverlays((), 1)

    monkeypatch.setattr(pairing, "unpaired_among", none_unpaired)
    checked(trees)
    read = [tree.dtb.path for tree in kept if any(isinstance(part, Structure) for part in vars(tree.dtb).values())]
    assert len(kept) > 80
    assert {os.path.basename(path) for path in read} <= {"a.dtbo", "elsewhere.dtbo"}
    assert one_kernel.KernelFiles("").named_trees == []
