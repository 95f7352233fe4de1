"""Which types refer to which: everything that can be reached from a type, for all types at once."""

from collections.abc import Callable, Iterable, Mapping


def reached_sets(
    nodes: Iterable[str],
    neighbours: Callable[[str], Iterable[str]],
    marks: Mapping[str, int],
    known: Mapping[str, int],
) -> dict[str, int]:
    """For each node, the union of the marks (sets of bits) of all nodes that it reaches, itself included.

    `known` are the unions of nodes that are not among `nodes`, and do not refer to them. Tarjan's algorithm: the nodes
    of a circle reach the same, and get one set.
    """
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    found: dict[str, int] = {}
    open_nodes: list[str] = []
    for root in nodes:
        if root in order:
            continue
        order[root] = low[root] = len(order)
        open_nodes.append(root)
        path = [(root, iter(neighbours(root)))]
        sets = {root: marks.get(root, 0)}
        while path:
            node, rest = path[-1]
            following = next(rest, None)
            if following is None:
                path.pop()
                if low[node] == order[node]:
                    _close(node, open_nodes, sets, found)
                if path:
                    above = path[-1][0]
                    low[above] = min(low[above], low[node])
                    sets[above] |= found[node] if node in found else sets[node]
            elif following in known:
                sets[node] |= known[following]
            elif following not in order:
                order[following] = low[following] = len(order)
                open_nodes.append(following)
                sets[following] = marks.get(following, 0)
                path.append((following, iter(neighbours(following))))
            elif following in found:
                sets[node] |= found[following]
            else:
                low[node] = min(low[node], order[following])
    return found


def _close(node: str, open_nodes: list[str], sets: dict[str, int], found: dict[str, int]) -> None:
    """All nodes of a circle get what the first of it reaches."""
    members = []
    while True:
        member = open_nodes.pop()
        members.append(member)
        if member == node:
            break
    union = 0
    for member in members:
        union |= sets.pop(member)
    found.update(dict.fromkeys(members, union))


def shortest_paths(
    starts: Mapping[str, Iterable[str]], neighbours: Callable[[str], Iterable[str]]
) -> dict[str, tuple[str, str | None]]:
    """For each node that some start reaches: the start, and the node before it on a shortest path (None: the start)."""
    found: dict[str, tuple[str, str | None]] = {}
    for start, nodes in starts.items():
        for node in nodes:
            found.setdefault(node, (start, None))
    left = list(found)
    for node in left:
        start = found[node][0]
        for following in neighbours(node):
            if following not in found:
                found[following] = (start, node)
                left.append(following)
    return found


def path_to(node: str, paths: Mapping[str, tuple[str, str | None]]) -> tuple[str, ...]:
    """The start of a shortest path and its nodes, the last of which is `node`; empty when none leads there."""
    if node not in paths:
        return ()
    nodes, before = [node], paths[node][1]
    while before is not None:
        nodes.append(before)
        before = paths[before][1]
    return (paths[node][0], *reversed(nodes))
