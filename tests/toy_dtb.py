"""Small device trees for tests, made of our own records; any field of the header can be made to lie."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from kinspect.schemas import fdt
from kinspect.schemas.fdt import FdtHeader, PropertyHeader, ReserveEntry
from kinspect.schemas.record import build, size_of

END = struct.pack(">I", fdt.END)
END_NODE = struct.pack(">I", fdt.END_NODE)
NOP = struct.pack(">I", fdt.NOP)


class Toy(NamedTuple):
    """A node: its name, its properties and the nodes in it."""

    name: str
    properties: Sequence[tuple[str, bytes]] = ()
    nodes: "Sequence[Toy]" = ()


def aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def cells(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


def begin(name: str | bytes) -> bytes:
    """The token that opens a node."""
    raw = name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name
    return struct.pack(">I", fdt.BEGIN_NODE) + aligned(raw + b"\0")


def prop(nameoff: int, value: bytes) -> bytes:
    """The token of a property, with its value."""
    return struct.pack(">I", fdt.PROP) + build(PropertyHeader(len(value), nameoff)) + aligned(value)


def flat(node: Toy, strings: bytearray) -> bytes:
    """The tokens of a node; the names of properties are added to the strings."""
    parts = [begin(node.name)]
    for name, value in node.properties:
        text = name.encode("utf-8", "surrogateescape") + b"\0"
        if text not in strings:
            strings += text
        parts.append(prop(strings.index(text), value))
    return b"".join([*parts, *(flat(below, strings) for below in node.nodes), END_NODE])


ROOT = (
    ("model", b"toy\0"),
    ("compatible", b"toy,board\0toy\0"),
    ("#address-cells", cells(1)),
    ("#size-cells", cells(1)),
)
"""What every root has."""


def blob(
    structure: bytes, strings: bytes = b"", reserved: Sequence[ReserveEntry] = (ReserveEntry(0, 0),), **fields: int
) -> bytes:
    """A device tree of a structure block; `fields` are those of the header that are not what they should be."""
    reservations = b"".join(map(build, reserved))
    start = size_of(FdtHeader) + len(reservations)
    header = FdtHeader(
        magic=fdt.MAGIC,
        totalsize=start + len(structure) + len(strings),
        off_dt_struct=start,
        off_dt_strings=start + len(structure),
        off_mem_rsvmap=size_of(FdtHeader),
        version=fdt.VERSION,
        last_comp_version=fdt.COMPATIBLE_VERSION,
        boot_cpuid_phys=0,
        size_dt_strings=len(strings),
        size_dt_struct=len(structure),
    )
    return build(header._replace(**fields)) + reservations + structure + strings


def toy(
    *nodes: Toy,
    root: Sequence[tuple[str, bytes]] = ROOT,
    reserved: Sequence[ReserveEntry] = (ReserveEntry(0, 0),),
    **fields: int,
) -> bytes:
    """A device tree with nodes below its root."""
    strings = bytearray()
    structure = flat(Toy("", root, nodes), strings) + END
    return blob(structure, bytes(strings), reserved, **fields)
