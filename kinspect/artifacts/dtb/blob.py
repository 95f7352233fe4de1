"""Flattened device trees: header, reserved memory, nodes and their properties.

Flaws of a tree are data: they are kept with their offsets for the checks, and reading goes on as long as it can. There
is no recursion. Source: Devicetree Specification v0.4, chapter 5.
"""

from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.dtb.structure import Node, Property, Structure, StructureRule, structure_of
from kinspect.errors import Location, MalformedError, TruncatedError, UnsupportedError
from kinspect.schemas.fdt import COMPATIBLE_VERSION, MAGIC, FdtHeader, ReserveEntry
from kinspect.schemas.record import offsets, parse_table, size_of

LARGEST_BLOCK = 64 << 20
"""The largest block that is read. arm64 kernels accept device trees of up to 2 MiB; FIT images contain files."""
MOST_RESERVATIONS = 1 << 16
LONGEST_SHOWN = 200
"""Characters of a node's path that a finding shows."""
_FRAGMENTS = {"__overlay__", "__dormant__"}
"""What a fragment contains. Raspberry Pi's firmware applies a dormant one when a parameter asks for it."""


class DtbKind(StrEnum):
    """The kinds of flattened trees."""

    TREE = "device tree"
    OVERLAY = "device tree overlay"
    FIT = "FIT image"


class Block(NamedTuple):
    """A part of the file. `size` is that in the header, or as found if the header has none."""

    name: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        """The offset of the first byte after it."""
        return self.offset + self.size


class Reservations(NamedTuple):
    """The memory reservation block. `last` is the entry of size 0 that ends it; None if it is missing."""

    entries: tuple[ReserveEntry, ...]
    last: ReserveEntry | None


class DtbFacts(NamedTuple):
    """A device tree in numbers. Sizes and offsets are in bytes; `levels` counts the root.

    `file_type` is what file(1) prints of the file; an inspection adds it.
    """

    path: str
    size: int
    form: DtbKind
    header: FdtHeader
    blocks: tuple[Block, ...]
    reservations: tuple[ReserveEntry, ...]
    model: str | None
    compatible: tuple[str, ...]
    nodes: int
    properties: int
    levels: int
    phandles: int
    file_type: str = ""


class Dtb(Artifact):
    """A device tree blob of version 16 or later, an overlay or a FIT image."""

    kind = "a flattened device tree"
    hint = "`kinspect dtb` shows it"

    @cached_property
    def header(self) -> FdtHeader:
        """The header.

        TruncatedError if the file ends in it, MalformedError for a wrong magic number, UnsupportedError for a version
        that is too old.
        """
        size = size_of(FdtHeader)
        if 0 < self.size < size:
            raise TruncatedError("the header is cut off", self.at(), expected=f"{size} bytes", actual=self.size)
        header = self.record(FdtHeader, 0, "header")
        if header.magic != MAGIC:
            raise MalformedError("not a device tree", self.field("magic"), expected=f"{MAGIC:#x}", actual=header.magic)
        if header.version < COMPATIBLE_VERSION:
            at, expected = self.field("version"), f"{COMPATIBLE_VERSION} or later"
            raise UnsupportedError("unsupported version", at, expected=expected, actual=header.version)
        return header

    def field(self, name: str) -> Location:
        """The location of one field of the header."""
        return self.at(name, offsets(FdtHeader)[name])

    @cached_property
    def header_size(self) -> int:
        """The size of the header, which has one field less in version 16."""
        return size_of(FdtHeader) if self.header.version > COMPATIBLE_VERSION else offsets(FdtHeader)["size_dt_struct"]

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Header, reservations, structure and strings, where the header puts them, even if the file is too short.

        The reservations end with their last entry; in version 16 the structure ends with FDT_END.
        """
        header, reserved = self.header, self.reservations
        entries = len(reserved.entries) + (reserved.last is not None)
        return (
            Block("header", 0, self.header_size),
            Block("reservations", header.off_mem_rsvmap, entries * size_of(ReserveEntry)),
            Block("structure", header.off_dt_struct, self._structure_room if self._sized else self.structure.size),
            Block("strings", header.off_dt_strings, header.size_dt_strings),
        )

    @property
    def _sized(self) -> bool:
        """Whether the header has the size of the structure block."""
        return self.header.version > COMPATIBLE_VERSION

    @property
    def _structure_room(self) -> int:
        header = self.header
        return header.size_dt_struct if self._sized else max(0, header.totalsize - header.off_dt_struct)

    def _bytes(self, name: str, offset: int, size: int) -> bytes:
        """The part of a block that the file has."""
        size = max(0, min(size, self.header.totalsize - offset, self.size - offset))
        if size > LARGEST_BLOCK:
            at, expected = self.at(f"{name} block", offset), f"at most {LARGEST_BLOCK:,} bytes"
            raise UnsupportedError("too large for a device tree", at, expected=expected, actual=f"{size:,}")
        return self.source.read(offset, size, f"{name} block") if size else b""

    @cached_property
    def reservations(self) -> Reservations:
        """The reserved memory up to the entry of size 0, where all readers stop; at most 65,536 entries."""
        header, row = self.header, size_of(ReserveEntry)
        # In parts, since their number is nowhere in the file.
        entries: list[ReserveEntry] = []
        for start in range(header.off_mem_rsvmap, header.totalsize, 64 * row):
            data = self._bytes("reservations", start, 64 * row)
            for entry in parse_table(ReserveEntry, data[: len(data) // row * row]):
                if not entry.size:
                    return Reservations(tuple(entries), entry)
                entries.append(entry)
            if len(data) < 64 * row or len(entries) >= MOST_RESERVATIONS:
                break
        return Reservations(tuple(entries), None)

    @cached_property
    def strings(self) -> bytes:
        """The strings block, as far as the file has it."""
        return self._bytes("strings", self.header.off_dt_strings, self.header.size_dt_strings)

    @cached_property
    def structure(self) -> Structure:
        """The tree as far as it can be read, and its flaws."""
        offset = self.header.off_dt_struct
        return structure_of(self._bytes("structure", offset, self._structure_room), self.strings, offset, self._sized)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes in the order of the file: depth first, beginning with the root."""
        return self.structure.nodes

    @cached_property
    def property_names(self) -> frozenset[str]:
        """The names of all properties."""
        return frozenset(found.name for node in self.nodes for found in node.properties)

    @cached_property
    def tree(self) -> tuple[Node, ...]:
        """The nodes of a tree that can be read completely; otherwise MalformedError with the first flaw."""
        structure = self.structure
        nameless = (flaw for flaw in structure.flaws if flaw.rule == StructureRule.STRINGS)
        flaw = structure.stopped or next(nameless, None)
        if flaw:
            raise MalformedError(flaw.message, self.at("", flaw.offset), expected=flaw.expected, actual=flaw.actual)
        return structure.nodes

    @cached_property
    def _numbers(self) -> dict[tuple[int, str], int]:
        """The index of the first node with each parent and name, with and without its unit address."""
        found: dict[tuple[int, str], int] = {}
        for number, node in enumerate(self.nodes):
            found.setdefault((node.parent, node.name), number)
        for number, node in enumerate(self.nodes):
            found.setdefault((node.parent, node.name.partition("@")[0]), number)
        return found

    def number_of(self, path: str) -> int | None:
        """The index of the node at a path, or None.

        As in other readers, unit addresses may be left out, and a path that does not start with `/` starts with an
        alias.
        """
        if not self.nodes:
            return None
        if not path.startswith("/"):
            alias, _, rest = path.partition("/")
            table = self._numbers.get((0, "aliases"))
            target = self.nodes[table].property(alias) if table is not None else None
            if not (target and target.texts and target.texts[0].startswith("/")):
                return None
            path = f"{target.texts[0]}/{rest}"
        number: int | None = 0
        for name in filter(None, path.split("/")):
            number = self._numbers.get((number, name)) if number is not None else None
        return number

    def subtree(self, number: int) -> tuple[Node, ...]:
        """A node and its descendants."""
        depth, end = self.nodes[number].depth, number + 1
        while end < len(self.nodes) and self.nodes[end].depth > depth:
            end += 1
        return self.nodes[number:end]

    def path_of(self, node: Node) -> str:
        """The path of a node; only the end of it if it is very long."""
        names: list[str] = []
        while node.parent >= 0:
            names.append(node.name[: LONGEST_SHOWN + 1])
            node = self.nodes[node.parent]
        path = "/" + "/".join(reversed(names))
        return path if len(path) <= LONGEST_SHOWN else f"...{path[-LONGEST_SHOWN:]}"

    def place(self, node: Node, name: str = "") -> Location:
        """The location of a node, or of one of its properties."""
        found = node.property(name) if name else None
        return self.at(f"{self.path_of(node)} {name}".rstrip(), found.offset if found else node.offset)

    @cached_property
    def form(self) -> DtbKind:
        """The kind of tree, by the names of its upper nodes."""
        below = {node.name for node in self.nodes if node.depth == 1}
        if {"images", "configurations"} <= below:
            return DtbKind.FIT
        parts = {node.name for node in self.nodes if node.depth == 2}
        return DtbKind.OVERLAY if "__fixups__" in below or parts & _FRAGMENTS else DtbKind.TREE

    def _of_root(self, name: str) -> Property | None:
        return self.nodes[0].property(name) if self.nodes else None

    @property
    def facts(self) -> DtbFacts:
        """The tree in numbers; of a broken tree, the part that can be read."""
        model, compatible = self._of_root("model"), self._of_root("compatible")
        return DtbFacts(
            self.path,
            self.size,
            self.form,
            self.header,
            self.blocks,
            self.reservations.entries,
            model.texts[0] if model and model.texts else None,
            compatible.texts if compatible else (),
            len(self.nodes),
            sum(len(node.properties) for node in self.nodes),
            max((node.depth + 1 for node in self.nodes), default=0),
            sum(node.property("phandle") is not None for node in self.nodes),
        )
