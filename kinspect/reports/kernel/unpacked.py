"""A kernel that was unpacked, as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.artifact import wrapping_suffix
from kinspect.reports.boot.layers import layer_documents, layer_lines
from kinspect.reports.terminal import Style, escaped, exact
from kinspect.reports.values import Document
from kinspect.views.kernel.unpacked import PartFacts, UnpackedFacts


def lines(facts: UnpackedFacts | PartFacts, style: Style) -> Iterator[str]:
    """What was written, and its wrappings."""
    if isinstance(facts, PartFacts):
        out, path = style.bold(escaped(facts.out)), escaped(facts.path)
        yield f"{out}: the {escaped(facts.part)} of {path}, {exact(facts.size)}"
        return
    inside = f"{facts.kind}{wrapping_suffix(facts.layers)}, {exact(facts.size)}"
    yield f"{style.bold(escaped(facts.out))}: written from {escaped(facts.path)}, {inside}"
    if facts.layers:
        yield ""
        yield from layer_lines(facts.layers, style)


def document(facts: UnpackedFacts | PartFacts) -> Document:
    """`unpacked` or `part` in docs/report.schema.json."""
    if isinstance(facts, PartFacts):
        return {"kind": "part", **facts._asdict()}
    return {
        "kind": "unpacked",
        "path": facts.path,
        "out": facts.out,
        "artifact": facts.kind,
        "size": facts.size,
        "layers": layer_documents(facts.layers),
    }
