"""modules.*.bin as depmod writes them, byte for byte. kmod 34 puts a node before its children, kmod 30 after them.

Source: kmod, tools/depmod.c, index_insert() and index_write().
"""

import struct
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kinspect.artifacts.depmod.kmod_index import Values
from kinspect.schemas.kmod_index import (
    MAGIC,
    NODE_CHILDS,
    NODE_MASK,
    NODE_PREFIX,
    NODE_VALUES,
    VERSION,
    KmodIndexHeader,
)
from kinspect.schemas.record import size_of

PREORDER_SINCE = 34
"""The first kmod that writes a node before its children."""
_U32 = struct.Struct(">I")


def sorted_values(entries: Iterable[tuple[str, int, str]]) -> dict[str, Values]:
    """Keys with their values in depmod's order: by ascending priority, the latest first among equals."""
    found: dict[str, list[tuple[int, str]]] = {}
    for key, priority, value in entries:
        found.setdefault(key, []).append((priority, value))
    for pairs in found.values():
        if len(pairs) > 1:
            # A reverse sort keeps the order of equals; after reversing the list, the latest of them comes first.
            pairs.sort(key=_priority, reverse=True)
            pairs.reverse()
    return {key: tuple(pairs) for key, pairs in found.items()}


def _priority(pair: tuple[int, str]) -> int:
    return pair[0]


def index_bytes(entries: Mapping[str, Values], kmod: int) -> bytes:
    """The index of some keys; the values of a key stay in their order.

    ValueError for a key that is not ASCII, for which depmod writes past its tables, and for a NUL in any text.
    """
    keys = sorted(entries)
    encoded = [key.encode("ascii") for key in keys]
    values = [_values(entries[key]) for key in keys]
    if any(b"\0" in key for key in encoded):
        raise ValueError("a key holds a NUL")
    nodes = _nodes(encoded)
    order = _order(nodes, kmod >= PREORDER_SINCE)
    places, offset = [0] * len(nodes), size_of(KmodIndexHeader)
    for number in order:
        prefix, key, children = nodes[number]
        place = offset
        if children:
            place |= NODE_CHILDS
            offset += 2 + 4 * (max(children) - min(children) + 1)
        if prefix:
            place |= NODE_PREFIX
            offset += len(prefix) + 1
        if key is not None:
            place |= NODE_VALUES
            offset += len(values[key])
        places[number] = place
    if offset > NODE_MASK:
        raise ValueError(f"an index of {offset:,} bytes is too large for its offsets")
    header = KmodIndexHeader(*map(_U32.pack, (MAGIC, VERSION, places[0])))
    return b"".join([*header, *(_written(nodes[number], places, values) for number in order)])


class _TrieNode(NamedTuple):
    """A node: the common prefix after the letter that leads to it, the key that ends at it, and children by letter."""

    prefix: bytes
    key: int | None
    children: dict[int, int]


def _nodes(keys: list[bytes]) -> list[_TrieNode]:
    """The trie of sorted keys, the root first. The root has no prefix, since depmod makes it before the first key."""
    nodes: list[_TrieNode] = []
    pending = [(0, len(keys), 0, -1)]
    while pending:
        low, high, depth, parent = pending.pop()
        prefix, me = b"", len(nodes)
        if parent >= 0:
            nodes[parent].children[keys[low][depth - 1]] = me
            prefix = _shared(keys[low], keys[high - 1], depth)
            depth += len(prefix)
        own = low if low < high and len(keys[low]) == depth else None
        nodes.append(_TrieNode(prefix, own, {}))
        at = low if own is None else low + 1
        while at < high:
            letter, end = keys[at][depth], at + 1
            # Most letters lead to a single key, which needs no search.
            if end < high and keys[end][depth] == letter:
                end = bisect_left(keys, keys[at][:depth] + bytes([letter + 1]), end, high)
            pending.append((at, end, depth + 1, me))
            at = end
    return nodes


def _shared(first: bytes, last: bytes, start: int) -> bytes:
    """The common prefix of two keys after their first `start` bytes."""
    if first is last:
        return first[start:]
    end, shortest = start, min(len(first), len(last))
    while end < shortest and first[end] == last[end]:
        end += 1
    return first[start:end]


def _order(nodes: list[_TrieNode], preorder: bool) -> list[int]:
    """The nodes in the order of the file."""
    order, pending = [], [0]
    while pending:
        number = pending.pop()
        order.append(number)
        children = nodes[number].children
        if children:
            pending += [children[letter] for letter in sorted(children, reverse=preorder)]
    return order if preorder else order[::-1]


def _values(values: Values) -> bytes:
    parts = [_U32.pack(len(values))]
    for priority, value in values:
        if "\0" in value:
            raise ValueError("a value holds a NUL")
        parts.append(b"%b%b\0" % (_U32.pack(priority), value.encode("utf-8", "surrogateescape")))
    return b"".join(parts)


def _written(node: _TrieNode, places: list[int], values: list[bytes]) -> bytes:
    parts = [node.prefix, b"\0"] if node.prefix else []
    children = node.children
    if children:
        first, last = min(children), max(children)
        row = [0] * (last - first + 1)
        for letter, child in children.items():
            row[letter - first] = places[child]
        parts.append(struct.pack(f">BB{len(row)}I", first, last, *row))
    if node.key is not None:
        parts.append(values[node.key])
    return b"".join(parts)
