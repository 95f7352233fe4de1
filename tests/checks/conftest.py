"""Which checks found something, and which let an artifact pass, while the tests in this folder ran."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kinspect.artifacts.artifact import Artifact
from kinspect.checks import check as checks
from kinspect.checks.check import Check, Finding, Severity

FOLDER = Path(__file__).parent
GUARD = "test_every_check.py"


class Outcomes(NamedTuple):
    """The ids of the checks that found something, and of those that found nothing, at least once."""

    failed: set[str]
    passed: set[str]


_outcomes = Outcomes(set(), set())
_left_out: list[pytest.Item] = []


@pytest.fixture(scope="session", autouse=True)
def outcomes() -> Iterator[Outcomes]:
    """What every check that ran made of what it was given."""
    real = checks._findings

    def watched(check: Check, chosen: tuple[Artifact, ...]) -> Iterator[Finding]:
        found = list(real(check, chosen))
        if not found:
            _outcomes.passed.add(check.id)
        elif all(finding.severity != Severity.UNDECIDED for finding in found):
            _outcomes.failed.add(check.id)
        yield from found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "_findings", watched)
        yield _outcomes


def pytest_deselected(items: list[pytest.Item]) -> None:
    _left_out.extend(items)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The guard looks back: it goes last."""
    items.sort(key=lambda item: item.path.name == GUARD)


@pytest.fixture
def whole_run(request: pytest.FixtureRequest) -> None:
    """Skip where only a part of the tests in this folder runs: it tells nothing of all checks."""
    files = {item.path for item in request.session.items}
    chosen = any("::" in argument for argument in request.config.args)
    if (
        chosen
        or any(FOLDER in item.path.parents for item in _left_out)
        or not files.issuperset(FOLDER.rglob("test_*.py"))
    ):
        pytest.skip("a part of the tests in tests/checks was chosen")
