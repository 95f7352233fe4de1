"""A linker map: which object each address comes from (`vmlinux.map` of a build with CONFIG_VMLINUX_MAP).

GNU ld writes ` SECTION ADDRESS SIZE OBJECT`, and ADDRESS on a line of its own where the name is long; LLD writes
`ADDRESS LOAD-ADDRESS SIZE ALIGN OBJECT:(SECTION)` in columns. Neither format is specified.
Source: binutils, ld/ldlang.c, print_input_section(); LLVM, lld/ELF/MapFile.cpp, writeMapFile().
"""

import re
from collections.abc import Iterator
from functools import cached_property
from sys import intern
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.errors import MalformedError, UnsupportedError

LARGEST = 1 << 30
"""Bytes of a map. A kernel with all drivers built in has some hundred million."""
MOST = 1 << 22
"""Contributions that are kept; such a kernel has some hundred thousand."""
_PIECE = 8 << 20
_DWARF = b".debug_"
_LLD_HEAD = re.compile(rb" +VMA +LMA +Size +Align +Out +In +Symbol$", re.MULTILINE)
_GNU_START = b"\nLinker script and memory map"
_GNU = re.compile(
    rb"^( ?)([^\s*]\S*+)\n?[ ]++0x([0-9a-f]{1,16}) +0x([0-9a-f]{1,16})(?: load address .*+| ((?!load )[^\n]++))?$"
    rb"(?:\n +0x([0-9a-f]{1,16}) \(size before relaxing\))?",
    re.MULTILINE,
)
_LLD = re.compile(
    rb"^ *([0-9a-f]{1,16}) +[0-9a-f]{1,16} +([0-9a-f]{1,16}) +\d+ (?: {8}(\S.*+)|([^ \n][^ \n]*+))$", re.MULTILINE
)


class Output(NamedTuple):
    """A section of the linked file. `offset` is that of its line in the map, in bytes."""

    section: str
    address: int
    size: int
    offset: int


class Contribution(NamedTuple):
    """An object's contribution to the linked file. `object` is empty for what the linker itself generated.

    `size` is what was kept of it, in bytes: strings that several objects have are kept in the first. `before` is the
    size before such merging, where the map has it; `offset` is that of the line in the map.
    """

    section: str
    address: int
    size: int
    object: str
    before: int | None
    offset: int


class LinkerMap(Artifact):
    """A map written by `ld -Map`. Memory is bounded for any file."""

    kind = "a linker map"

    @property
    def outputs(self) -> list[Output]:
        """The sections of the linked file in the order of the map, those without an address too.

        Raises MalformedError when the file is not a linker map, UnsupportedError when it is too large.
        """
        return self._parsed[0]

    @property
    def contributions(self) -> list[Contribution]:
        """The objects' contributions in the order of the map, without empty and discarded ones and without DWARF."""
        return self._parsed[1]

    def line(self, offset: int) -> int:
        """The number of the line at an offset, counted from 1."""
        line, at = 1, 0
        while at < offset:
            size = min(_PIECE, offset - at)
            line += self.source.read(at, size).count(b"\n")
            at += size
        return line

    @cached_property
    def _parsed(self) -> tuple[list[Output], list[Contribution]]:
        if self.size > LARGEST:
            raise UnsupportedError("too large", self.at(), expected=f"at most {LARGEST:,} bytes", actual=self.size)
        outputs: list[Output] = []
        found: list[Contribution] = []
        for row in self._rows():
            if isinstance(row, Output):
                outputs.append(row)
            elif len(found) < MOST:
                found.append(row)
            else:
                raise UnsupportedError("too many sections", self.at(), expected=f"at most {MOST:,}")
        if not outputs:
            raise MalformedError("a linker map without sections", self.at())
        return outputs, found

    def _rows(self) -> Iterator[Output | Contribution]:
        """The rows of the map, read in pieces that end between two rows."""
        if _LLD_HEAD.match(self.source.head(256)):
            rows, at = _lld_rows, 0
        else:
            rows, at = _gnu_rows, next(self.source.find(_GNU_START), -1) + 1
            if not at:
                raise MalformedError(
                    "not a linker map",
                    self.at()._replace(line=1),
                    expected='"Linker script and memory map" (GNU ld) or "VMA LMA Size Align Out In Symbol" (LLD)',
                    actual=repr(self.source.head(40).partition(b"\n")[0].decode("ascii", "replace")),
                )
        end = self.size
        while at < end:
            data = self.source.read(at, min(_PIECE, end - at))
            if at + len(data) < end:
                cut = data.rfind(b"\n")
                # A row of GNU ld continues in lines that begin with many spaces.
                while cut > 0 and data.startswith(b"  ", cut + 1):
                    cut = data.rfind(b"\n", 0, cut)
                data = data[: cut + 1] or data
            yield from rows(data, at)
            at += len(data)


def _gnu_rows(data: bytes, at: int) -> Iterator[Output | Contribution]:
    for match in _GNU.finditer(data):
        inside, name, address, size, path, before = match.groups()
        section, start, length, offset = _text(name), int(address, 16), int(size, 16), at + match.start()
        if not inside:
            if path is None:
                yield Output(section, start, length, offset)
        elif length and start and not name.startswith(_DWARF):
            merged = int(before, 16) if before else None
            yield Contribution(section, start, length, _text(path or b"").strip(), merged, offset)


def _lld_rows(data: bytes, at: int) -> Iterator[Output | Contribution]:
    for match in _LLD.finditer(data):
        address, size, inside, output = match.groups()
        start, length, offset = int(address, 16), int(size, 16), at + match.start()
        if output:
            yield Output(_text(output), start, length, offset)
        elif length and start and inside.endswith(b")"):
            path, _, section = inside[:-1].rpartition(b":(")
            own = b"" if path == b"<internal>" else path
            # Without a path it is an assignment: `. = ALIGN ( 8 )`.
            if path and not section.startswith(_DWARF):
                yield Contribution(_text(section), start, length, _text(own), None, offset)


def _text(name: bytes) -> str:
    # Interned: each name occurs some hundred times in a map.
    return intern(name.decode("utf-8", "surrogateescape"))
