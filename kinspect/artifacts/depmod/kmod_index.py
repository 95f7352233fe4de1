"""modules.*.bin: the indexes that modprobe reads, tries from keys to values with priorities.

Reading is bounded for any file: nodes may not overlap, single keys and all keys together have limits, and there is no
recursion. Source: kmod, libkmod/libkmod-index.c.
"""

import struct
from collections.abc import Iterator
from functools import cache, cached_property
from typing import NamedTuple, NoReturn

from kinspect.artifacts.artifact import Artifact
from kinspect.errors import MalformedError, TruncatedError, UnsupportedError, Value
from kinspect.schemas.kmod_index import (
    CHILDMAX,
    MAGIC,
    MAJOR,
    NODE_CHILDS,
    NODE_MASK,
    NODE_PREFIX,
    NODE_VALUES,
    VERSION,
    KmodIndexHeader,
)
from kinspect.schemas.record import parse_table, size_of

LARGEST_INDEX = 64 << 20
"""Bytes of an index that are read; a distribution's largest has about one million."""
LONGEST_KEY = 4096
"""PATH_MAX, the size of depmod's own buffers."""
_LARGEST_KEYS = 64 << 20

Values = tuple[tuple[int, str], ...]
"""The values of a key: (priority, value), priorities ascending."""
_U32 = struct.Struct(">I")
_LETTERS = [bytes([letter]) for letter in range(CHILDMAX)]


@cache
def _row(count: int) -> struct.Struct:
    return struct.Struct(f">{count}I")


class _IndexNode(NamedTuple):
    prefix: bytes
    first: int
    children: tuple[int, ...]
    values: Values
    size: int


class KmodIndex(Artifact):
    """A kmod index: modules.dep.bin, modules.alias.bin, modules.symbols.bin, modules.builtin[.alias].bin."""

    kind = "an index of kmod (modules.*.bin)"

    @cached_property
    def data(self) -> bytes:
        """The bytes of the file. UnsupportedError over 64 MiB."""
        if self.size > LARGEST_INDEX:
            expected = f"at most {LARGEST_INDEX:,} bytes"
            raise UnsupportedError("too large for an index", self.at(), expected=expected, actual=self.size)
        return self.source.read(0, self.size)

    @cached_property
    def header(self) -> KmodIndexHeader:
        """The header. MalformedError if modprobe would not accept magic or version."""
        size = size_of(KmodIndexHeader)
        if len(self.data) < size:
            raise TruncatedError("the index ends too early", self.at(), expected=f"{size} bytes", actual=len(self.data))
        header = parse_table(KmodIndexHeader, self.data[:size])[0]
        if header.magic != MAGIC:
            raise MalformedError("not an index of kmod", self.at("magic", 0), expected=MAGIC, actual=header.magic)
        if header.version >> 16 != MAJOR:
            raise MalformedError("unknown version", self.at("version", 4), expected=VERSION, actual=header.version)
        return header

    def __iter__(self) -> Iterator[tuple[str, Values]]:
        """Every key with its values, by key. MalformedError names the offset of a bad node."""
        header = size_of(KmodIndexHeader)
        pending, taken, collected = [(self.header.root, b"")], header, 0
        most = max(len(self.data), header + 1)
        while pending:
            place, key = pending.pop()
            prefix, letter, children, values, size = self._node(place)
            # Nodes that do not overlap have at most as many bytes as the file; this stops loops as well.
            taken += size or 1
            key += prefix
            if taken > most:
                raise self._bad("nodes overlap or lead back to each other", place)
            if len(key) > LONGEST_KEY:
                raise self._bad("a key is too long", place, f"at most {LONGEST_KEY} bytes", len(key))
            if values:
                collected += len(key)
                if collected > _LARGEST_KEYS:
                    raise self._bad("the keys are too long together", place, f"at most {_LARGEST_KEYS:,} bytes")
                yield key.decode("ascii", "surrogateescape"), values
            letter += len(children)
            for child in reversed(children):
                letter -= 1
                if child & NODE_MASK:
                    pending.append((child, key + _LETTERS[letter]))

    @cached_property
    def entries(self) -> dict[str, Values]:
        """Every key with its values."""
        return dict(self)

    def lookup(self, key: str) -> Values:
        """The values of one key, empty if it is missing. Like modprobe this reads only the nodes on its path."""
        encoded = key.encode("ascii", "surrogateescape")
        place, at = self.header.root, 0
        # Each step takes at least one byte of the key.
        while place & NODE_MASK:
            node = self._node(place)
            if not encoded.startswith(node.prefix, at):
                return ()
            at += len(node.prefix)
            if at == len(encoded):
                return node.values
            number = encoded[at] - node.first
            place, at = node.children[number] if 0 <= number < len(node.children) else 0, at + 1
        return ()

    def matches(self, key: str) -> Values:
        """The values of all keys that match `key` as patterns (`*`, `?`, `[...]`), as modprobe finds aliases."""
        found = [values for pattern, values in self.entries.items() if glob_matches(pattern, key)]
        return tuple(sorted((pair for values in found for pair in values), key=lambda pair: pair[0]))

    def _node(self, place: int) -> _IndexNode:
        data, start = self.data, place & NODE_MASK
        offset, prefix, first = start, b"", 0
        children: tuple[int, ...] = ()
        values: Values = ()
        if place & NODE_PREFIX:
            end = data.find(b"\0", offset, offset + LONGEST_KEY + 1)
            prefix = data[offset : end if end >= 0 else self._unended(place)]
            offset = end + 1
        try:
            if place & NODE_CHILDS:
                first, last = data[offset], data[offset + 1]
                if not first <= last < CHILDMAX:
                    raise self._bad("invalid child range", place, f"first <= last < {CHILDMAX}", f"{first} to {last}")
                row = _row(last - first + 1)
                children, offset = row.unpack_from(data, offset + 2), offset + 2 + row.size
            if place & NODE_VALUES:
                values, offset = self._values(offset, place)
        except (IndexError, struct.error) as reason:
            raise self._bad("a node ends past the file", place) from reason
        return _IndexNode(prefix, first, children, values, offset - start)

    def _values(self, offset: int, place: int) -> tuple[Values, int]:
        """The values at an offset, and the offset after them."""
        data, values = self.data, []
        (count,), offset = _U32.unpack_from(data, offset), offset + 4
        # A value takes at least five bytes.
        if count > (len(data) - offset) // 5:
            raise self._bad("more values than the file holds", place, actual=count)
        for _ in range(count):
            end = data.find(b"\0", offset + 4)
            value = data[offset + 4 : end if end >= 0 else self._unended(place)]
            values.append((_U32.unpack_from(data, offset)[0], value.decode("utf-8", "surrogateescape")))
            offset = end + 1
        return tuple(values), offset

    def _unended(self, place: int) -> NoReturn:
        raise self._bad("a string without a NUL", place)

    def _bad(
        self, problem: str, place: int, expected: Value | None = None, actual: Value | None = None
    ) -> MalformedError:
        return MalformedError(problem, self.at("node", place & NODE_MASK), expected=expected, actual=actual)


def glob_matches(pattern: str, text: str) -> bool:
    """Whether a pattern of fnmatch(3) matches a whole text. There is no exponential backtracking."""
    at = here = 0
    star, mark = -1, 0
    while at < len(text):
        end = _one(pattern, here, text[at])
        if here < len(pattern) and pattern[here] == "*":
            star, mark = here, at
            here += 1
        elif end:
            here, at = end, at + 1
        elif star >= 0:
            mark += 1
            here, at = star + 1, mark
        else:
            return False
    return not pattern[here:].strip("*")


def _one(pattern: str, at: int, letter: str) -> int:
    """The position in the pattern after matching one letter; 0 if it does not match."""
    if at >= len(pattern):
        return 0
    if pattern[at] == "[":
        start = at + 2 if pattern[at + 1 : at + 2] in ("!", "^") else at + 1
        # A closing bracket right after the opening one is an ordinary character.
        end = pattern.find("]", start + 1)
        if end > 0:
            return end + 1 if _in_brackets(pattern[start:end], letter) != (start == at + 2) else 0
    return at + 1 if pattern[at] in (letter, "?") else 0


def _in_brackets(inside: str, letter: str) -> bool:
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            if inside[at] <= letter <= inside[at + 2]:
                return True
            at += 3
        elif inside[at] == letter:
            return True
        else:
            at += 1
    return False
