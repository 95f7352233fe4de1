"""The structure block of a device tree, token by token. Source: Devicetree Specification v0.4, 5.4."""

import struct
import sys
from array import array
from collections import Counter
from enum import StrEnum
from typing import NamedTuple

from kinspect.errors import Value
from kinspect.schemas.fdt import BEGIN_NODE, END, END_NODE, NOP, PROP, PropertyHeader
from kinspect.schemas.record import size_of, table_row

MOST_TOKENS = 1 << 19
"""As many as fit into the 2 MiB that an arm64 kernel accepts."""
DEEPEST = 1024
LONGEST_TEXT = 1 << 16
LONGEST_NAME = 255
"""Bytes of a property's name; the specification allows 31."""
MOST_FLAWS = 20
"""Flaws of one rule that are kept."""
_HEADER = 4 + size_of(PropertyHeader)
"""Bytes of a property before its value."""
_PADDING = (0, 0xFFFFFF, 0xFFFF, 0xFF)
"""The bits of a value's last word that are padding, by the size of the value modulo 4."""


class StructureRule(StrEnum):
    """The rules for a structure block."""

    TOKENS = "tokens"
    NESTING = "nesting"
    LENGTHS = "lengths"
    STRINGS = "strings"
    ORDER = "order"
    PADDING = "padding"
    END = "end"


class Flaw(NamedTuple):
    """A violation of a rule, and its offset in the file."""

    rule: StructureRule
    message: str
    offset: int
    expected: Value | None = None
    actual: Value | None = None


class Property(NamedTuple):
    """A property. `offset` is that of its token in the file."""

    name: str
    value: bytes
    offset: int

    @property
    def texts(self) -> tuple[str, ...]:
        """The value as a list of strings, each of which ends in NUL; empty if it is none, or longer than 64 KiB."""
        if not self.value.endswith(b"\0") or len(self.value) > LONGEST_TEXT:
            return ()
        return tuple(self.value[:-1].decode("utf-8", "surrogateescape").split("\0"))

    @property
    def cells(self) -> tuple[int, ...]:
        """The value as 32-bit cells; empty if its size is not a multiple of 4."""
        count, rest = divmod(len(self.value), 4)
        return () if rest else struct.unpack(f">{count}I", self.value)


class Node(NamedTuple):
    """A node. `parent` is the index of its parent, -1 for the root; `offset` is that of its token in the file."""

    name: str
    parent: int
    depth: int
    offset: int
    properties: list[Property]

    def property(self, name: str) -> Property | None:
        """The first property with a name."""
        for found in self.properties:
            if found.name == name:
                return found
        return None


class Structure(NamedTuple):
    """The nodes, depth first, as far as they can be read. `size` is the number of bytes up to and including FDT_END.

    `stopped` is the flaw that ended the reading early; `counts` counts all flaws, `flaws` has the first of each rule.
    """

    nodes: tuple[Node, ...]
    size: int
    flaws: tuple[Flaw, ...]
    counts: dict[StructureRule, int]
    stopped: Flaw | None


class _StoppedError(Exception):
    """A flaw after which nothing more can be read."""


class _StructureReader:
    """The state while a structure block is read; offsets are relative to the block."""

    def __init__(self, data: bytes, strings: bytes, base: int) -> None:
        self.data, self.strings, self.base, self.at = data, strings, base, 0
        self.nodes: list[Node] = []
        self.open: list[int] = []
        self.flaws: list[Flaw] = []
        self.counts: Counter[StructureRule] = Counter()
        self.names: dict[int, str] = {}
        self.stopped: Flaw | None = None

    def flaw(
        self, rule: StructureRule, message: str, offset: int, expected: Value | None = None, actual: Value | None = None
    ) -> Flaw:
        found = Flaw(rule, message, self.base + offset, expected, actual)
        self.counts[rule] += 1
        if self.counts[rule] <= MOST_FLAWS:
            self.flaws.append(found)
        return found

    def stop(
        self, rule: StructureRule, message: str, offset: int, expected: Value | None = None, actual: Value | None = None
    ) -> None:
        self.stopped = self.flaw(rule, message, offset, expected, actual)
        raise _StoppedError

    def read(self) -> None:
        """Read tokens up to FDT_END. Raises _StoppedError."""
        data, reading = self.data, {BEGIN_NODE: self.begin, END_NODE: self.end, PROP: self.prop}
        words = array("I", data[: len(data) & ~3])
        if sys.byteorder == "little":
            words.byteswap()
        left, count = MOST_TOKENS, len(words)
        while left > 0:
            left -= self.plain(words, left)
            if not left:
                break
            start = self.at
            if start >> 2 >= count:
                self.stop(StructureRule.NESTING, "the structure ends without FDT_END", start)
            token = words[start >> 2]
            self.at, left = start + 4, left - 1
            if token in reading:
                reading[token](start)
            elif token == END:
                if self.open:
                    self.stop(StructureRule.NESTING, f"FDT_END with {len(self.open):,} nodes open", start)
                if not self.nodes:
                    self.stop(StructureRule.NESTING, "FDT_END before any node", start)
                return
            elif token != NOP:
                self.stop(StructureRule.TOKENS, "unknown token", start, "1, 2, 3, 4 or 9", f"{token:#x}")
        self.stop(StructureRule.TOKENS, "too many tokens", self.at, f"at most {MOST_TOKENS:,}")

    def plain(self, words: "array[int]", most: int) -> int:
        """Read tokens up to one with a flaw, a name of a property that is new, or the root's end: how many there were.

        This is what `begin`, `end` and `prop` do, in one loop: a distribution has millions of tokens.
        """
        data, base, known, nodes, above = self.data, self.base, self.names, self.nodes, self.open
        # The properties of the latest node, while it has no subnodes.
        own = nodes[-1].properties if above and above[-1] == len(nodes) - 1 else None
        at, last, new, find = self.at >> 2, len(words) - 3, tuple.__new__, data.find
        done = 0
        while done < most and at <= last:
            token = words[at]
            if token == PROP and own is not None:
                value, name = 4 * at + _HEADER, known.get(words[at + 2])
                end = value + words[at + 1]
                after = end + 3 >> 2
                # The padding is the end of the last word.
                if name is None or after > last or (end & 3 and words[after - 1] & _PADDING[end & 3]):
                    break
                own.append(new(Property, (name, data[value:end], base + 4 * at)))
            elif token == BEGIN_NODE and 0 < len(above) < DEEPEST:
                start = 4 * at + 4
                end = find(b"\0", start) + 1
                after = end + 3 >> 2
                if not end or after > last or (end & 3 and words[after - 1] & _PADDING[end & 3]):
                    break
                own = []
                node = data[start : end - 1].decode("utf-8", "surrogateescape"), above[-1], len(above), start - 4 + base
                above.append(len(nodes))
                nodes.append(new(Node, (*node, own)))
            elif token == END_NODE and len(above) > 1:
                above.pop()
                after, own = at + 1, None
            else:
                break
            at = after
            done += 1
        self.at = 4 * at
        return done

    def begin(self, start: int) -> None:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            self.stop(StructureRule.LENGTHS, "a node's name is not terminated", start)
        if not self.open and self.nodes:
            self.stop(StructureRule.NESTING, "a second root", start)
        if len(self.open) >= DEEPEST:
            self.stop(StructureRule.NESTING, "nodes are nested too deeply", start, f"at most {DEEPEST:,} levels")
        parent = self.open[-1] if self.open else -1
        name = self.data[self.at : end].decode("utf-8", "surrogateescape")
        self.nodes.append(Node(name, parent, len(self.open), self.base + start, []))
        self.open.append(len(self.nodes) - 1)
        self.skip_padding(end + 1)

    def end(self, start: int) -> None:
        if not self.open:
            self.stop(StructureRule.NESTING, "FDT_END_NODE without a node", start)
        self.open.pop()

    def prop(self, start: int) -> None:
        if not self.open:
            self.stop(StructureRule.NESTING, "a property outside of any node", start)
        value = self.at + size_of(PropertyHeader)
        if value > len(self.data):
            self.stop(StructureRule.LENGTHS, "a property is cut off", start)
        length, name = table_row(PropertyHeader).unpack_from(self.data, self.at)
        if length > len(self.data) - value:
            expected = f"at most {len(self.data) - value:,}"
            self.stop(StructureRule.LENGTHS, "a property's value goes past the end", start, expected, length)
        number = self.open[-1]
        if number < len(self.nodes) - 1:
            self.flaw(StructureRule.ORDER, "a property after a subnode of its node", start)
        found = Property(self.name(name, start), self.data[value : value + length], self.base + start)
        self.nodes[number].properties.append(found)
        self.skip_padding(value + length)

    def skip_padding(self, end: int) -> None:
        """Continue at the next multiple of 4."""
        self.at = -(-end // 4) * 4
        if self.data[end : self.at].strip(b"\0"):
            self.flaw(StructureRule.PADDING, "padding is not zero", end, bytes(self.at - end), self.data[end : self.at])

    def name(self, offset: int, start: int) -> str:
        """A property's name, the same object for all that share it; its offset in brackets if it has no name."""
        found = self.names.get(offset)
        if found is not None:
            return found
        end = self.strings.find(b"\0", offset, offset + LONGEST_NAME + 1)
        if end < 0:
            expected = f"below {len(self.strings):,}"
            if offset < len(self.strings):
                self.flaw(
                    StructureRule.STRINGS, "a property's name is not terminated", start, f"at most {LONGEST_NAME} bytes"
                )
            else:
                self.flaw(
                    StructureRule.STRINGS, "a property's name is outside of the strings block", start, expected, offset
                )
            return f"<{offset:#x}>"
        found = self.strings[offset:end].decode("utf-8", "surrogateescape")
        self.names[offset] = found
        return found


def structure_of(data: bytes, strings: bytes, base: int, sized: bool) -> Structure:
    """The tree in a structure block at offset `base` of its file; `sized` if the header has the size of the block."""
    reader = _StructureReader(data, strings, base)
    try:
        reader.read()
        if sized and reader.at != len(data):
            reader.flaw(StructureRule.END, "bytes follow FDT_END", reader.at, reader.at, len(data))
    except _StoppedError:
        pass
    return Structure(tuple(reader.nodes), reader.at, tuple(reader.flaws), dict(reader.counts), reader.stopped)
