"""A kernel that was unpacked, as text."""

from collections.abc import Iterator

from kinspect.artifacts.artifact import within
from kinspect.inspection.unpack import UnpackedFacts
from kinspect.reports.boot.image import layer_lines
from kinspect.reports.terminal import Paint, escaped, exact


def unpacked_lines(facts: UnpackedFacts, paint: Paint) -> Iterator[str]:
    """What was written, and what it came out of."""
    inside = f"{facts.kind}{within(facts.layers)}, {exact(facts.size)}"
    yield f"{paint.bold(escaped(facts.out))}: written from {escaped(facts.path)}, {inside}"
    if facts.layers:
        yield ""
        yield from layer_lines(facts.layers, paint)
