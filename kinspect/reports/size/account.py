"""The sizes of sections and of the vmlinux file: as text and as JSON."""

from collections.abc import Iterator
from typing import Any

from kinspect.reports.layout import columns, titled, wrapped
from kinspect.reports.terminal import Style, escaped, human
from kinspect.views.size.account import FilePart, Sizes, SizeSpan

ORDERS = ("address", "size", "name")


def lines(facts: Sizes, style: Style, order: str = "address") -> Iterator[str]:
    """Every span of the kernel in one of ORDERS, the totals compared with the Image, and the parts of vmlinux."""
    yield f"{style.bold(escaped(facts.vmlinux))}: where the bytes of the kernel go"
    yield ""
    rows = [
        (
            escaped(span.name) if span.kind == "section" else style.dim(escaped(span.name)),
            f"{span.address:#x}",
            human(span.file_size) if span.file_size else "-",
            human(span.size),
            f"{100 * span.size / max(1, facts.memory_size):.1f} %",
            span.flags,
            "freed" if span.freed else "",
        )
        for span in _ordered(facts.spans, order)
    ]
    total = ("total", "", human(facts.file_size), human(facts.memory_size), "100.0 %", "", "")
    head = ("section", "address", "in file", "in memory", "", "flags", "after boot")
    yield from titled(style, head, [*rows, total], "/<>>>==", drop=(1, 5))
    yield ""
    yield from columns(style, _totals(facts, style), "<><")
    if facts.parts or facts.notes:
        yield ""
    if facts.parts:
        yield from _vmlinux_lines(facts, style)
    yield from (line for note in facts.notes for line in wrapped(style, f"  {escaped(note)}", 4))


def document(facts: Sizes) -> dict[str, Any]:
    """All spans and parts: `sizes` in the schema."""
    return {
        "kind": "sizes",
        **facts._asdict(),
        "spans": [{**span._asdict(), "address": f"{span.address:#x}"} for span in facts.spans],
        "parts": [_part(part) for part in facts.parts],
        "notes": list(facts.notes),
    }


def _part(part: FilePart) -> dict[str, Any]:
    document = part._asdict()
    decompressed = document.pop("decompressed")
    return document if decompressed is None else {**document, "decompressed_size": decompressed}


def _ordered(spans: tuple[SizeSpan, ...], order: str) -> list[SizeSpan]:
    keys = {
        "address": lambda span: span.address,
        "size": lambda span: (-span.size, span.address),
        "name": lambda span: (span.name, span.address),
    }
    return sorted(spans, key=keys[order])


def _totals(facts: Sizes, style: Style) -> Iterator[tuple[str, str, str]]:
    freed = sum(span.size for span in facts.spans if span.freed)
    alignment = sum(span.size for span in facts.spans if span.kind == "alignment")
    yield "sum in file", f"{facts.file_size:,} bytes", _compared(facts.file_size, facts.image_file_size, "Image", style)
    yield (
        "sum in memory",
        f"{facts.memory_size:,} bytes",
        _compared(facts.memory_size, facts.image_size, "image_size", style),
    )
    yield "freed after boot", f"{freed:,} bytes", ""
    yield "alignment", f"{alignment:,} bytes", ""


def _compared(total: int, expected: int | None, name: str, style: Style) -> str:
    if expected is None:
        return ""
    if total == expected:
        return style.good(f"= {name}")
    return style.bad(f"is not {name}: {expected:,} ({expected - total:+,})")


def _vmlinux_lines(facts: Sizes, style: Style) -> Iterator[str]:
    """The parts of the vmlinux file: what becomes the Image and what is dropped."""
    kinds: dict[str, int] = {}
    decompressed: dict[str, int] = {}
    for part in facts.parts:
        kinds[part.kind] = kinds.get(part.kind, 0) + part.size
        if part.decompressed is not None:
            decompressed[part.kind] = decompressed.get(part.kind, 0) + part.decompressed - part.size
    fate = {"loaded": "becomes the Image"}
    fate |= {kind: f"dropped ({human(kinds[kind] + more)} when decompressed)" for kind, more in decompressed.items()}
    rows = [
        (kind, human(size), f"{100 * size / facts.vmlinux_size:.1f} %", fate.get(kind, "dropped"))
        for kind, size in sorted(kinds.items(), key=lambda item: -item[1])
    ]
    total = ("total", human(facts.vmlinux_size), "100.0 %", f"{facts.vmlinux_size:,} bytes = size of vmlinux")
    yield from titled(style, ("vmlinux itself", "size", "", ""), [*rows, total], "<>><")
