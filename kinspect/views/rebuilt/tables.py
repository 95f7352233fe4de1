"""The tables in a raw Image that are found without symbols: by what their rows must be."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from struct import Struct, unpack_from

from kinspect.artifacts.boot.ending import relocations
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.raw.notes import notes
from kinspect.schemas import elf
from kinspect.schemas.elf import Rela
from kinspect.schemas.exports import Crc
from kinspect.schemas.record import size_of, table_row
from kinspect.schemas.tables import AltInstruction, ExceptionTableEntry, ExceptionTableEntryUntyped
from kinspect.views.rebuilt.claims import DATA, READ_ONLY, Claim
from kinspect.views.tables.raw_exports import readable_exports

RELOCATIONS = ".rela.dyn"
"""Not of type SHT_RELA: some of its rows refer to a table of symbols that the Image does not have."""
_SEGMENT = 1 << 16
"""The alignment of .data. Source: arch/arm64/include/asm/memory.h, _SEGMENT_ALIGN."""
_FEWEST, _MOST = 8, 1 << 18
"""Rows of a table that are not there by chance, and that are followed."""
_DYNAMIC = (elf.R_AARCH64_ABS64, elf.R_AARCH64_GLOB_DAT, elf.R_AARCH64_JUMP_SLOT, elf.R_AARCH64_RELATIVE)
_LONGEST_NOTES = 1 << 12
_LARGEST_TYPE = 15
_AFTER_STRINGS = re.compile(rb"\0[^\x20-\x7e]{7}|[^\0\x20-\x7e]")
"""What is in no table of names: eight bytes that are no text, or one that never is."""
_NOTE_HEAD = 16
"""The bytes of a GNU note before its description."""


def claims_of_tables(image: Image, data: bytes, code: Sequence[tuple[int, int]]) -> Iterator[Claim]:
    """The tables that are found in the bytes of an Image, whose code is in some ranges."""
    yield from _exports(image)
    found = image.embedded.btf
    if found is not None:
        yield Claim(".BTF", READ_ONLY, found.offset, found.offset + found.size)
    note = _notes(image, data)
    if note is not None:
        yield note
        if table := _exceptions(data, note.start, code):
            yield table
    yield from relocation_tables(image, data)


def _exports(image: Image) -> Iterator[Claim]:
    end, versions = 0, list[tuple[str, int]]()
    for table in readable_exports(image).tables:
        if not table.exports:
            continue
        end = table.offset + len(table.exports) * table.row
        yield Claim(table.name, READ_ONLY, table.offset, end)
        if table.exports[0].crc is not None:
            versions.append((table.name.replace("ksymtab", "kcrctab"), len(table.exports) * size_of(Crc)))
    for name, size in versions:
        yield Claim(name, READ_ONLY, end, end + size)
        end += size


def names_after(data: bytes, start: int) -> Claim:
    """The names of exports, which begin right after their tables."""
    found = _AFTER_STRINGS.search(data, start)
    end = len(data) if found is None else found.start()
    return Claim("__ksymtab_strings", READ_ONLY, start, start + len(data[start:end].rstrip(b"\0")) + 1)


def _notes(image: Image, data: bytes) -> Claim | None:
    """The notes from the build id on, which the linker puts first."""
    build_id = image.build_id
    if build_id is None:
        return None
    at = data.find(b"GNU\0" + build_id)
    start = at - (_NOTE_HEAD - 4)
    if start < 0:
        return None
    end = start
    for offset, note in notes(data[start : start + _LONGEST_NOTES]):
        if not 0 < note.n_namesz <= 16 or note.n_descsz > _LONGEST_NOTES // 4 or not note.owner.isalnum():
            break
        end = start + offset + _NOTE_HEAD - 4 + (note.n_namesz + 3 & ~3) + (note.n_descsz + 3 & ~3)
    return Claim(".notes", READ_ONLY, start, end, elf.SHT_NOTE) if end > start else None


def _exceptions(data: bytes, end: int, code: Sequence[tuple[int, int]]) -> Claim | None:
    """The table of exceptions, which ends right before the notes."""

    def typed(row: tuple[int, ...], place: int) -> bool:
        return untyped(row, place) and 0 < row[2] <= _LARGEST_TYPE

    def untyped(row: tuple[int, ...], place: int) -> bool:
        return _is_code(place + row[0], code) and _is_code(place + 4 + row[1], code)

    for record, fits in ((ExceptionTableEntry, typed), (ExceptionTableEntryUntyped, untyped)):
        start = _first_row(data, end, table_row(record), fits)
        if start is not None:
            return Claim("__ex_table", READ_ONLY, start, end)
    return None


def alternatives(data: bytes, start: int, end: int) -> Claim | None:
    """The table of alternatives, with which a range of code ends; None when it has none."""
    code = ((0, end),)

    def fits(row: tuple[int, ...], place: int) -> bool:
        original, replacement, _, length, replaced = row
        targets = _is_code(place + original, code) and _is_code(place + 4 + replacement, code)
        return targets and length % 4 == 0 < length and replaced in (0, length)

    used = start + len(data[start:end].rstrip(b"\0")) + 3 & ~3
    for last in range(used, min(used + size_of(AltInstruction), end) + 1, 4):
        first = _first_row(data, last, table_row(AltInstruction), fits)
        if first is not None:
            return Claim(".altinstructions", READ_ONLY, max(first, start), last)
    return None


def _is_code(place: int, code: Sequence[tuple[int, int]]) -> bool:
    return place % 4 == 0 and any(start <= place < end for start, end in code)


def _first_row(data: bytes, end: int, row: Struct, fits: Callable[[tuple[int, ...], int], bool]) -> int | None:
    """The start of a table that ends at `end`: as many rows before it as fit; None when they are few."""
    start = end
    for _ in range(_MOST):
        place = start - row.size
        if place < 0 or end > len(data) or not fits(row.unpack_from(data, place), place):
            break
        start = place
    return start if end - start >= _FEWEST * row.size else None


def relocation_tables(image: Image, data: bytes) -> Iterator[Claim]:
    """The relocations that a kernel applies to itself, and the packed ones; .data follows them."""
    found = relocations(image)
    if found is None:
        return
    row, size, start, end = table_row(Rela), image.header.image_size, found.start, found.end
    while start >= row.size and _is_relocation(row.unpack_from(data, start - row.size), found.base, size):
        start -= row.size
    for at in islice(range(end, len(data) - row.size, row.size), 2 * _MOST):
        place, info, addend = row.unpack_from(data, at)
        if _is_relocation((place, info, addend), found.base, size):
            end = at + row.size
        elif place or info or addend:
            break
    yield Claim(RELOCATIONS, READ_ONLY, start, end)
    last = _packed_end(data, end, found.base, size)
    if last > end:
        yield Claim(".relr.dyn", READ_ONLY, end, last, elf.SHT_RELR)
    yield Claim(".data", DATA, last + _SEGMENT - 1 & -_SEGMENT)


def _is_relocation(row: tuple[int, ...], base: int, size: int) -> bool:
    """Whether it is a row of .rela.dyn that changes a place in the kernel. The linker leaves empty ones too."""
    place, info, _ = row
    return base <= place < base + size and info & 0xFFFFFFFF in _DYNAMIC


def _packed_end(data: bytes, start: int, base: int, size: int) -> int:
    """The end of packed relocations: addresses in the kernel, each followed by bit maps, which are odd."""
    at, last = start, 0
    while at + 8 <= min(len(data), start + 8 * _MOST):
        word = unpack_from("<Q", data, at)[0]
        if not word & 1 and not (base <= word < base + size and word > last):
            break
        if not last and word & 1:
            break
        last = last if word & 1 else word
        at += 8
    return at
