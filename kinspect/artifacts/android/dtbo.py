"""Android's DTBO and DTB images: a table of overlays or device trees, of which a boot loader chooses."""

from collections.abc import Iterator
from functools import cached_property

from kinspect.artifacts.android.verified import Verified
from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.boot.parts import FDT, BootPart, joined_trees
from kinspect.errors import KinspectError, Location, MalformedError, UnsupportedError
from kinspect.schemas.android import DTBO_COMPRESSIONS, DtTableEntry, DtTableHeader
from kinspect.schemas.record import offsets, parse_table, size_of
from kinspect.source import Source, Window

_MOST = 4096
_LARGEST_TREE = 4 << 20
_PACKED = 0xF
"""The bits of an entry's flags with its compression."""


class Dtbo(Verified):
    """A table of device trees. Source: Android, system/libufdt, dt_table.h; "DTB and DTBO partitions"."""

    kind = "an Android DTBO image"
    program = "Android DTBO image"

    @cached_property
    def header(self) -> DtTableHeader:
        """The header of the table. TruncatedError when the file is shorter."""
        return self.record(DtTableHeader, 0, "table header")

    @property
    def title(self) -> str:
        """The name and the version of the table."""
        return f"{self.program} v{self.header.version}"

    def field(self, name: str) -> Location:
        """The location of a field of the header."""
        return self.at(name, offsets(DtTableHeader)[name])

    @cached_property
    def entries(self) -> tuple[DtTableEntry, ...]:
        """The entries. MalformedError when there are too many, or they are too small; TruncatedError without room."""
        header, least = self.header, size_of(DtTableEntry)
        count, size = header.dt_entry_count, header.dt_entry_size
        if count > _MOST:
            at = self.field("dt_entry_count")
            raise MalformedError("too many entries", at, expected=f"at most {_MOST:,}", actual=f"{count:,}")
        if count and not least <= size <= 1 << 10:
            raise MalformedError(
                "not the size of an entry", self.field("dt_entry_size"), expected=f"{least} bytes", actual=size
            )
        data = self.source.read(header.dt_entries_offset, count * size, "table")
        rows = (data[at : at + least] for at in range(0, len(data), size or 1))
        return tuple(parse_table(DtTableEntry, b"".join(rows)))

    def entry_at(self, number: int, field: str = "") -> Location:
        """The location of an entry of the table, counted from 1, or of one of its fields."""
        offset = self.header.dt_entries_offset + (number - 1) * self.header.dt_entry_size
        return self.at(f"entry {number} {field}".rstrip(), offset + (offsets(DtTableEntry)[field] if field else 0))

    @property
    def listed(self) -> tuple[BootPart, ...]:
        """The trees in the order of the table, with the ids by which a boot loader chooses."""
        trees = (
            BootPart(f"dtb-{number}", entry.dt_offset, entry.dt_size, f"id {entry.id:#x}, rev {entry.rev:#x}")
            for number, entry in enumerate(self.entries, 1)
        )
        return (*trees, *self.verified_parts())

    @property
    def contents_end(self) -> int:
        """The end of the table and its trees, or of the metadata of Android Verified Boot."""
        return max([self.header.total_size, *(part.end for part in self.parts)])

    @property
    def separate_parts(self) -> tuple[BootPart, ...]:
        """The parts, each range once: entries may share a tree."""
        return tuple({(part.start, part.size): part for part in reversed(self.parts)}.values())[::-1]

    def compression(self, entry: DtTableEntry) -> str | None:
        """How a tree is compressed: `none`, `zlib` or `gzip`; None when its flags have another number."""
        return DTBO_COMPRESSIONS.get(entry.flags & _PACKED) if self.header.version else "none"

    def contents_of(self, number: int) -> Source:
        """A tree, unpacked: that of an entry, counted from 1.

        TruncatedError when it ends past the file, MalformedError when its stream is broken, UnsupportedError when it is
        too large or its compression is unknown.
        """
        from kinspect.artifacts.compression.streams import pieces, too_large

        part, entry = self.parts[number - 1], self.entries[number - 1]
        window, packing = Window(self.source, part.start, part.size), self.compression(entry)
        if packing is None:
            at, actual = self.entry_at(number, "flags"), entry.flags & _PACKED
            raise UnsupportedError("unknown compression", at, expected="0 to 2", actual=actual)
        if packing == "none":
            return window
        found = bytearray()
        for piece, _ in pieces(window, 0, window.size, packing):
            found += piece
            if len(found) > _LARGEST_TREE:
                raise too_large(window, _LARGEST_TREE)
        return Source(self.path, bytes(found))

    def tree_source(self, part: BootPart) -> Source:
        """The tree, unpacked if it can be."""
        number = self.parts.index(part) + 1 if part in self.parts else 0
        try:
            return self.contents_of(number) if 0 < number <= len(self.entries) else self.source_of(part)
        except KinspectError:
            return self.source_of(part)

    def trees(self) -> Iterator[Artifact]:
        """The trees, each range once, unpacked; those that are none are left to a check."""
        seen = set()
        for number, part in enumerate(self.parts[: len(self.entries)], 1):
            if (part.start, part.size) in seen:
                continue
            seen.add((part.start, part.size))
            try:
                source = self.contents_of(number)
            except KinspectError:
                continue
            if source.size and source.head(len(FDT)) == FDT:
                yield from joined_trees(source, 0, f"{self.path}:{part.name}")
