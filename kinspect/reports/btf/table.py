"""The types in a file, counted, as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.btf.table import BtfFacts
from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped, exact
from kinspect.reports.values import Document


def lines(facts: BtfFacts, style: Style) -> Iterator[str]:
    """The number of types of each kind."""
    yield f"{style.bold(escaped(facts.path))}: {counted(facts.types, 'type')} (BTF), {exact(facts.size)}"
    if facts.base_types:
        yield f"  after the {facts.base_types:,} of the kernel"
    yield ""
    yield from columns(style, ((kind.lower(), f"{count:,}") for kind, count in facts.kinds), "<>")


def document(facts: BtfFacts) -> Document:
    """`btf` in docs/report.schema.json."""
    return {"kind": "btf", **facts._asdict(), "kinds": dict(facts.kinds)}
