"""The bytes of a FIT image that the signature of a configuration covers.

Source: U-Boot, boot/fdt_region.c, fdt_find_regions(); boot/image-fit-sig.c, fit_config_check_sig().
"""

import struct
from collections.abc import Collection
from typing import NamedTuple

from kinspect.artifacts.dtb.blob import LARGEST_BLOCK, Dtb
from kinspect.artifacts.dtb.structure import DEEPEST
from kinspect.errors import MalformedError
from kinspect.schemas.fdt import BEGIN_NODE, END, END_NODE, NOP, PROP

_NOT_SIGNED = ("data", "data-size", "data-position", "data-offset")
"""Properties that mkimage changes after signing; the data has hashes, which are signed."""


class Region(NamedTuple):
    """A range of the file in bytes."""

    start: int
    end: int


class _RegionWalk:
    """The state of U-Boot's walk: which nodes are wanted, and the region that is open."""

    def __init__(self, base: int, paths: Collection[str]) -> None:
        self.base, self.paths = base, paths
        self.regions: list[Region] = []
        self.open = -1
        self.wanted, self.above = 0, list[int]()
        self.names: list[str] = []

    def take(self, included: bool, offset: int, stop: int) -> None:
        """One token: open a region at it, or close the open one before or behind it."""
        if included and self.open < 0:
            if self.regions and self.regions[-1].end == offset + self.base:
                self.open = self.regions.pop().start - self.base
            else:
                self.open = offset
        elif not included and self.open >= 0:
            self.regions.append(Region(self.base + self.open, self.base + stop))
            self.open = -1

    def begin(self, name: str, offset: int) -> None:
        self.names.append(name)
        self.above.append(self.wanted)
        self.wanted = 2 if "/" + "/".join(self.names[1:]) in self.paths else max(0, self.wanted - 1)
        self.take(self.wanted > 0, offset, offset)

    def end(self, offset: int, after: int) -> None:
        included = self.wanted > 0
        self.wanted = self.above.pop()
        self.names.pop()
        self.take(included, offset, after)


def signed_regions(dtb: Dtb, paths: Collection[str]) -> list[Region]:
    """The ranges of the tree that the signature of some nodes covers. MalformedError when its tokens are broken."""
    header = dtb.header
    base, size = header.off_dt_struct, min(header.size_dt_struct, LARGEST_BLOCK)
    data = dtb.source.read(base, size, "structure block")
    walk, at = _RegionWalk(base, paths), 0
    while at + 4 <= size:
        offset, token = at, int.from_bytes(data[at : at + 4], "big")
        at += 4
        if token == BEGIN_NODE and len(walk.names) < DEEPEST and (last := data.find(b"\0", at)) >= 0:
            name = data[at:last].decode("utf-8", "surrogateescape")
            at = last + 4 & ~3
            walk.begin(name, offset)
        elif token == END_NODE and walk.names:
            walk.end(offset, at)
        elif token == PROP and at + 8 <= size:
            length, name_at = struct.unpack_from(">II", data, at)
            at = at + 8 + length + 3 & ~3
            walk.take(walk.wanted > 1 and _name(dtb, name_at) not in _NOT_SIGNED, offset, offset)
        elif token == NOP:
            walk.take(walk.wanted > 1, offset, offset)
        elif token == END:
            walk.take(True, offset, at)
            return [*walk.regions, Region(base + walk.open, base + at)]
        else:
            break
    raise MalformedError("the tree cannot be read", dtb.at("structure block", base))


def _name(dtb: Dtb, offset: int) -> str:
    end = dtb.strings.find(b"\0", offset)
    return dtb.strings[offset:end].decode("utf-8", "surrogateescape") if end >= 0 else ""
