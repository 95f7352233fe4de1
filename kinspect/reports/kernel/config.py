"""The .config that is embedded in a kernel, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.boot.layers import layer_documents
from kinspect.reports.terminal import Style, escaped
from kinspect.reports.values import Document, extent
from kinspect.views.kernel.config import ConfigFacts


def lines(facts: ConfigFacts, style: Style) -> Iterator[str]:
    """The .config itself."""
    yield from map(escaped, (facts.text or "").splitlines())


def document(facts: ConfigFacts) -> Document:
    """`config` in docs/report.schema.json."""
    return {
        "kind": "config",
        "path": facts.path,
        "layers": layer_documents(facts.layers),
        "place": extent(facts.place),
        "text": facts.text,
    }
