"""A short campaign with a fixed seed. KINSPECT_CAMPAIGN is its length in seconds: 60 in CI, else 10."""

import os
from pathlib import Path

import pytest

from kinspect import cli
from tests.campaign.run import Campaign, problem_of
from tests.conftest import SAMPLE

SECONDS = float(os.environ.get("KINSPECT_CAMPAIGN") or (60 if os.environ.get("CI") else 10))


def test_changed_files_raise_nothing_but_our_errors(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    campaign = Campaign(tmp_path / "scratch", tmp_path / "out", seed=20)
    campaign.run(SECONDS)
    assert campaign.findings == []
    assert campaign.runs > 5 * SECONDS


def test_every_seed_is_good_input(tmp_path: Path) -> None:
    """Unchanged, each is read by all its commands."""
    campaign = Campaign(tmp_path, tmp_path / "out", seed=1)
    for seed in campaign._seeds:
        path = campaign._written(seed, seed.packed(seed.data))
        for command in seed.commands:
            assert problem_of(campaign._filled(command, path)) == "", command


def test_faults_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = ("image", str(SAMPLE / "Image"))
    assert problem_of(image) == ""
    for error, found in ((KeyError("x"), "KeyError: 'x'"), (MemoryError(), "MemoryError")):

        def broken(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(cli, "_command", broken)
        assert problem_of(image).startswith(found)
