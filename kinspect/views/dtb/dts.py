"""The source of a device tree, line by line, as `dtc -I dtb -O dts` of dtc 1.6 prints it.

A blob does not have the types of its values; the guess is the same as dtc's. Source: dtc, treesource.c.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Sequence

from kinspect.artifacts.dtb.structure import Node
from kinspect.schemas.fdt import ReserveEntry

_PART = 1 << 16
"""Bytes that are decoded at once: in a FIT image a whole file is one value."""
_TEXT = re.compile(rb"[\x07-\x0d\x20-\x7e\0]+")
_ESCAPES = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\t": "\\t",
        "\n": "\\n",
        "\v": "\\v",
        "\f": "\\f",
        "\r": "\\r",
        "\\": "\\\\",
        '"': '\\"',
        "\0": "\\0",
    }
)


def source_lines(reservations: Iterable[ReserveEntry], nodes: Sequence[Node]) -> Iterator[str]:
    """The lines of a whole tree."""
    yield "/dts-v1/;"
    yield ""
    for entry in reservations:
        yield f"/memreserve/\t{entry.address:#018x} {entry.size:#018x};"
    yield from node_lines(nodes)


def node_lines(nodes: Sequence[Node]) -> Iterator[str]:
    """The lines of a node and its descendants: `nodes` in the order of the tree."""
    top = nodes[0].depth if nodes else 0
    level = 0
    for index, node in enumerate(nodes):
        for open_level in range(level - 1, node.depth - top - 1, -1):
            yield "\t" * open_level + "};"
        level = node.depth - top
        if index:
            yield ""
        indent = "\t" * level
        yield f"{indent}{node.name or '/'} {{"
        for prop in node.properties:
            yield f"{indent}\t{prop.name}{' = ' + value_text(prop.value) if prop.value else ''};"
        level += 1
    for open_level in range(level - 1, -1, -1):
        yield "\t" * open_level + "};"


def value_text(value: bytes) -> str:
    """A value as dtc writes it: a string, 32-bit cells, or bytes."""
    ends = value.count(0)
    if value.endswith(b"\0") and ends <= len(value) - ends and _TEXT.fullmatch(value):
        return f'"{value[:-1].decode("ascii").translate(_ESCAPES)}"'
    if len(value) % 4 == 0:
        return f"<{' '.join(_cells(value[at : at + _PART]) for at in range(0, len(value), _PART))}>"
    return f"[{value.hex(' ')}]"


def _cells(value: bytes) -> str:
    return " ".join([f"0x{cell:02x}" for cell in struct.unpack(f">{len(value) // 4}I", value)])
