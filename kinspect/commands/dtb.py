"""The command for device trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinspect.commands.telling import attempt, tell

if TYPE_CHECKING:
    from kinspect.commands import words


def dtb(
    paths: words.Dtbs,
    *,
    tree: words.Tree = False,
    path: words.NodePath = None,
    form: words.Form = "text",
    json: words.Json = False,
    quiet: words.Quiet = False,
) -> int:
    """Show what a device tree is and judge it; or print it as dtc does."""
    from kinspect.inspection import dtb as inspection

    if tree or path is not None:
        return tell((attempt(inspection.tree, one, path) for one in paths), json, quiet, form=form)
    return tell((attempt(inspection.dtb, one) for one in paths), json, quiet, form=form)
