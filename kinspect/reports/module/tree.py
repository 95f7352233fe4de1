"""A folder of modules as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.module.tree import ModuleTreeFacts
from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document


def lines(facts: ModuleTreeFacts, style: Style) -> Iterator[str]:
    """The release, the number of modules, and the files of depmod and the build beside them."""
    yield f"{style.bold(escaped(facts.path))}: {counted(facts.modules, 'module')}"
    yield ""
    compressed = f", {facts.compressed:,} compressed" if facts.compressed else ""
    rows = [
        ("release", escaped(facts.release) or "not known"),
        ("modules", f"{facts.modules:,}{compressed}"),
        ("beside them", ", ".join(facts.others) or "nothing: `kinspect depmod` writes modules.dep and its siblings"),
    ]
    if facts.root != facts.path:
        rows.insert(0, ("folder", escaped(facts.root)))
    yield from columns(style, rows, "<<")


def containers(facts: ModuleTreeFacts) -> list[str]:
    """The package that the modules are from."""
    return [facts.path]


def verdict_notes(facts: ModuleTreeFacts) -> Iterator[str]:
    """That there are no modules, as in a package with only the files beside them."""
    if not facts.modules:
        yield "not checked: modules (not in the folder)"


def document(facts: ModuleTreeFacts) -> Document:
    """`modules` in docs/report.schema.json."""
    return {"kind": "modules", **facts._asdict(), "release": facts.release or None, "others": list(facts.others)}
