"""A kernel compared with a budget: the limits it exceeds, by how much, and the parts that are largest or grew most."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.policy.budget import IMAGE, Budget, Limit
from kinspect.errors import MalformedError
from kinspect.views.size.attribution import Attribution
from kinspect.views.size.node import SizeNode
from kinspect.views.size.tree import size_tree

MOST_PARTS = 3
"""Parts that are named of a group that exceeds its limit."""
PARTS = {
    IMAGE: ("folder",),
    "section": ("section", "source"),
    "folder": ("folder", "source"),
    "source": ("source", "symbol"),
    "kind": ("kind", "source"),
}
"""How the group that each kind of limit is on is found and divided into parts."""
_DEPTH = 2
_MILLION = 1_000_000


class Overrun(NamedTuple):
    """An exceeded limit. `actual` and `most` are bytes; for growth, bytes more than `before`.

    `by` names the largest parts of the group, or with an older build those that grew the most.
    """

    limit: Limit
    actual: int
    most: int
    before: int
    by: tuple[tuple[str, int], ...]


class BudgetComparison(NamedTuple):
    """A kernel compared with a budget. `old` is the path of the older build that growth is counted from."""

    vmlinux: str
    old: str | None
    overruns: tuple[Overrun, ...]


def compared_with_budget(budget: Budget, new: Attribution, old: Attribution | None = None) -> BudgetComparison:
    """All limits that a kernel exceeds. Raises MalformedError as `overruns` does."""
    before = old.vmlinux.path if old else None
    return BudgetComparison(new.vmlinux.path, before, tuple(overruns(budget, new, old)))


def overruns(budget: Budget, new: Attribution, old: Attribution | None = None) -> Iterator[Overrun]:
    """The limits that a kernel exceeds, in the order of the budget.

    Raises MalformedError for a budget that cannot be read, for a limit on a group that neither build has, and for one
    on growth without an older build; always before it yields the first limit.
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
        node = group(PARTS[limit.group][:1], limit)
        if node is None:
            raise MalformedError(f"the kernel has no such {limit.group}", limit.at, actual=limit.name)
        now, before = _bytes(node, limit)
        most = before * limit.most // _MILLION if limit.relative else limit.most
        actual = now - before if limit.growing else now
        if actual > most:
            # Dividing a group takes time (a source has symbols), so only exceeded limits pay for it.
            divided = group(PARTS[limit.group], limit) or node
            found.append(Overrun(limit, actual, most, before, _largest(divided, limit, old is not None)))
    yield from found


def _bytes(node: SizeNode, limit: Limit) -> tuple[int, int]:
    """The bytes that the limit counts, now and before."""
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
    """The largest parts of a group, or those that grew the most."""
    top = limit.name.rstrip("/") if limit.group == "folder" else ""
    parts, rest = [], [(top, child) for child in node.children]
    while rest:
        path, part = rest.pop()
        # In folders, names are relative; elsewhere they are whole paths.
        name = f"{path}/{part.name}" if path and limit.group in (IMAGE, "folder") else part.name
        if part.children:
            rest += [(name, child) for child in part.children]
            continue
        now, before = _bytes(part, limit)
        parts.append((name.removesuffix("/."), now - before if grown else now))
    parts.sort(key=lambda pair: (-pair[1], pair[0]))
    return tuple(pair for pair in parts[:MOST_PARTS] if pair[1] > 0)
