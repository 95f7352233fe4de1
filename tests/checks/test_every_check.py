"""Every check has failed, and has passed, in the tests. It runs after all others, and needs no real kernel."""

from pathlib import Path

from kinspect.inspection.report import checks_of
from tests.checks.conftest import TESTS, Outcomes, files_naming
from tests.conftest import missing


def test_every_check_has_failed_and_has_passed(outcomes: Outcomes) -> None:
    every = {check.id for check in checks_of()}
    assert len(every) > 100
    lacking = every - (outcomes.failed & outcomes.passed)
    elsewhere = files_naming(lacking, outcomes.skipped | outcomes.not_chosen)
    if not outcomes.not_chosen:
        untested = {check_id for check_id, files in elsewhere.items() if not files}
        assert untested - outcomes.failed == set(), "these checks have no failing test"
        assert untested - outcomes.passed == set(), "these checks have no passing test"
    if lacking:
        files = sorted({path for paths in elsewhere.values() for path in paths})
        files += [] if all(elsewhere.values()) else ["and all others"]
        missing(f"what runs {len(lacking)} of {len(every)} checks", f"run these too: {' '.join(files)}")


def test_the_files_naming_a_check_are_found(tmp_path: Path) -> None:
    here = Path(__file__)
    assert files_naming(["the-tests-of-a-check", "no-such-" + "check"], [here, tmp_path / "gone"]) == {
        "the-tests-of-a-check": [str(here.relative_to(TESTS.parent))],
        "no-such-" + "check": [],
    }
