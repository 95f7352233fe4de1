"""The bytes of a kernel as its data is compared: without the addresses and the line numbers in it."""

from struct import pack_into, unpack_from
from typing import NamedTuple

from kinspect.views.changes.data.named import NamedData
from kinspect.views.changes.data.slots import Slots, slots_of
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import text_at


class Masked(NamedTuple):
    """The bytes of a kernel with zeros for the addresses in its data, and these."""

    data: bytes
    slots: Slots


class _Line(NamedTuple):
    """A record with a line number: where the path of the source is held, and where the bits of the number are."""

    path: int
    at: int
    bits: int


_DEBUG = _Line(16, 32, 18)
_LINES = {
    "__UNIQUE_ID_ddebug": _DEBUG,
    "__UNIQUE_ID_ddebug_": _DEBUG,
    "descriptor": _DEBUG,
    "_entry": _Line(16, 24, 32),
    "_alloc_tag": _Line(24, 4, 32),
}
"""By compared name: struct _ddebug, pi_entry, codetag. They change with every line above, and say nothing of the data.

Source: include/linux/dynamic_debug.h, include/linux/printk.h, include/linux/codetag.h.
"""
_SOURCES = (b".c", b".h", b".S")


def masked(side: KernelSide, objects: NamedData) -> Masked:
    """The bytes of a kernel with zeros for what is not compared as bytes."""
    slots = slots_of(side)
    data = bytearray(side.data)
    for start, name in zip(*objects, strict=True):
        if name in _LINES:
            _clear_line(side.data, data, start, _LINES[name], slots)
    with memoryview(data)[: len(data) & -8].cast("Q") as words:
        for place in slots.places:
            if place & 7:
                data[place : place + 8] = bytes(8)
            else:
                words[place >> 3] = 0
    return Masked(bytes(data), slots)


def _clear_line(data: bytes, target: bytearray, start: int, line: _Line, slots: Slots) -> None:
    path = slots.held(start + line.path)
    text = text_at(data, path) if path is not None else None
    if text and text.endswith(_SOURCES) and start + line.at + 4 <= len(data):
        word = unpack_from("<I", data, start + line.at)[0]
        pack_into("<I", target, start + line.at, word >> line.bits << line.bits)
