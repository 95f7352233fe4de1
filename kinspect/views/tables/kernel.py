"""The tables by which the kernel knows itself: faults it survives, code it replaces, warnings, parameters."""

from typing import NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.schemas import elf
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import column, size_of
from kinspect.schemas.tables import AltInstruction, BugEntry, BugEntryTerse, ExceptionTableEntry, KernelParam
from kinspect.views.tables.parts import (
    ADDRESS_MASK,
    Column,
    Columns,
    ColumnType,
    contents,
    named,
    places,
    relative,
    strings_at,
)

BUGFLAG_WARNING = 1
"""Source: include/asm-generic/bug.h."""
ARM64_CB_BIT = 1 << 15
"""Of a capability: a function is called instead of code copied. Source: arch/arm64/include/asm/alternative-macros.h."""
_SAMPLE = 240


def ex_table(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`__ex_table`: instructions that may fault, and where to go on then."""
    row = ExceptionTableEntry
    instructions, fixups = (relative(row, field, section, data) for field in ("insn", "fixup"))
    return {
        Column("address", ColumnType.ADDRESS): instructions,
        Column("symbol", ColumnType.TEXT): named(vmlinux, instructions),
        Column("fixup address", ColumnType.ADDRESS): fixups,
        Column("fixup", ColumnType.TEXT): named(vmlinux, fixups),
        # Kernels number the types differently, and nothing in the file tells which way is meant.
        Column("type", ColumnType.NUMBER): column(row, "type", data),
        Column("data", ColumnType.BITS): [value & 0xFFFF for value in column(row, "data", data)],
    }


def altinstructions(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`.altinstructions`: code that is replaced at boot, and by what. A replacement by callback is a function."""
    row = AltInstruction
    originals, replacements = (relative(row, field, section, data) for field in ("orig_offset", "alt_offset"))
    capabilities = column(row, "cpucap", data)
    return {
        Column("address", ColumnType.ADDRESS): originals,
        Column("symbol", ColumnType.TEXT): named(vmlinux, originals),
        Column("size", ColumnType.NUMBER): column(row, "orig_len", data),
        Column("capability", ColumnType.NUMBER): [value & ~ARM64_CB_BIT for value in capabilities],
        Column("by", ColumnType.TEXT): ["callback" if value & ARM64_CB_BIT else "copy" for value in capabilities],
        Column("replacement address", ColumnType.ADDRESS): replacements,
        Column("replacement", ColumnType.TEXT): named(vmlinux, replacements),
        Column("replacement size", ColumnType.NUMBER): column(row, "alt_len", data),
    }


def bug_table(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`__bug_table`: every BUG() and WARN(), and its source line when the kernel was built to know it."""
    row = row_of(vmlinux, section, (BugEntry, BugEntryTerse))
    addresses, flags = relative(row, "bug_addr_disp", section, data), column(row, "flags", data)
    found: Columns = {
        Column("address", ColumnType.ADDRESS): addresses,
        Column("symbol", ColumnType.TEXT): named(vmlinux, addresses),
        Column("kind", ColumnType.TEXT): ["WARN" if value & BUGFLAG_WARNING else "BUG" for value in flags],
        Column("flags", ColumnType.BITS): flags,
    }
    if row is BugEntry:
        files = relative(row, "file_disp", section, data)
        texts = strings_at(vmlinux, files)
        found[Column("file", ColumnType.TEXT)] = [texts[address] for address in files]
        found[Column("line", ColumnType.NUMBER)] = column(row, "line", data)
    return found


def param(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`__param`: parameters for the kernel's command line, how they are read, and where their values go."""
    row = KernelParam
    names, operations, arguments = (_pointers(vmlinux, row, field, section, data) for field in ("name", "ops", "arg"))
    texts = strings_at(vmlinux, names)
    return {
        Column("name", ColumnType.TEXT): [texts[address] for address in names],
        Column("permissions", ColumnType.TEXT): [f"{value:04o}" for value in column(row, "perm", data)],
        Column("level", ColumnType.NUMBER): column(row, "level", data),
        Column("flags", ColumnType.BITS): column(row, "flags", data),
        Column("operations address", ColumnType.ADDRESS): operations,
        Column("operations", ColumnType.TEXT): named(vmlinux, operations),
        Column("argument address", ColumnType.ADDRESS): arguments,
        Column("argument", ColumnType.TEXT): named(vmlinux, arguments),
    }


def row_of(vmlinux: Elf, section: Section, rows: tuple[type[NamedTuple], ...]) -> type[NamedTuple]:
    """What a table's rows are: of the records that divide it, the one whose first field more often leads to code."""
    fitting = [row for row in rows if section.size % size_of(row) == 0] or list(rows)
    if len(fitting) == 1:
        return fitting[0]
    size = min(section.size, _SAMPLE, vmlinux.size - section.offset)
    data = vmlinux.source.read(section.offset, size, section.name) if size > 0 else b""

    def share_of_code(row: type[NamedTuple]) -> float:
        addresses = relative(row, row._fields[0], section, data[: len(data) - len(data) % size_of(row)])
        sections = [vmlinux.section_at(address) for address in addresses]
        return sum(found is not None and found.executable for found in sections) / max(1, len(sections))

    return max(fitting, key=share_of_code)


def _pointers(vmlinux: Elf, record: type[NamedTuple], field: str, section: Section, data: bytes) -> list[int]:
    """An absolute pointer of every row: where `.rela.dyn` relocates it the addend, else what stands in its place."""
    at, held = places(record, field, section, data), column(record, field, data)
    relocations = vmlinux.section(".rela.dyn")
    if relocations is None or not relocations.in_file:
        return list(held)
    table = contents(vmlinux, relocations, Rela)
    rows = zip(*(column(Rela, name, table) for name in Rela._fields), strict=True)
    addends = {
        place: addend & ADDRESS_MASK
        for place, info, addend in rows
        if place in at and info & 0xFFFFFFFF == elf.R_AARCH64_RELATIVE
    }
    return [addends.get(place, value) for place, value in zip(at, held, strict=True)]
