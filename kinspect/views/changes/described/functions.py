"""More about functions that changed: the first instruction that differs, as assembly; whether only immediates do."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kinspect.views.changes.bodies import body_size, replaced
from kinspect.views.changes.closely import FunctionChange
from kinspect.views.changes.described.code import SideCode
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.tokens import tokens
from kinspect.views.disassembly.decoder import Decoder, can_disassemble
from kinspect.views.disassembly.immediates import Immediate, immediate_of
from kinspect.views.disassembly.listing import Listing, page_before
from kinspect.views.kernel.instructions import ZERO, low_bits

_MOST_VALUES = 4096
"""Instructions that differ in a function in which only values do."""
Values = tuple[tuple[Immediate, Immediate], ...]
"""The immediates that differ, of the old and of the new kernel."""


class Explanation(NamedTuple):
    """The types that the values of a function can come from: `alone` each of them, or else all together."""

    types: tuple[str, ...] = ()
    alone: bool = False


def with_texts(changes: Sequence[FunctionChange], old: KernelSide, new: KernelSide) -> tuple[FunctionChange, ...]:
    """Functions with the first instruction that differs as assembly, if the library for that is there."""
    if not changes or not can_disassemble():
        return tuple(changes)
    decoder = Decoder()
    ours, theirs = Listing(SideCode(old), decoder), Listing(SideCode(new), decoder)
    return tuple(
        change._replace(
            old_text=_text(ours, old, change.old_offset, change),
            new_text=_text(theirs, new, change.new_offset, change),
        )
        for change in changes
    )


def _text(listing: Listing, side: KernelSide, start: int, change: FunctionChange) -> str | None:
    size, at = side.ends[start] - start if change.lanes else body_size(side, start), change.first
    return listing.instruction_at(start, size, at >> 2).text if at < size else None


def differing_values(change: FunctionChange, old: KernelSide, new: KernelSide) -> Values | None:
    """The values of a function in which nothing else differs; None if something does.

    The low bits of an address, which follow an adrp, are no such value.
    """
    if change.old_size != change.new_size or len(change.lanes) > _MOST_VALUES:
        return None
    ours, theirs = (
        side.words[start >> 2 : side.ends[start] >> 2].tolist()
        for side, start in ((old, change.old_offset), (new, change.new_offset))
    )
    found = []
    for lane in change.lanes or _lanes(change, old, new):
        if lane >= min(len(ours), len(theirs)):
            return None
        one = immediate_of(replaced(old, change.old_offset, lane) or ours[lane])
        two = immediate_of(replaced(new, change.new_offset, lane) or theirs[lane])
        if one is None or two is None or one.form != two.form:
            return None
        if any(
            low_bits(words[lane]) is not None and page_before(words, lane, words[lane] >> 5 & ZERO) is not None
            for words in (ours, theirs)
        ):
            return None
        found.append((one, two))
    return tuple(found)


def _lanes(change: FunctionChange, old: KernelSide, new: KernelSide) -> list[int]:
    """The instructions that differ of functions whose instructions were aligned."""
    ours, theirs = tokens(old, change.old_offset), tokens(new, change.new_offset)
    if len(ours) != len(theirs):
        return [0, 0]
    return [lane for lane, (one, two) in enumerate(zip(ours, theirs, strict=True)) if one != two]


def with_values(
    changes: Sequence[FunctionChange], old: KernelSide, new: KernelSide, explaining: Callable[[Values], Explanation]
) -> tuple[FunctionChange, ...]:
    """Functions with whether only values differ in their instructions, and the types that these can come from."""
    return tuple(_with_values(change, differing_values(change, old, new), explaining) for change in changes)


def _with_values(
    change: FunctionChange, values: Values | None, explaining: Callable[[Values], Explanation]
) -> FunctionChange:
    if values is None:
        return change
    types, alone = explaining(values)
    return change._replace(only_values=True, types=types, types_alone=alone)
