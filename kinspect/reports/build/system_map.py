"""A System.map as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.build.system_map import SystemMapFacts
from kinspect.reports.terminal import Style, counted, escaped, exact
from kinspect.reports.values import Document


def lines(facts: SystemMapFacts, style: Style) -> Iterator[str]:
    """One line: number of symbols and size."""
    symbols = counted(facts.symbols, "symbol")
    yield f"{style.bold(escaped(facts.path))}: System.map, {symbols}, {exact(facts.size)}"


def document(facts: SystemMapFacts) -> Document:
    """`system_map` in docs/report.schema.json."""
    return {"kind": "system_map", **facts._asdict()}
