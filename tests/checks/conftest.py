"""Which checks found something, and which let an artifact pass, in the tests of the whole run."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kinspect.artifacts.artifact import Artifact
from kinspect.checks import check as checks
from kinspect.checks.check import Check, Finding, Severity
from tests.support import NO_PACKAGE

TESTS = Path(__file__).parents[1]
GUARD = "test_every_check.py"


class Outcomes(NamedTuple):
    """The ids of the checks that found something, and of those that found nothing, at least once.

    `skipped` and `not_chosen` are the files with tests that were skipped or not chosen, and need no real kernel.
    """

    failed: set[str]
    passed: set[str]
    skipped: set[Path]
    not_chosen: set[Path]


_outcomes = Outcomes(set(), set(), set(), set())
_patch = pytest.MonkeyPatch()


@pytest.fixture
def outcomes(request: pytest.FixtureRequest) -> Outcomes:
    """The outcomes of every check that has run so far."""
    files = {item.path for item in request.session.items}
    parts = {Path(argument.partition("::")[0]).resolve() for argument in request.config.args if "::" in argument}
    _outcomes.not_chosen.update(path for path in TESTS.rglob("test_*.py") if path not in files or path in parts)
    return _outcomes


def files_naming(ids: Iterable[str], files: Iterable[Path]) -> dict[str, list[str]]:
    """For each check those of some files that name it, by its id or its function; only those in this folder if any."""
    texts = {str(path.relative_to(TESTS.parent)): path.read_text() for path in sorted(files) if path.exists()}
    found: dict[str, list[str]] = {}
    for name in ids:
        either = name, name.replace("-", "_")
        named = [path for path, text in texts.items() if any(word in text for word in either)]
        found[name] = [path for path in named if path.startswith("tests/checks/")] or named
    return found


def pytest_collection_finish() -> None:
    """Watch the checks from the first test on, in whatever folder it is."""
    real = checks._findings

    def watched(check: Check, chosen: tuple[Artifact, ...]) -> Iterator[Finding]:
        found = list(real(check, chosen))
        if not found:
            _outcomes.passed.add(check.id)
        elif all(finding.severity != Severity.UNDECIDED for finding in found):
            _outcomes.failed.add(check.id)
        yield from found

    _patch.setattr(checks, "_findings", watched)


def pytest_unconfigure() -> None:
    _patch.undo()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and NO_PACKAGE not in str(report.longrepr) and "corpus" not in report.keywords:
        _outcomes.skipped.add(TESTS.parent / report.nodeid.partition("::")[0])


def pytest_deselected(items: list[pytest.Item]) -> None:
    _outcomes.not_chosen.update(item.path for item in items if item.get_closest_marker("corpus") is None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The guard runs last: it looks at what the others did."""
    items.sort(key=lambda item: item.path.name == GUARD)
