"""Device trees as JSON."""

from typing import Any

from kinspect.artifacts.dtb.blob import DtbFacts
from kinspect.inspection.dtb import DtbTreeFacts
from kinspect.schemas.fdt import COMPATIBLE_VERSION, ReserveEntry

Document = dict[str, Any]


def dtb(facts: DtbFacts) -> Document:
    """A device tree in numbers."""
    header = facts.header
    fields: Document = {
        **header._asdict(),
        "magic": f"{header.magic:#x}",
        "boot_cpuid_phys": f"{header.boot_cpuid_phys:#x}",
    }
    if header.version == COMPATIBLE_VERSION:
        fields["size_dt_struct"] = None
    return {
        "kind": "dtb",
        "path": facts.path,
        "size": facts.size,
        "form": facts.form.value,
        "header": fields,
        "blocks": [block._asdict() for block in facts.blocks],
        "reservations": [_reservation(entry) for entry in facts.reservations],
        "model": facts.model,
        "compatible": list(facts.compatible),
        "nodes": facts.nodes,
        "properties": facts.properties,
        "levels": facts.levels,
        "phandles": facts.phandles,
    }


def tree(facts: DtbTreeFacts) -> Document:
    """The nodes of a device tree in a flat list, for a nested one could be nested too deeply; values as hex digits."""
    return {
        "kind": "dtb tree",
        "path": facts.path,
        "node": facts.node,
        "reservations": [_reservation(entry) for entry in facts.reservations],
        "nodes": [
            {
                "name": node.name,
                "parent": node.parent if node.parent >= 0 else None,
                "properties": [{"name": one.name, "value": one.value.hex()} for one in node.properties],
            }
            for node in facts.nodes
        ],
    }


def _reservation(entry: ReserveEntry) -> Document:
    return {"address": f"{entry.address:#x}", "size": entry.size}
