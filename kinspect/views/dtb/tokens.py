"""The tokens of a structure block as a linked list, in which nodes and properties can be inserted."""

import struct
from collections.abc import Iterator

from kinspect.artifacts.dtb.blob import LONGEST_SHOWN
from kinspect.schemas.fdt import PropertyHeader
from kinspect.schemas.record import size_of

CELL = struct.Struct(">I")
TOKEN = 4
PROPERTY_HEAD = TOKEN + size_of(PropertyHeader)
"""Bytes of a property before its value."""


def aligned(size: int) -> int:
    """A size with the padding after it."""
    return size + 3 & ~3


class Token:
    """A token with what belongs to it, at an offset of its file, and the token after it."""

    __slots__ = ("next", "offset", "raw")

    def __init__(self, raw: bytes, offset: int = 0) -> None:
        self.raw: bytes | bytearray = raw
        self.offset = offset
        self.next: Token | None = None


class EditableProperty(Token):
    """A property of `size` bytes."""

    __slots__ = ("name", "size")

    def __init__(self, name: str, size: int, raw: bytes, offset: int = 0) -> None:
        super().__init__(raw, offset)
        self.name, self.size = name, size

    @property
    def value(self) -> bytes:
        """Its value, without padding."""
        return bytes(self.raw[PROPERTY_HEAD : PROPERTY_HEAD + self.size])

    @property
    def text(self) -> str:
        """The value up to its first NUL, as C reads it."""
        return self.value.partition(b"\0")[0].decode("utf-8", "surrogateescape")

    def cell(self, at: int) -> int | None:
        """The 32-bit number at an offset of the value; None when it is not inside."""
        return int(CELL.unpack_from(self.raw, PROPERTY_HEAD + at)[0]) if 0 <= at <= self.size - 4 else None

    def set_cell(self, at: int, number: int) -> None:
        """Overwrite a number that `cell` returned."""
        if not isinstance(self.raw, bytearray):
            self.raw = bytearray(self.raw)
        CELL.pack_into(self.raw, PROPERTY_HEAD + at, number & 0xFFFFFFFF)


class EditableNode(Token):
    """A node. `last` is the last token before its first child, `end` the token that closes it."""

    __slots__ = ("_children", "_properties", "end", "last", "name", "parent")

    def __init__(self, name: str, parent: "EditableNode | None", raw: bytes, offset: int = 0) -> None:
        super().__init__(raw, offset)
        self.name, self.parent = name, parent
        self.last: Token = self
        self.end: Token = self
        self._properties: dict[str, EditableProperty] | None = None
        self._children: dict[str, EditableNode] | None = None

    def prop(self, name: str) -> EditableProperty | None:
        """The first property with a name."""
        return self._properties.get(name) if self._properties else None

    def child(self, name: str) -> "EditableNode | None":
        """The first child with a name, which may lack its unit address."""
        return self._children.get(name) if self._children else None

    @property
    def properties(self) -> Iterator[EditableProperty]:
        """The properties, in order."""
        token = self.next
        while token is not None and self.last is not self:
            if isinstance(token, EditableProperty):
                yield token
            if token is self.last:
                return
            token = token.next

    @property
    def nodes(self) -> Iterator["EditableNode"]:
        """The children, in order."""
        token = self.last.next
        while token is not None and token is not self.end:
            if isinstance(token, EditableNode):
                yield token
                token = token.end
            token = token.next

    @property
    def phandle(self) -> int:
        """Its phandle, 0 without one."""
        for name in ("phandle", "linux,phandle"):
            found = self.prop(name)
            if found is not None and found.size == 4:
                return found.cell(0) or 0
        return 0

    @property
    def path(self) -> str:
        """Its path; only the end of it if it is very long."""
        node, path = self, ""
        while node.parent is not None and len(path) <= LONGEST_SHOWN:
            path = f"/{node.name[: LONGEST_SHOWN + 1]}{path}"
            node = node.parent
        return (path or "/") if len(path) <= LONGEST_SHOWN else f"...{path[-LONGEST_SHOWN:]}"

    def whole_path(self) -> str:
        """Its path, however long."""
        names, node = [], self
        while node.parent is not None:
            names.append(node.name)
            node = node.parent
        return "/" + "/".join(reversed(names))

    def take_property(self, found: EditableProperty) -> None:
        """Make a property known."""
        if self._properties is None:
            self._properties = {}
        self._properties.setdefault(found.name, found)

    def take_child(self, found: "EditableNode", first: bool) -> None:
        """Make a child known; as the first one, or the last."""
        if self._children is None:
            self._children = {}
        for name in {found.name, found.name.partition("@")[0]}:
            if first:
                self._children[name] = found
            else:
                self._children.setdefault(name, found)
