"""The files that depmod wrote, as text and as JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped, exact
from kinspect.views.depmod.written import WrittenFacts


def lines(facts: WrittenFacts, style: Style) -> Iterator[str]:
    """Each file and its size."""
    yield f"{style.bold(escaped(facts.folder))}: written for {counted(facts.modules, 'module')}"
    yield ""
    yield from columns(style, [(name, exact(size)) for name, size in facts.files], "<<")


def rows(facts: WrittenFacts) -> Iterator[Sequence[str | int]]:
    """The table for CSV."""
    yield "name", "size"
    yield from facts.files


def document(facts: WrittenFacts) -> dict[str, Any]:
    """`depmod` in the schema."""
    files = [{"name": name, "size": size} for name, size in facts.files]
    return {"kind": "depmod", "path": facts.folder, "modules": facts.modules, "written": files}
