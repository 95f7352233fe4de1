"""Phrases that findings share."""

from collections.abc import Sequence

from kinspect.checks.check import MOST

_NAMED = 3


def summarized(names: Sequence[str]) -> str:
    """The first names of several, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def cycle_text(path: Sequence[str]) -> str:
    """A cycle in words, shortened when it is long."""
    left_out = [f"... {len(path) - MOST:,} more ..."] if len(path) > MOST else []
    return " -> ".join([*path[:MOST], *left_out, path[0]])


def counted(count: int, noun: str) -> str:
    """A number of things in words."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def needed_by(count: int) -> str:
    """How many modules something hurts."""
    return "no other module needs it" if not count else f"{count:,} module{'s need' if count > 1 else ' needs'} it"
