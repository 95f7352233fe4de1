"""Phrases that findings share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kinspect.checks.check import MOST

if TYPE_CHECKING:
    from kinspect.artifacts.module.tree import ModuleTree

_NAMED = 3


def summarized(names: Sequence[str]) -> str:
    """The first of several names, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def cycle_text(path: Sequence[str]) -> str:
    """A cycle as `a -> b -> a`, shortened when it is long."""
    left_out = [f"... {len(path) - MOST:,} more ..."] if len(path) > MOST else []
    return " -> ".join([*path[:MOST], *left_out, path[0]])


def counted(count: int, noun: str) -> str:
    """A number of things: `1 module`, `2,000 modules`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def needed_by(count: int) -> str:
    """How many modules depend on one."""
    return "no other module needs it" if not count else f"{count:,} module{'s need' if count > 1 else ' needs'} it"


def impact(tree: "ModuleTree", name: str) -> str:
    """How many modules cannot be loaded without a module."""
    # Most checks need a phrase, not depmod.
    from kinspect.views.depmod.tree import depmod_of

    return needed_by(len(depmod_of(tree).users(name)))
