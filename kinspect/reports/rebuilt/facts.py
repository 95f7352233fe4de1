"""An ELF file that was made from an Image, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.boot.layers import layer_documents
from kinspect.reports.layout import columns, titled, wrapped
from kinspect.reports.terminal import Style, escaped, exact
from kinspect.reports.values import Document, hexadecimal
from kinspect.views.rebuilt.facts import ElfFacts


def lines(facts: ElfFacts, style: Style) -> Iterator[str]:
    """What was written, its sections, and what is not in it."""
    out, path = style.bold(escaped(facts.out)), escaped(facts.path)
    yield f"{out}: ELF written from {path}, {exact(facts.size)}"
    others = facts.symbols - facts.functions - facts.objects
    symbols = f"{facts.symbols:,}: {facts.functions:,} functions, {facts.objects:,} objects, {others:,} others"
    rows = [("_text at", f"{hexadecimal(facts.start)}, from {facts.known_from}"), ("symbols", symbols)]
    rows += [("build ID", facts.build_id)] if facts.build_id else []
    rows += [("left out", f"{exact(facts.left_out)} after the kernel")] if facts.left_out else []
    yield from columns(style, rows, "<<")
    yield ""
    head = ("section", "address", "size", "")
    sections = [
        (escaped(row.name), hexadecimal(row.address), f"{row.size:,}", "not in the file" if row.letter == "b" else "")
        for row in facts.sections
    ]
    yield from titled(style, head, sections, "<<><")
    yield ""
    yield "Missing, compared with a vmlinux:"
    for part in facts.missing:
        yield from wrapped(style, f"  - {part}", 4)


def document(facts: ElfFacts) -> Document:
    """`elf` in docs/report.schema.json."""
    return {
        "kind": "elf",
        "path": facts.path,
        "out": facts.out,
        "size": facts.size,
        "layers": layer_documents(facts.layers),
        "start": hexadecimal(facts.start),
        "known_from": facts.known_from,
        "build_id": facts.build_id,
        "sections": [
            {"name": row.name, "address": hexadecimal(row.address), "size": row.size, "letter": row.letter}
            for row in facts.sections
        ],
        "symbols": {"total": facts.symbols, "functions": facts.functions, "objects": facts.objects},
        "left_out": facts.left_out,
        "missing": list(facts.missing),
    }
