"""What lies inside a kernel, as JSON."""

from kinspect.inspection.unpack import ConfigFacts, UnpackedFacts
from kinspect.reports.json import Document, layers, place


def unpacked(facts: UnpackedFacts) -> Document:
    """What was written, and what it came out of."""
    return {
        "kind": "unpacked",
        "path": facts.path,
        "out": facts.out,
        "artifact": facts.kind,
        "size": facts.size,
        "layers": layers(facts.layers),
    }


def config(facts: ConfigFacts) -> Document:
    """The .config, or null."""
    return {
        "kind": "config",
        "path": facts.path,
        "layers": layers(facts.layers),
        "place": place(facts.place),
        "text": facts.text,
    }
