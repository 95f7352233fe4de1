"""Folders of modules as text."""

from collections.abc import Iterator

from kinspect.artifacts.module.tree import ModuleTreeFacts
from kinspect.reports.terminal import Style, columns, counted, escaped


def tree_lines(facts: ModuleTreeFacts, paint: Style) -> Iterator[str]:
    """What a folder of modules holds."""
    yield f"{paint.bold(escaped(facts.path))}: {counted(facts.modules, 'module')}"
    yield ""
    compressed = f", {facts.compressed:,} compressed" if facts.compressed else ""
    rows = [
        ("release", escaped(facts.release) or "not known"),
        ("modules", f"{facts.modules:,}{compressed}"),
        ("beside them", ", ".join(facts.others) or "nothing: `kinspect depmod` writes modules.dep and its siblings"),
    ]
    if facts.root != facts.path:
        rows.insert(0, ("folder", escaped(facts.root)))
    yield from columns(rows, "<<")
