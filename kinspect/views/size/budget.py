"""A kernel held against a budget: which limits it breaks, by how much, and who has or brought the most of it."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.policy.budget import IMAGE, Budget, Limit
from kinspect.errors import MalformedError
from kinspect.views.size.attribution import Attribution
from kinspect.views.size.node import SizeNode
from kinspect.views.size.tree import size_tree

NAMED = 3
"""Groups within that are told for a limit that broke."""
WITHIN = {
    IMAGE: ("folder",),
    "section": ("section", "source"),
    "folder": ("folder", "source"),
    "source": ("source", "symbol"),
    "kind": ("kind", "source"),
}
"""What limits are on, and what within has the bytes."""
_DEPTH = 2
_MILLION = 1_000_000


class Overrun(NamedTuple):
    """A limit that broke. `actual` and `most` are bytes; of growth, bytes more than `before`.

    `by` are the groups within that have the most, or where there is an older build those that grew the most.
    """

    limit: Limit
    actual: int
    most: int
    before: int
    by: tuple[tuple[str, int], ...]


def overruns(budget: Budget, new: Attribution, old: Attribution | None = None) -> Iterator[Overrun]:
    """The limits that a kernel breaks, in the order of the budget.

    MalformedError for a budget that cannot be read, for a limit on what neither build has, and for one on growth
    without an older build. All limits are looked at before the first is told.
    """
    trees: dict[tuple[str, ...], SizeNode] = {}

    def group(by: tuple[str, ...], limit: Limit) -> SizeNode | None:
        if by not in trees:
            trees[by] = size_tree(new, by, old, depth=_DEPTH if limit.group == IMAGE else None)
        return _node(trees[by], limit)

    found = []
    for limit in budget.limits:
        if limit.growing and old is None:
            raise MalformedError("a limit on growth needs an older build (--against)", limit.at)
        node = group(WITHIN[limit.group][:1], limit)
        if node is None:
            raise MalformedError(f"the kernel has no such {limit.group}", limit.at, actual=limit.name)
        now, before = _bytes(node, limit)
        most = before * limit.most // _MILLION if limit.relative else limit.most
        actual = now - before if limit.growing else now
        if actual > most:
            # Only now is it asked what there is within: of a source, symbols.
            within = group(WITHIN[limit.group], limit) or node
            found.append(Overrun(limit, actual, most, before, _largest(within, limit, old is not None)))
    yield from found


def _bytes(node: SizeNode, limit: Limit) -> tuple[int, int]:
    """Now and before, where the limit looks."""
    return (node.file, node.file_before) if limit.in_file else (node.memory, node.memory_before)


def _node(tree: SizeNode, limit: Limit) -> SizeNode | None:
    """The group that a limit is on."""
    names = [limit.name] if limit.group != IMAGE else []
    if limit.group == "folder" and limit.name.strip("/"):
        names = limit.name.strip("/").split("/")
        if limit.name.startswith("/"):
            names.insert(0, "/")
    node: SizeNode | None = tree
    for name in names:
        node = next((child for child in node.children if child.name == name), None) if node else None
    return node


def _largest(node: SizeNode, limit: Limit, grown: bool) -> tuple[tuple[str, int], ...]:
    """The parts within that have the most bytes, or that grew the most."""
    top = limit.name.rstrip("/") if limit.group == "folder" else ""
    parts, rest = [], [(top, child) for child in node.children]
    while rest:
        path, part = rest.pop()
        # Below folders a name is that of its place, elsewhere it is whole.
        name = f"{path}/{part.name}" if path and limit.group in (IMAGE, "folder") else part.name
        if part.children:
            rest += [(name, child) for child in part.children]
            continue
        now, before = _bytes(part, limit)
        parts.append((name.removesuffix("/."), now - before if grown else now))
    parts.sort(key=lambda pair: (-pair[1], pair[0]))
    return tuple(pair for pair in parts[:NAMED] if pair[1] > 0)
