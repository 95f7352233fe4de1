"""A kernel that was unpacked, as text."""

from collections.abc import Iterator

from kinspect.artifacts.artifact import wrapping_suffix
from kinspect.inspection.unpack import UnpackedFacts
from kinspect.reports.boot.image import layer_lines
from kinspect.reports.terminal import Style, escaped, exact


def unpacked_lines(facts: UnpackedFacts, paint: Style) -> Iterator[str]:
    """What was written, and what it came out of."""
    inside = f"{facts.kind}{wrapping_suffix(facts.layers)}, {exact(facts.size)}"
    yield f"{paint.bold(escaped(facts.out))}: written from {escaped(facts.path)}, {inside}"
    if facts.layers:
        yield ""
        yield from layer_lines(facts.layers, paint)
