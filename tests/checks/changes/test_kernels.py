"""The checks of `kinspect diff` on two kernels: on kernels that are the same, and on others."""

from typing import NamedTuple

import pytest

from kinspect.inspection.report import run_checks
from kinspect.views.changes.facts import KernelDifference
from kinspect.views.disassembly.facts import FunctionDifference

KERNELS = KernelDifference("old", "new", (), (), "an arm64 Image", 1, 1, True, True, (None, None), (None, None))
FUNCTION = FunctionDifference("old", "new", "f", "f", 0, 0, 4, 4, 0, 0, ())


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (KERNELS, None),
        (KERNELS._replace(same=False), "the same kernel, but built again"),
        (KERNELS._replace(same=False, texts_added=("a text",)), "the kernels differ"),
        (FUNCTION, None),
        (FUNCTION._replace(removed=1), "the function differs"),
        (FUNCTION._replace(added=2), "the function differs"),
    ],
)
def test_the_same_or_not(facts: NamedTuple, message: str | None) -> None:
    report = run_checks((facts,), "changes.kernels")
    assert [finding.evidence.message for finding in report.findings] == ([message] if message else [])
    assert len(report.ran) == 1
