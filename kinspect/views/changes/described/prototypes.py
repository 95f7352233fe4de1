"""The functions of two kernels that have another type: the hash before them differs (kCFI)."""

from collections.abc import Iterable
from typing import NamedTuple

from kinspect.views.changes.side import KernelSide


class Retyped(NamedTuple):
    """A function with another type hash: parameters, the result, or their signs. None where there is no hash.

    A function without one is static, and nothing takes its address. Offsets count from `_text`.
    """

    name: str
    old_offset: int
    new_offset: int
    old_hash: int | None
    new_hash: int | None


def retyped(old: KernelSide, new: KernelSide, pairs: Iterable[tuple[int, int]]) -> list[Retyped]:
    """Those of some pairs with another hash, or with a hash in one kernel only, in the order of the new one."""
    if not (old.hashes and new.hashes):
        return []
    found = []
    for ours, theirs in pairs:
        one, two = old.hashes.get(ours), new.hashes.get(theirs)
        if one is None and two is None:
            continue
        # Where only one looks like a hash, the other may be one that looks like code.
        away = ours - one if one is not None else theirs - (two or 0)
        words = [side.words[(start - away) >> 2] for side, start in ((old, ours), (new, theirs)) if start >= away]
        if len(words) < 2 or words[0] != words[1]:
            hashes = [None if at is None else side.words[at >> 2] for side, at in ((old, one), (new, two))]
            found.append(Retyped(new.names[theirs], ours, theirs, hashes[0], hashes[1]))
    return sorted(found, key=lambda function: function.new_offset)
