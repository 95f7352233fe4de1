"""What a kernel exports, in the same form from a vmlinux and from a raw Image, which has neither sections nor symbols.

In an Image the tables are found from the name of an export that every kernel has: some word before that name points to
it, the word is in a row, and the rows around it are the tables. Versions and flags lie between the rows and the names,
so that the size of that gap tells which of them there are.
"""

from collections.abc import Iterator
from itertools import accumulate, chain, compress, islice, repeat
from operator import add
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.strings import LONGEST_NAME
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.exports import Export
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.schemas.exports import FLAG_GPL, Crc, KernelSymbol, SymbolFlags
from kinspect.schemas.record import column, offsets, size_of
from kinspect.views.tables.exports import CRC_TABLES, FLAG_TABLE, GPL_TABLE, exports
from kinspect.views.tables.parts import contents

ANCHORS = (b"loops_per_jiffy", b"jiffies_64", b"param_ops_int", b"init_task", b"vmalloc_to_page", b"strlen")
"""Names that kernels export and that hardly end another text; one of them is enough."""
REACH = 2 << 20
"""Bytes from a row to its name, at most: 0.7 MB in a distribution's kernel."""
MOST_ROWS = 1 << 17
_WINDOW = 1 << 20
_PLACES = 8
"""Of one anchor: a kernel has its name among the exports, in .BTF, and rarely in a third place."""
_CHANCE = 8
"""So many words in a row do not look like rows by chance."""
_ROW, _CRC = size_of(KernelSymbol), size_of(Crc)
_TEXT = bytes(range(0x20, 0x7F))
_PLAIN_TABLE = "__ksymtab"


class ExportTable(NamedTuple):
    """One table of exports in its order; `offset` is its place in the file.

    `targets` is what each export points to: an address in a vmlinux, an offset in an Image.
    """

    name: str
    offset: int
    exports: list[Export]
    targets: list[int]


class KernelExports(NamedTuple):
    """The tables of exports of a kernel.

    `licensed` says whether the licences can be told. In an Image without flags the order of the names tells them: it
    starts again where the second table, `__ksymtab_gpl`, does. Where it never does, there is no telling.
    """

    path: str
    tables: tuple[ExportTable, ...]
    licensed: bool = True

    @property
    def exports(self) -> list[Export]:
        """All exports, a table after the other."""
        return [export for table in self.tables for export in table.exports]

    def row(self, table: ExportTable, index: int) -> Location:
        """The place of a row of a table."""
        return Location(self.path, f"{table.name} row {index}", table.offset + index * _ROW)

    def place(self, name: str) -> Location:
        """The place of the row that exports a name; the file alone when none does."""
        for table in self.tables:
            for index, export in enumerate(table.exports):
                if export.name == name:
                    return self.row(table, index)
        return Location(self.path)


def kernel_exports(kernel: Vmlinux | Image) -> KernelExports:
    """The exports of a kernel in either form. Raises as the two below do."""
    return image_exports(kernel) if isinstance(kernel, Image) else vmlinux_exports(kernel)


def vmlinux_exports(vmlinux: Vmlinux) -> KernelExports:
    """The exports of a vmlinux, kept with it.

    Raises UnsupportedError when it has no table of exports, and as `contents` does.
    """
    return vmlinux.cached(_vmlinux_exports)


def _vmlinux_exports(vmlinux: Vmlinux) -> KernelExports:
    tables = []
    for name, versions in CRC_TABLES.items():
        found = exports(vmlinux, name)
        if found is None:
            continue
        flags = [] if name == GPL_TABLE else _beside(vmlinux, FLAG_TABLE, SymbolFlags)
        # A table beside it that is too short is for a check of the vmlinux to tell.
        rows = map(
            Export,
            found.names,
            chain(_beside(vmlinux, versions, Crc), repeat(None)),
            chain((bool(value & FLAG_GPL) for value in flags), repeat(name == GPL_TABLE)),
            found.namespaces,
        )
        tables.append(ExportTable(name, found.section.offset, list(rows), found.addresses))
    if not tables:
        problem = "no table of exports: take the vmlinux of the debug package, or the Image"
        raise UnsupportedError(problem, vmlinux.at())
    return KernelExports(vmlinux.path, tuple(tables))


def _beside(vmlinux: Vmlinux, name: str, record: type[NamedTuple]) -> list[int]:
    """The one field of every row of a table that goes with a table of exports."""
    section = vmlinux.section(name)
    if section is None or not section.in_file:
        return []
    return list(column(record, record._fields[0], contents(vmlinux, section, record)))


def image_exports(image: Image) -> KernelExports:
    """The exports of a raw Image, kept with it; only kernels since 5.4 are supported.

    Raises UnsupportedError when there are none, MalformedError when their tables are cut or do not fit together.
    """
    found = image.cached(_search)
    if isinstance(found, KernelExports):
        return found
    if found.part:
        raise MalformedError("the table of exports is cut, or not followed by what belongs to it", found)
    raise UnsupportedError("no table of exports found", found)


def readable_exports(kernel: Vmlinux | Image) -> KernelExports:
    """The exports of a kernel where they can be read, else none; why they cannot is for a check to say."""
    try:
        return kernel_exports(kernel)
    except (MalformedError, UnsupportedError):
        return KernelExports(kernel.path, ())


def _search(image: Image) -> KernelExports | Location:
    """The exports of an Image, else the place of a table that is broken, else the Image."""
    for place, name in _anchors(image):
        walk = _walked(image, place, name)
        if walk and (found := _fitting(walk)):
            return _tables(image, walk, *found)
        if walk and len(walk.rows) >= _CHANCE:
            return image.at("table of exports", walk.start)
    return image.at()


class _Row(NamedTuple):
    """A row as it stands; offsets in the file. `texts` is the lower of its two texts."""

    target: int
    name: str
    namespace: str
    texts: int


class _Walk(NamedTuple):
    """Rows in a run from `start` on, the last of which may be flags that look like rows, and the bytes after them."""

    start: int
    rows: list[_Row]
    after: bytes


def _anchors(image: Image) -> Iterator[tuple[int, int]]:
    """The rows that may be of one of the anchors, and the place of its name."""
    for anchor in ANCHORS:
        for name in islice(image.source.find(anchor + b"\0"), _PLACES):
            end = name & ~3
            while end > max(0, name - REACH):
                start = max(0, end - _WINDOW)
                # Texts lie after the rows: a distance is positive, and so the words may be read as unsigned.
                words = column(Crc, "crc", image.source.read(start, end - start))
                places = range(start, end, _CRC)
                for field in compress(places, map(name.__eq__, map(add, words, places))):
                    row = field - offsets(KernelSymbol)["name"]
                    if row >= 0:
                        yield row, name
                end = start


def _walked(image: Image, place: int, name: int) -> _Walk | None:
    """The run of rows around one, in both directions; None when that one is no row."""
    before = min(place // _ROW, MOST_ROWS)
    low = place - before * _ROW
    block = image.source.read(low, min(image.size, name + REACH) - low)
    whole = memoryview(block)[: len(block) - len(block) % _ROW]
    values, names, spaces = (column(KernelSymbol, field, whole) for field in KernelSymbol._fields)
    name_at, space_at = offsets(KernelSymbol)["name"], offsets(KernelSymbol)["namespace"]
    texts: dict[int, str | None] = {}

    def text(start: int) -> str | None:
        if start not in texts:
            end = block.find(b"\0", start, start + LONGEST_NAME)
            found = block[start:end] if end >= 0 else b"\0"
            texts[start] = None if found.translate(None, _TEXT) else found.decode("ascii")
        return texts[start]

    def row(index: int) -> _Row | None:
        at = index * _ROW
        first, second = at + name_at + names[index], at + space_at + spaces[index]
        # Names lie after all rows. Without a namespace the field is zero, or points to an empty text.
        behind = max(index, before) * _ROW + _ROW
        if not (behind <= first < len(block) and (not spaces[index] or behind <= second < len(block))):
            return None
        title, space = text(first), text(second) if spaces[index] else ""
        if not title or space is None:
            return None
        return _Row(low + at + values[index], title, space, low + (min(first, second) if spaces[index] else first))

    rows: list[_Row] = []
    index = before
    while index >= 0 and (found := row(index)):
        rows.append(found)
        index -= 1
    rows.reverse()
    start = before + 1 - len(rows)
    end = before + 1
    while rows and end < min(len(values), before + MOST_ROWS) and (found := row(end)):
        rows.append(found)
        end += 1
    return _Walk(low + start * _ROW, rows, block[start * _ROW :]) if rows else None


def _fitting(walk: _Walk) -> tuple[list[int] | None, bytes | None, int] | None:
    """The versions and flags, where there are such tables, and how many exports, where all fits; None if nothing does.

    With n rows, the names start right after the rows (12 n bytes), the versions (4 n) and the flags (n).
    """
    texts = list(accumulate((row.texts for row in walk.rows), min))
    for count in range(len(walk.rows), 0, -1):
        gap = texts[count - 1] - walk.start - count * _ROW
        versions, flags = gap >= _CRC * count, gap in (count, (_CRC + 1) * count)
        if gap not in (0, count, _CRC * count, (_CRC + 1) * count):
            continue
        # Flags are zeros and ones, which may look like rows that point a little further; nothing else does.
        if len(walk.rows) - count > (count // _ROW if gap == count else 0):
            return None
        end = count * _ROW + (_CRC * count if versions else 0)
        crcs = list(column(Crc, "crc", walk.after[count * _ROW : end])) if versions else None
        return crcs, walk.after[end : end + count] if flags else None, count
    return None


def _tables(image: Image, walk: _Walk, crcs: list[int] | None, flags: bytes | None, count: int) -> KernelExports:
    """The rows as tables: one with flags, else two, of which the second is for the GPL alone."""
    rows = walk.rows[:count]
    split = count if flags else _second_table([row.name for row in rows])
    gpl = [bool(flag & FLAG_GPL) for flag in flags] if flags else [index >= split for index in range(count)]
    found = [
        Export(row.name, crc, bit, row.namespace)
        for row, crc, bit in zip(rows, crcs or repeat(None), gpl, strict=False)
    ]
    targets = [row.target for row in rows]
    tables = [ExportTable(_PLAIN_TABLE, walk.start, found[:split], targets[:split])]
    if not flags:
        tables.append(ExportTable(GPL_TABLE, walk.start + split * _ROW, found[split:], targets[split:]))
    return KernelExports(image.path, tuple(tables), flags is not None or split < count)


def _second_table(names: list[str]) -> int:
    """Where the order of names starts again; where it falls deepest, when a row is out of order as well."""
    ranks = {name: rank for rank, name in enumerate(sorted(names))}
    falls = [(ranks[names[index - 1]] - ranks[names[index]], -index) for index in range(1, len(names))]
    depth, index = max(falls, default=(0, 0))
    return -index if depth > 0 else len(names)
