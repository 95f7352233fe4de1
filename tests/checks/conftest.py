"""Which checks found something, and which let an artifact pass, while the tests in this folder ran."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kinspect.artifacts.artifact import Artifact
from kinspect.checks import check as checks
from kinspect.checks.check import Check, Finding, Severity
from tests.conftest import missing
from tests.support import NO_PACKAGE

FOLDER = Path(__file__).parent
GUARD = "test_every_check.py"


class Outcomes(NamedTuple):
    """The ids of the checks that found something, and of those that found nothing, at least once."""

    failed: set[str]
    passed: set[str]


_outcomes = Outcomes(set(), set())
_left_out: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def outcomes() -> Iterator[Outcomes]:
    """The outcomes of every check that has run so far."""
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


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and NO_PACKAGE in str(report.longrepr):
        return
    if report.skipped and "corpus" not in report.keywords and FOLDER in (FOLDER.parents[1] / report.nodeid).parents:
        _left_out.append(report.nodeid)


def pytest_deselected(items: list[pytest.Item]) -> None:
    ours = (item for item in items if FOLDER in item.path.parents)
    _left_out.extend(item.nodeid for item in ours if item.get_closest_marker("corpus") is None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The guard runs last: it looks at what the others did."""
    items.sort(key=lambda item: item.path.name == GUARD)


@pytest.fixture
def whole_run(request: pytest.FixtureRequest) -> None:
    """Skip where only a part of the tests in this folder ran: that tells nothing of all checks.

    Tests with the mark `corpus` may be missing.
    """
    files = {item.path for item in request.session.items}
    if any("::" in argument for argument in request.config.args) or not files.issuperset(FOLDER.rglob("test_*.py")):
        pytest.skip("a part of the tests in tests/checks was chosen")
    if _left_out:
        missing(f"what {_left_out[0]} takes", "the guard needs all tests without the mark corpus")
