"""Functions that have another name, and the same code at the same place among their neighbours."""

from collections import defaultdict
from typing import NamedTuple

from kinspect.views.changes.bodies import Token, body_size
from kinspect.views.changes.pairing import Paired
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import Targets
from kinspect.views.changes.tokens import tokens

_FEWEST = 4
"""Instructions of a function that is recognised by them."""


class Renamed(NamedTuple):
    """A function that was renamed. Offsets count from `_text`."""

    old_name: str
    new_name: str
    old_offset: int
    new_offset: int


def renamed(old: KernelSide, new: KernelSide, functions: Paired, targets: Targets) -> list[Renamed]:
    """The functions of one kernel alone whose code is that of exactly one of the other kernel alone."""
    ours, theirs = _by_code(old, functions.removed), _by_code(new, functions.added)
    found = []
    for code, offsets in ours.items():
        others = theirs.get(code, [])
        if len(offsets) == len(others) == 1:
            pair = offsets[0], others[0]
            found.append(Renamed(old.names[pair[0]], new.names[pair[1]], *pair))
    return found


def _by_code(side: KernelSide, offsets: list[int]) -> dict[tuple[Token, ...], list[int]]:
    found: dict[tuple[Token, ...], list[int]] = defaultdict(list)
    for offset in offsets:
        if body_size(side, offset) >= 4 * _FEWEST:
            found[tuple(tokens(side, offset))].append(offset)
    return found
