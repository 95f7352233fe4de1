"""Exports and folders of modules as JSON."""

from typing import Any

from kinspect.inspection.modules import WrittenFacts

Document = dict[str, Any]


def written(facts: WrittenFacts) -> Document:
    """What depmod's work left."""
    files = [{"name": name, "size": size} for name, size in facts.written]
    return {"kind": "depmod", "path": facts.tree, "modules": facts.modules, "written": files}
