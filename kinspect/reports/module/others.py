"""Exports and folders of modules as JSON."""

from typing import Any

from kinspect.artifacts.build.symvers import SymversFacts
from kinspect.artifacts.module.tree import ModuleTreeFacts
from kinspect.views.abi.changes import AbiFacts
from kinspect.views.abi.kernel_match import AgainstFacts

Document = dict[str, Any]


def symvers(facts: SymversFacts) -> Document:
    """A Module.symvers in numbers."""
    counts = {"types": dict(facts.types), "namespaces": dict(facts.namespaces)}
    return {"kind": "symvers", **facts._asdict(), "layout": facts.layout.value, **counts}


def against(facts: AgainstFacts) -> Document:
    """A Module.symvers held against a kernel, in numbers."""
    counts = {"tables": dict(facts.tables), "differences": dict(facts.differences)}
    return {"kind": "symvers and kernel", **facts._asdict(), **counts}


def abi(facts: AbiFacts) -> Document:
    """Two Module.symvers compared."""
    changes = [{**one._asdict(), "change": one.change.value, "breaks": one.breaks} for one in facts.changes]
    document = {"kind": "abi", **facts._asdict(), "rules": facts.rules or None, "versions": facts.versions.value}
    return {**document, "kept": facts.kept, "breaks": facts.breaks, "changes": changes}


def tree(facts: ModuleTreeFacts) -> Document:
    """A folder of modules."""
    return {"kind": "modules", **facts._asdict(), "release": facts.release or None, "others": list(facts.others)}
