"""A kernel at an address, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, exact
from kinspect.reports.values import Document, hexadecimal
from kinspect.views.boot.placement import PlacementFacts


def lines(facts: PlacementFacts, style: Style) -> Iterator[str]:
    """The addresses, the alignment, and what else limits where the kernel can be."""
    size = exact(facts.memory)
    rows = [
        (f"at {facts.address:#x}", f"{size} up to {facts.end:#x}{'' if facts.sized else ', and .bss'}"),
        ("base", _base(facts)),
    ]
    if not facts.sized:
        rows.append(("memory", "the header has no image_size (before 3.17): the size of .bss is unknown"))
    if not facts.anywhere:
        rows.append(("placement", "near the start of memory: what is below the base may be lost (flags, bit 3)"))
    page = f"{facts.page_size // 1024}K" if facts.page_size else "unspecified"
    if facts.page_size in (16384, 65536):
        page += ": the CPU must have pages of this size"
    rows.append(("pages", page))
    rows.append(("VA bits", _virtual(facts)))
    yield from columns(style, rows, "<<")


def _base(facts: PlacementFacts) -> str:
    lead = f"{facts.text_offset:#x} above " if facts.text_offset else ""
    if facts.base is None:
        return f"none: {facts.address:#x} is not {lead}a multiple of 2 MiB"
    return f"{facts.base:#x}, a multiple of 2 MiB" + (f", and text_offset {facts.text_offset:#x}" if lead else "")


def _virtual(facts: PlacementFacts) -> str:
    if not facts.virtual_bits:
        return "unknown: the Image has neither its .config nor the address of _text"
    return f"{' or '.join(map(str, facts.virtual_bits))}, from {facts.virtual_from}"


def document(facts: PlacementFacts) -> Document:
    """`placement` in docs/report.schema.json."""
    return {
        "kind": "placement",
        "path": facts.path,
        "address": hexadecimal(facts.address),
        "text_offset": hexadecimal(facts.text_offset),
        "memory": facts.memory,
        "sized": facts.sized,
        "end": hexadecimal(facts.end),
        "base": None if facts.base is None else hexadecimal(facts.base),
        "nearest": [hexadecimal(address) for address in facts.nearest],
        "anywhere": facts.anywhere,
        "page_size": facts.page_size,
        "physical_bits": facts.physical_bits,
        "virtual_bits": list(facts.virtual_bits),
    }
