"""Code that no compiler makes is compared in bounded time and memory, and never out of its bounds."""

from types import SimpleNamespace
from typing import cast

from kinspect.views.changes.bodies import aside
from kinspect.views.changes.closely import FunctionChange
from kinspect.views.changes.described.functions import differing_values
from kinspect.views.changes.side import KernelSide
from kinspect.views.kernel.instructions import NOP

BACK = 0x17000000
"""A branch 64 MiB back."""


def side(*words: int) -> KernelSide:
    """A kernel of one function."""
    data = b"".join(word.to_bytes(4, "little") for word in words)
    fields = {"data": data, "words": memoryview(data).cast("I"), "names": {}, "ends": {0: len(data)}}
    return cast("KernelSide", SimpleNamespace(**fields, veneers=frozenset(), body_sizes={}))


def test_a_branch_to_what_is_before_the_kernel() -> None:
    assert aside(side(*[BACK] * 8), 0, -(64 << 20)) == ()


def test_an_instruction_behind_the_function_of_one_kernel() -> None:
    """As a damaged table of alternatives has them."""
    change = FunctionChange("f", 0, 0, 8, 8, 1, 64, None, None, lanes=(16,))
    assert differing_values(change, side(NOP, NOP), side(*[NOP] * 32)) is None
