"""Two kernels compared by function: nops that align what follows, and nops that do not."""

from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from tests.views.changes import test_kernels
from tests.views.changes.test_kernels import difference, names
from tests.views.changes.test_references import SOURCE, assembly

linked = test_kernels.linked
LOOPS = "mov w1, #1\n{0}1: add w1, w1, #2\ncbnz w1, 1b\nmov w2, #3\n{1}2: add w2, w2, #1\ncbnz w2, 2b\nret"
LEFT = "mov w1, #1\n1: cbz w0, 3f\n2: add w1, w1, #1\ncbnz w1, 1b\n{0}3: mov w5, #0\nb 2b"
NOP = "nop\n"


def placed(body: str, behind: int, *nops: int) -> str:
    """A source with a function that begins so many instructions behind an aligned address."""
    before = f".pushsection .text\\n.balign 32\\nlead: ret\\n.rept {behind - 1}\\nnop\\n.endr\\n.popsection\\n"
    return f'{SOURCE}asm("{before}");\n' + assembly("padded", body.format(*(NOP * number for number in nops)))


@pytest.mark.parametrize(
    ("body", "old", "new", "changed"),
    [
        # The first nop may be a jump label: in one kernel it happens to lie before an aligned loop.
        (LOOPS, (1, 1, 0), (2, 1, 1), False),
        (LOOPS, (1, 1, 0), (2, 0, 1), True),
        (LOOPS, (1, 1, 0), (1, 0, 0), True),
        # What a branch goes forward to is aligned, too, even if the code before it goes on.
        (LEFT, (3, 1), (1, 3), False),
        (LEFT, (4, 0), (3, 1), False),
        (LEFT, (3, 1), (2, 3), True),
    ],
)
def test_nops(
    body: str, old: tuple[int, ...], new: tuple[int, ...], changed: bool, linked: Callable[[str, str], Path]
) -> None:
    kernels = linked("old", placed(body, *old)), linked("new", placed(body, *new))
    assert names(difference(*kernels).changed) == ({"padded"} if changed else set())
    pytest.importorskip("capstone")
    (found,) = kinspect.function_diff(*kernels, "padded").facts
    assert found.same is not changed
