"""Sizes as text."""

from collections.abc import Iterator

from kinspect.reports.terminal import Style, columns, escaped, human, titled
from kinspect.views.size.account import Sizes, SizeSpan

ORDERS = ("address", "size", "name")


def sizes_lines(facts: Sizes, paint: Style, order: str = "address") -> Iterator[str]:
    """Every span of the kernel, the sums with their proof, and what vmlinux has beside."""
    yield f"{paint.bold(escaped(facts.vmlinux))}: where the bytes of the kernel go"
    yield ""
    rows = [
        (
            escaped(span.name) if span.kind == "section" else paint.dim(escaped(span.name)),
            f"{span.address:#x}",
            human(span.file_size) if span.file_size else "-",
            human(span.size),
            f"{100 * span.size / max(1, facts.memory_size):.1f} %",
            span.flags,
            "freed after boot" if span.freed else "",
        )
        for span in _ordered(facts.spans, order)
    ]
    total = ("total", "", human(facts.file_size), human(facts.memory_size), "100.0 %", "", "")
    head = ("section", "address", "in file", "in memory", "", "flags", "")
    yield from titled(paint, head, [*rows, total], "<<>>><<")
    yield ""
    yield from columns(_proof(facts, paint), "<><")
    yield ""
    yield from _vmlinux_lines(facts, paint)


def _ordered(spans: tuple[SizeSpan, ...], order: str) -> list[SizeSpan]:
    keys = {
        "address": lambda span: span.address,
        "size": lambda span: (-span.size, span.address),
        "name": lambda span: (span.name, span.address),
    }
    return sorted(spans, key=keys[order])


def _proof(facts: Sizes, paint: Style) -> Iterator[tuple[str, str, str]]:
    freed = sum(span.size for span in facts.spans if span.freed)
    alignment = sum(span.size for span in facts.spans if span.kind == "alignment")
    yield "sum in file", f"{facts.file_size:,} bytes", _proved(facts.file_size, facts.image_file_size, "Image", paint)
    yield (
        "sum in memory",
        f"{facts.memory_size:,} bytes",
        _proved(facts.memory_size, facts.image_size, "image_size", paint),
    )
    yield "freed after boot", f"{freed:,} bytes", ""
    yield "alignment", f"{alignment:,} bytes", ""


def _proved(total: int, wanted: int | None, name: str, paint: Style) -> str:
    if wanted is None:
        return ""
    if total == wanted:
        return paint.good(f"= {name}")
    return paint.bad(f"is not {name}: {wanted:,} ({wanted - total:+,})")


def _vmlinux_lines(facts: Sizes, paint: Style) -> Iterator[str]:
    """What of the vmlinux file becomes the Image, and what is dropped."""
    kinds: dict[str, int] = {}
    for part in facts.parts:
        kinds[part.kind] = kinds.get(part.kind, 0) + part.size
    fate = {"loaded": "becomes the Image"}
    rows = [
        (kind, human(size), f"{100 * size / facts.vmlinux_size:.1f} %", fate.get(kind, "dropped"))
        for kind, size in sorted(kinds.items(), key=lambda item: -item[1])
    ]
    total = ("total", human(facts.vmlinux_size), "100.0 %", f"{facts.vmlinux_size:,} bytes = size of vmlinux")
    yield from titled(paint, ("vmlinux itself", "size", "", ""), [*rows, total], "<>><")
