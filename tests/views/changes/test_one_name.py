"""Two kernels compared by function: several functions of one name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.views.changes import test_kernels
from tests.views.changes.test_kernels import difference, names
from tests.views.changes.test_references import SOURCE, assembly

linked = test_kernels.linked


def reads(*offsets: int) -> str:
    """Functions of one name but for the numbers of clones, which read at an offset each."""
    texts = (f"mov w1, #1\nldr w0, [x0, #{offset}]\nadd w0, w0, w1\nret" for offset in offsets)
    return SOURCE + "".join(assembly(f"twin.{number}", text) for number, text in enumerate(texts))


@pytest.mark.parametrize(
    ("offsets", "changed"),
    [
        ((24, 40), {"twin.0", "twin.1"}),
        ((16, 40), {"twin.1"}),
        ((32, 16), set()),
        ((16, 32), set()),
        ((32, 40), {"twin.1"}),
        ((32, 16, 40), set()),
    ],
)
def test_another_value_in_functions_of_one_name(
    offsets: tuple[int, ...], changed: set[str], linked: Callable[[str, str], Path]
) -> None:
    """They may be in another order, but one that reads elsewhere is not the same."""
    facts = difference(linked("old", reads(16, 32)), linked("new", reads(*offsets)))
    assert names(facts.changed) == changed
    assert names(facts.added) == {f"twin.{number}" for number in range(2, len(offsets))}
    assert not facts.removed
    assert all(change.instructions for change in facts.changed)
