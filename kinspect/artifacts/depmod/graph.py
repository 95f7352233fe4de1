"""Graphs of dependencies: cycles, components, reachable nodes. Without recursion: chains may have any length."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def reversed_graph(graph: Mapping[K, Sequence[K]]) -> dict[K, list[K]]:
    """The nodes that lead to each node."""
    found: dict[K, list[K]] = {}
    for user, providers in graph.items():
        for provider in providers:
            found.setdefault(provider, []).append(user)
    return found


def closure(graph: Mapping[K, Sequence[K]], start: K) -> list[K]:
    """All nodes that can be reached from `start`, without itself, nearest first."""
    found, at = [start], 0
    seen = {start}
    while at < len(found):
        for other in graph.get(found[at], ()):
            if other not in seen:
                seen.add(other)
                found.append(other)
        at += 1
    return found[1:]


def components(graph: Mapping[K, Sequence[K]]) -> list[list[K]]:
    """The strongly connected components, each after those that it leads to. Tarjan's algorithm, without recursion."""
    number: dict[K, int] = {}
    low: dict[K, int] = {}
    stack: list[K] = []
    on_stack: set[K] = set()
    found: list[list[K]] = []
    for root in graph:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(graph[root]))]
        while work:
            node, others = work[-1]
            for other in others:
                if other not in number:
                    number[other] = low[other] = len(number)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(graph.get(other, ()))))
                    break
                if other in on_stack:
                    low[node] = min(low[node], number[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    part = [stack.pop()]
                    while part[-1] != node:
                        part.append(stack.pop())
                    on_stack.difference_update(part)
                    found.append(part)
    return found


def cycles(graph: Mapping[K, Sequence[K]]) -> list[tuple[K, ...]]:
    """For every component with a cycle, a shortest one through its first node; the last node leads to the first."""
    place = {node: number for number, node in enumerate(graph)}
    parts = (part for part in components(graph) if len(part) > 1 or part[0] in graph.get(part[0], ()))
    return [_cycle(graph, set(part), min(part, key=place.__getitem__)) for part in parts]


def _cycle(graph: Mapping[K, Sequence[K]], members: set[K], start: K) -> tuple[K, ...]:
    before: dict[K, K] = {}
    nodes = [start]
    for node in nodes:
        for other in graph.get(node, ()):
            if other == start:
                path = [node]
                while path[-1] != start:
                    path.append(before[path[-1]])
                return tuple(reversed(path))
            if other in members and other not in before:
                before[other] = node
                nodes.append(other)
    raise AssertionError("a component without a cycle")
