"""A device tree whose properties and nodes can be changed as libfdt changes them, to the byte.

The structure block is a linked list of its tokens: an insertion takes the same time in a tree of any size. libfdt
edits in place and does not clear the padding of a value: what was at its place before shows up there, and here too.
Source: dtc, libfdt/fdt_rw.c.
"""

import struct
from collections.abc import Iterator

from kinspect.artifacts.dtb.blob import LARGEST_BLOCK, LONGEST_SHOWN, Dtb
from kinspect.errors import Location, MalformedError, TruncatedError, UnsupportedError
from kinspect.schemas.fdt import (
    BEGIN_NODE,
    COMPATIBLE_VERSION,
    END,
    END_NODE,
    PROP,
    VERSION,
)
from kinspect.schemas.record import build
from kinspect.views.dtb.tokens import CELL, PROPERTY_HEAD, TOKEN, EditableNode, EditableProperty, Token, aligned

_FIRST_BLOCK = 40
MOST_SEARCHED = 1 << 21
"""Nodes that are looked at, in all, to find those with a phandle that several have."""


class EditableTree:
    """A copy of a device tree in memory that can be changed.

    Raises MalformedError or TruncatedError where libfdt refuses the tree, and as the parts of a Dtb do.
    """

    def __init__(self, dtb: Dtb) -> None:
        header = dtb.header
        if dtb.size < header.totalsize:
            expected, actual = f"{header.totalsize:,} bytes", f"{dtb.size:,}"
            raise TruncatedError(
                "the device tree is truncated", dtb.field("totalsize"), expected=expected, actual=actual
            )
        if header.last_comp_version > VERSION:
            at, expected = dtb.field("last_comp_version"), f"at most {VERSION}"
            raise MalformedError("libfdt refuses the version", at, expected=expected, actual=header.last_comp_version)
        if dtb.reservations.last is None:
            raise MalformedError("the memory reservations do not end", dtb.field("off_mem_rsvmap"))
        _ = dtb.tree  # which raises MalformedError
        self.path, self._header = dtb.path, header
        _, reserved, block, strings = dtb.blocks
        for part in (reserved, block, strings):
            if part.end > header.totalsize:
                raise MalformedError(f"the {part.name} block lies outside the device tree", dtb.at("", part.offset))
        self._reserved = dtb.source.read(reserved.offset, reserved.size, "reservations block")
        self._strings = bytearray(dtb.source.read(strings.offset, strings.size, "strings block"))
        in_order = reserved.offset >= _FIRST_BLOCK and reserved.end <= block.offset and block.end <= strings.offset
        self._compatible = header.last_comp_version if in_order else COMPATIBLE_VERSION
        self._room = None if in_order else header.totalsize
        gap = dtb.source.read(block.end, strings.offset - block.end) if in_order else b""
        self._name_offsets: dict[str, int] = {}
        self._searched = 0
        data = dtb.source.read(block.offset, block.size, "structure block")
        self.root, tail = self._read(data, block.offset)
        self._tail, self._gap = tail, gap
        self._owners: dict[int, EditableNode] | None = None
        self._shared: set[int] = set()

    def _read(self, data: bytes, start: int) -> tuple[EditableNode, bytes]:
        """The root, and the bytes after FDT_END. The block was read before: it has no flaw that ends the reading."""
        names: dict[int, str] = {}
        if data[:TOKEN] != CELL.pack(BEGIN_NODE):
            raise MalformedError("the structure block does not start with the root", Location(self.path, "", start))
        before = Token(b"")
        node: EditableNode | None = None
        root: EditableNode | None = None
        at, kind = 0, 0
        while kind != END:
            (kind,) = CELL.unpack_from(data, at)
            token: Token
            if kind == BEGIN_NODE:
                end = data.index(b"\0", at + TOKEN)
                name = data[at + TOKEN : end].decode("utf-8", "surrogateescape")
                token = opened = EditableNode(name, node, data[at : aligned(end + 1)], start + at)
                if node is not None:
                    node.take_child(opened, first=False)
                root, node = root or opened, opened
            elif kind == PROP:
                size, place = struct.unpack_from(">II", data, at + TOKEN)
                if place not in names:
                    text = self._strings[place : self._strings.index(b"\0", place)]
                    names[place] = text.decode("utf-8", "surrogateescape")
                token = found = EditableProperty(
                    names[place], size, data[at : at + PROPERTY_HEAD + aligned(size)], start + at
                )
                if node is not None and before is node.last:
                    node.take_property(found)
                    node.last = found
            else:
                token = Token(data[at : at + TOKEN], start + at)
                if kind == END_NODE and node is not None:
                    node.end, node = token, node.parent
                elif kind != END and node is not None and before is node.last:
                    node.last = token
            before.next = token
            before, at = token, at + len(token.raw)
        assert root is not None
        return root, data[at:]

    def check_room(self) -> None:
        """Raise MalformedError when libfdt cannot bring the blocks in order, for which it takes only totalsize."""
        needed = len(self.blob()) if self._room is not None else 0
        if self._room is not None and needed > self._room:
            at, expected = Location(self.path, "totalsize"), f"at least {needed:,}, for blocks that are not in order"
            raise MalformedError("fdtoverlay refuses the base", at, expected=expected, actual=f"{self._room:,}")

    def place(self, node: EditableNode, found: EditableProperty | None = None) -> Location:
        """The location of a node, or of one of its properties."""
        name = f" {found.name[:LONGEST_SHOWN]}" if found else ""
        return Location(self.path, node.path + name, (found or node).offset or None)

    def find(self, path: str) -> EditableNode | None:
        """The node at a path, which may start with an alias. Source: fdt_path_offset()."""
        node: EditableNode | None = self.root
        if not path.startswith("/"):
            alias, _, path = path.partition("/")
            table = self.root.child("aliases")
            target = table.prop(alias) if table else None
            if target is None or not target.text.startswith("/"):
                return None
            node = self.find(target.text)
        for name in filter(None, path.split("/")):
            node = node.child(name) if node is not None else None
        return node

    def every_node(self) -> Iterator[EditableNode]:
        """All nodes, depth first."""
        token: Token | None = self.root
        while token is not None:
            if isinstance(token, EditableNode):
                yield token
            token = token.next

    def owner(self, phandle: int) -> EditableNode | None:
        """The first node with a phandle. UnsupportedError when many share theirs, and that takes too long."""
        if self._owners is None or phandle in self._shared:
            self._owners, self._shared = {}, set()
            for node in self.every_node():
                self._searched += 1
                if number := node.phandle:
                    self._owners.setdefault(number, node)
            if self._searched > MOST_SEARCHED:
                raise UnsupportedError("too many nodes share their phandles", Location(self.path))
        return self._owners.get(phandle)

    def set_property(self, node: EditableNode, name: str, value: bytes) -> bytes | None:
        """Give a property a value, and return the one that it had. A new property comes first."""
        is_phandle = name in ("phandle", "linux,phandle")
        phandle = node.phandle if is_phandle else 0
        found = node.prop(name)
        before = found.value if found else None
        if found is None:
            head = CELL.pack(PROP) + CELL.pack(len(value)) + CELL.pack(self._name_offset(name))
            padding = self._stale(b"", node.next, len(value), PROPERTY_HEAD)
            found = EditableProperty(name, len(value), head + value + padding)
            found.next, node.next = node.next, found
            node.last = found if node.last is node else node.last
            node.take_property(found)
        else:
            padding = self._stale(found.raw[PROPERTY_HEAD:], found.next, len(value))
            found.raw = found.raw[:TOKEN] + CELL.pack(len(value)) + found.raw[8:PROPERTY_HEAD] + value + padding
            found.size = len(value)
        if is_phandle:
            self._moved(node, phandle)
        return before

    def _moved(self, node: EditableNode, before: int) -> None:
        """Keep the index of phandles: those with which the order of nodes counts are looked up anew."""
        now = node.phandle
        if self._owners is None or now == before:
            return
        self._shared.update({before, now} & self._owners.keys())
        if now:
            self._owners.setdefault(now, node)

    def add_node(self, parent: EditableNode, name: str) -> EditableNode:
        """A new node, before the other children."""
        raw = name.encode("utf-8", "surrogateescape") + b"\0"
        node = EditableNode(name, parent, CELL.pack(BEGIN_NODE) + raw.ljust(aligned(len(raw)), b"\0"))
        node.end = node.next = Token(CELL.pack(END_NODE))
        node.end.next, parent.last.next = parent.last.next, node
        parent.take_child(node, first=True)
        return node

    def _name_offset(self, name: str) -> int:
        """The place of a name in the strings block, at whose end it is added if need be."""
        if name not in self._name_offsets:
            raw = name.encode("utf-8", "surrogateescape") + b"\0"
            place = self._strings.find(raw)
            if place < 0:
                place = len(self._strings)
                self._strings += raw
            self._name_offsets[name] = place
        return self._name_offsets[name]

    def _stale(self, before: bytes | bytearray, token: Token | None, size: int, shift: int = 0) -> bytes:
        """What is left in the padding of a value of `size` bytes, where `before` was and `token` comes next."""
        start, end = shift + size, shift + aligned(size)
        if start == end:
            return b""
        left = bytearray(before[:end])
        while len(left) < end and token is not None:
            left += token.raw[: end - len(left)]
            token = token.next
        for rest in (self._tail, self._gap, self._strings):
            if len(left) < end:
                left += rest
        return bytes(left[start:end].ljust(end - start, b"\0"))

    def blob(self) -> bytes:
        """The tree as fdt_pack() leaves it. UnsupportedError when it is too large."""
        parts: list[bytes | bytearray] = []
        token: Token | None = self.root
        while token is not None:
            parts.append(token.raw)
            token = token.next
        structure = b"".join([*parts, self._tail])
        start = _FIRST_BLOCK + len(self._reserved)
        total = start + len(structure) + len(self._strings)
        if total > LARGEST_BLOCK:
            expected = f"at most {LARGEST_BLOCK:,} bytes"
            raise UnsupportedError("the merged device tree is too large", Location(self.path), expected=expected)
        header = self._header._replace(
            totalsize=total,
            off_dt_struct=start,
            off_dt_strings=start + len(structure),
            off_mem_rsvmap=_FIRST_BLOCK,
            version=VERSION,
            last_comp_version=self._compatible,
            size_dt_strings=len(self._strings),
            size_dt_struct=len(structure),
        )
        return build(header) + self._reserved + structure + self._strings
