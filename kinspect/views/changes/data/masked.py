"""The bytes of a kernel as its data is compared: without the addresses in it."""

from typing import NamedTuple

from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.uses.slots import Slots, slots_of


class Masked(NamedTuple):
    """The bytes of a kernel with zeros for the addresses in its data, and these."""

    data: bytes
    slots: Slots


def masked(side: KernelSide) -> Masked:
    """The bytes of a kernel, and the addresses that are not compared as bytes."""
    slots = slots_of(side)
    data = bytearray(side.data)
    with memoryview(data)[: len(data) & -8].cast("Q") as words:
        for place in slots.places:
            if place & 7:
                data[place : place + 8] = bytes(8)
            else:
                words[place >> 3] = 0
    return Masked(bytes(data), slots)
