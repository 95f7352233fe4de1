"""The exports of a kernel, in the same form from a vmlinux and from a raw Image, which has no sections or symbols.

In an Image, the tables are found from the name of an export that every kernel has: a word before the name points to
it, that word is part of a row, and the rows around it are the tables. CRCs and flags are between the rows and the
names: the size of that gap shows which of them are present.
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
"""Exports of every kernel whose names hardly end another string; one of them is enough."""
REACH = 2 << 20
"""The largest distance from a row to its name, in bytes: 0.7 MB in a distribution's kernel."""
MOST_ROWS = 1 << 17
_WINDOW = 1 << 20
_PLACES = 8
"""Occurrences of an anchor that are tried: it is among the exports, in .BTF, and rarely in a third place."""
_NAMES_TRIED = 16
"""Occurrences that are tried for the rows of a kernel of before 5.4."""
_CHANCE = 8
"""This many rows in a run are not there by chance."""
_ROW, _CRC = size_of(KernelSymbol), size_of(Crc)
_TEXT = bytes(range(0x20, 0x7F))
_PLAIN_TABLE = "__ksymtab"


class ExportTable(NamedTuple):
    """One table of exports, in its order; `offset` is that of its first row in the file, `row` the size of a row.

    `targets` has what each export points to: an address in a vmlinux, a file offset in an Image.
    """

    name: str
    offset: int
    exports: list[Export]
    targets: list[int]
    row: int = size_of(KernelSymbol)


class KernelExports(NamedTuple):
    """The tables of exports of a kernel.

    `licensed` says whether the licences are known. In an Image without flags they follow from the order of the names,
    which starts again where the second table, `__ksymtab_gpl`, starts; if it never does, they are unknown.
    """

    path: str
    tables: tuple[ExportTable, ...]
    licensed: bool = True

    @property
    def exports(self) -> list[Export]:
        """All exports, table by table."""
        return [export for table in self.tables for export in table.exports]

    def row(self, table: ExportTable, index: int) -> Location:
        """The location of a row of a table."""
        return Location(self.path, f"{table.name} row {index}", table.offset + index * table.row)

    def place(self, name: str) -> Location:
        """The location of the row that exports a name; that of the file when none does."""
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
        # A check of the vmlinux reports CRC and flag tables that are too short.
        rows = map(
            Export,
            found.names,
            chain(_beside(vmlinux, versions, Crc), repeat(None)),
            chain((bool(value & FLAG_GPL) for value in flags), repeat(name == GPL_TABLE)),
            found.namespaces,
        )
        tables.append(ExportTable(name, found.section.offset, list(rows), found.addresses, size_of(found.record)))
    if not tables:
        problem = "no table of exports: take the vmlinux of the debug package, or the Image"
        raise UnsupportedError(problem, vmlinux.at())
    return KernelExports(vmlinux.path, tuple(tables))


def _beside(vmlinux: Vmlinux, name: str, record: type[NamedTuple]) -> list[int]:
    """The only field of every row of the CRC or flag table that goes with a table of exports."""
    section = vmlinux.section(name)
    if section is None or not section.in_file:
        return []
    return list(column(record, record._fields[0], contents(vmlinux, section, record)))


def image_exports(image: Image) -> KernelExports:
    """The exports of a raw Image, kept with it.

    Raises UnsupportedError when none are found, MalformedError when a table is cut or does not fit with the others.
    """
    found = image.cached(_search)
    if isinstance(found, KernelExports):
        return found
    if found.part:
        raise MalformedError("the table of exports is truncated, or what should follow it is missing", found)
    raise UnsupportedError("no table of exports found", found)


def readable_exports(kernel: Vmlinux | Image) -> KernelExports:
    """The exports of a kernel; none when they cannot be read, which a check reports."""
    try:
        return kernel_exports(kernel)
    except (MalformedError, UnsupportedError):
        return KernelExports(kernel.path, ())


def _search(image: Image) -> KernelExports | Location:
    """The exports of an Image, else the location of a broken table, else that of the Image."""
    names: list[int] = []
    for place, name in _anchors(image, names):
        run = _run_around(image, place, name)
        if run and (found := _fitting(run)):
            return _tables(image, run, *found)
        if run and len(run.rows) >= _CHANCE:
            return image.at("table of exports", run.start)
    return _older(image, names[:_NAMES_TRIED]) or image.at()


def _older(image: Image, names: list[int]) -> KernelExports | None:
    """The exports of a kernel of before 5.4."""
    from kinspect.views.tables.older_exports import older_table

    found = older_table(image, names, REACH)
    if found is None:
        return None
    split = _second_table(found.names)
    columns = zip(found.names, found.crcs or repeat(None), strict=False)
    exports = [Export(name, crc, index >= split, "") for index, (name, crc) in enumerate(columns)]
    second = found.offset + split * found.row
    tables = (
        ExportTable(_PLAIN_TABLE, found.offset, exports[:split], found.targets[:split], found.row),
        ExportTable(GPL_TABLE, second, exports[split:], found.targets[split:], found.row),
    )
    return KernelExports(image.path, tables, split < len(exports))


class _Row(NamedTuple):
    """A row of an Image; offsets in the file. `texts` is the lower offset of its two strings."""

    target: int
    name: str
    namespace: str
    texts: int


class _Run(NamedTuple):
    """Consecutive rows from `start` on, and the bytes from there. The last may be flags that look like rows."""

    start: int
    rows: list[_Row]
    after: bytes


def _anchors(image: Image, names: list[int]) -> Iterator[tuple[int, int]]:
    """Offsets of possible rows of an anchor, each with the offset of its name; `names` takes those of all."""
    for anchor in ANCHORS:
        for name in islice(image.source.find(anchor + b"\0"), _PLACES):
            names.append(name)
            end = name & ~3
            while end > max(0, name - REACH):
                start = max(0, end - _WINDOW)
                # Strings come after the rows: distances are positive, so words can be read as unsigned.
                words = column(Crc, "crc", image.source.read(start, end - start))
                places = range(start, end, _CRC)
                for field in compress(places, map(name.__eq__, map(add, words, places))):
                    row = field - offsets(KernelSymbol)["name"]
                    if row >= 0:
                        yield row, name
                end = start


def _run_around(image: Image, place: int, name: int) -> _Run | None:
    """The run of rows around the one at `place`; None when that is not a row."""
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
        # Names come after all rows. Without a namespace the field is zero, or points to an empty string.
        after = max(index, before) * _ROW + _ROW
        if not (after <= first < len(block) and (not spaces[index] or after <= second < len(block))):
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
    return _Run(low + start * _ROW, rows, block[start * _ROW :]) if rows else None


def _fitting(run: _Run) -> tuple[list[int] | None, bytes | None, int] | None:
    """CRCs and flags, where there are such tables, and the number of exports; None when no number fits.

    With n exports, the names start right after the rows (12 n bytes), the CRCs (4 n) and the flags (n).
    """
    texts = list(accumulate((row.texts for row in run.rows), min))
    for count in range(len(run.rows), 0, -1):
        gap = texts[count - 1] - run.start - count * _ROW
        versions, flags = gap >= _CRC * count, gap in (count, (_CRC + 1) * count)
        if gap not in (0, count, _CRC * count, (_CRC + 1) * count):
            continue
        # Flags are zeros and ones, which may look like rows that point a little ahead; nothing else does.
        if len(run.rows) - count > (count // _ROW if gap == count else 0):
            return None
        end = count * _ROW + (_CRC * count if versions else 0)
        crcs = list(column(Crc, "crc", run.after[count * _ROW : end])) if versions else None
        return crcs, run.after[end : end + count] if flags else None, count
    return None


def _tables(image: Image, run: _Run, crcs: list[int] | None, flags: bytes | None, count: int) -> KernelExports:
    """The rows as tables: one with flags, else two, of which the second is GPL-only."""
    rows = run.rows[:count]
    split = count if flags else _second_table([row.name for row in rows])
    gpl = [bool(flag & FLAG_GPL) for flag in flags] if flags else [index >= split for index in range(count)]
    found = [
        Export(row.name, crc, bit, row.namespace)
        for row, crc, bit in zip(rows, crcs or repeat(None), gpl, strict=False)
    ]
    targets = [row.target for row in rows]
    tables = [ExportTable(_PLAIN_TABLE, run.start, found[:split], targets[:split])]
    if not flags:
        tables.append(ExportTable(GPL_TABLE, run.start + split * _ROW, found[split:], targets[split:]))
    return KernelExports(image.path, tuple(tables), flags is not None or split < count)


def _second_table(names: list[str]) -> int:
    """Where the order of names starts again; with rows out of order, where it falls furthest."""
    ranks = {name: rank for rank, name in enumerate(sorted(names))}
    falls = [(ranks[names[index - 1]] - ranks[names[index]], -index) for index in range(1, len(names))]
    depth, index = max(falls, default=(0, 0))
    return -index if depth > 0 else len(names)
