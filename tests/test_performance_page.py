"""docs/performance.md keeps the rows that were not measured, and takes those that were."""

from pathlib import Path

import pytest

from tests.benchmarks import page
from tests.benchmarks.page import PAGE, Table, page_with

HOW = PAGE.read_text().split("do not edit the\ntables. ")[1].split(".\n\n## ")[0]


def test_the_page_is_what_is_generated() -> None:
    assert page_with({}, HOW) == PAGE.read_text()


def test_a_measured_row_takes_the_place_of_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    rows = {Table.COMPARED: [("a (6.1)", "1 s", "-", "-", ""), ("b (6.1)", "2 s", "-", "-", "")]}
    (tmp_path / "page.md").write_text(page_with(rows, "once"))
    found = page_with({Table.COMPARED: [("b (6.1 / 7.3)", "1 / 2 s", "-", "-", "")]}, "again")
    assert "| a (6.1) | 1 s | - | - |  |\n| b (6.1 / 7.3) | 1 / 2 s | - | - |  |\n\n" in found
    assert "| b (6.1) |" not in found
    assert "Again." in found
    assert page_with({}, "again") != found
