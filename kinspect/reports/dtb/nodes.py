"""The nodes of a device tree: as source, as dtc prints them, and as JSON."""

from collections.abc import Iterator
from typing import Any

from kinspect.reports.terminal import Style, escaped
from kinspect.views.dtb.dts import node_lines, source_lines
from kinspect.views.dtb.nodes import DtbTreeFacts


def lines(facts: DtbTreeFacts, style: Style) -> Iterator[str]:
    """The source of the whole tree, or of one node. It is never coloured."""
    source = node_lines(facts.nodes) if facts.node is not None else source_lines(facts.reservations, facts.nodes)
    # Tabs are part of the source.
    for line in source:
        yield "\t".join(map(escaped, line.split("\t")))


def document(facts: DtbTreeFacts) -> dict[str, Any]:
    """`dtb_tree` in the schema: a flat list, since JSON readers limit the depth; values as hex digits."""
    return {
        "kind": "dtb tree",
        "path": facts.path,
        "node": facts.node,
        "reservations": [{"address": f"{entry.address:#x}", "size": entry.size} for entry in facts.reservations],
        "nodes": [
            {
                "name": node.name,
                "parent": node.parent if node.parent >= 0 else None,
                "properties": [{"name": prop.name, "value": prop.value.hex()} for prop in node.properties],
            }
            for node in facts.nodes
        ],
    }
