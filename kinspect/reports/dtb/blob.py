"""A device tree blob as text and as JSON."""

from collections.abc import Iterator
from typing import Any

from kinspect.artifacts.dtb.blob import DtbFacts
from kinspect.reports.layout import columns, titled
from kinspect.reports.terminal import Style, counted, escaped, exact, human
from kinspect.schemas.fdt import COMPATIBLE_VERSION

MOST = 8
"""Compatible strings and reserved regions that the text lists."""


def lines(facts: DtbFacts, style: Style) -> Iterator[str]:
    """The machine that it describes, the size of the tree, and its blocks."""
    header = facts.header
    yield f"{style.bold(escaped(facts.path))}: {facts.form}, {exact(facts.size)}"
    yield ""
    about = [("model", escaped(facts.model))] if facts.model is not None else []
    about += _listed("compatible", [escaped(text) for text in facts.compatible])
    levels = f", {counted(facts.levels, 'level')} deep" if facts.levels else ""
    about += [
        ("nodes", f"{facts.nodes:,}{levels}, {facts.phandles:,} with a phandle"),
        ("properties", f"{facts.properties:,}"),
        ("boot CPU", f"{header.boot_cpuid_phys:#x}"),
        ("version", f"{header.version}, for readers of version {header.last_comp_version} and later"),
    ]
    regions = [f"{region.address:#x} to {region.end - 1:#x}, {human(region.size)}" for region in facts.reservations]
    about += _listed("reserved", regions)
    if facts.file_type:
        about.append(("file(1)", escaped(facts.file_type)))
    yield from columns(style, about, "<<")
    yield ""
    rows = [(block.name, f"{block.offset:#x}", exact(block.size)) for block in facts.blocks]
    rows.append(("totalsize", "", exact(header.totalsize)))
    yield from titled(style, ("block", "offset", "size"), rows, "<><")


def _listed(name: str, texts: list[str]) -> list[tuple[str, str]]:
    """Rows for the first of several texts."""
    more = [f"and {len(texts) - MOST:,} more"] if len(texts) > MOST else []
    return [(name if index == 0 else "", text) for index, text in enumerate(texts[:MOST] + more)]


def document(facts: DtbFacts) -> dict[str, Any]:
    """`dtb` in the schema."""
    header = facts.header
    fields: dict[str, Any] = {
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
        "reservations": [{"address": f"{entry.address:#x}", "size": entry.size} for entry in facts.reservations],
        "model": facts.model,
        "compatible": list(facts.compatible),
        "nodes": facts.nodes,
        "properties": facts.properties,
        "levels": facts.levels,
        "phandles": facts.phandles,
    }
