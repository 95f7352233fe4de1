"""Every check has failed, and has passed, in the tests of this folder. It runs after them, and takes no real kernel."""

import pytest

from kinspect.inspection.report import checks_of
from tests.checks.conftest import Outcomes


@pytest.mark.usefixtures("whole_run")
def test_every_check_has_failed_and_has_passed(outcomes: Outcomes) -> None:
    every = {check.id for check in checks_of()}
    assert len(every) > 100
    assert every - outcomes.failed == set(), "these checks have no failing test"
    assert every - outcomes.passed == set(), "these checks have no passing test"
