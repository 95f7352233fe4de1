"""Tables that the kernel uses at run time: exceptions, alternatives, BUG() entries, parameters."""

from typing import NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.schemas.record import column, size_of
from kinspect.schemas.tables import (
    AltInstruction,
    BugEntry,
    BugEntryTerse,
    ExceptionTableEntry,
    ExceptionTableEntryUntyped,
    KernelParam,
)
from kinspect.views.tables.parts import Column, Columns, ColumnType, named, pointers, relative, sample, strings_at

BUGFLAG_WARNING = 1
"""Source: include/asm-generic/bug.h."""
ARM64_CB_BIT = 1 << 15
"""In a capability: a callback patches the code. Source: arch/arm64/include/asm/alternative-macros.h."""
_LARGEST_TYPE = 15
"""The types of exceptions that a kernel may have; 7.3 has 6."""


def ex_table(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`__ex_table`: instructions that may fault, and where to continue then."""
    row = exception_record(vmlinux, section)
    instructions, fixups = (relative(row, field, section, data) for field in ("insn", "fixup"))
    found: Columns = {
        Column("address", ColumnType.ADDRESS): instructions,
        Column("symbol", ColumnType.TEXT): named(vmlinux, instructions),
        Column("fixup address", ColumnType.ADDRESS): fixups,
        Column("fixup", ColumnType.TEXT): named(vmlinux, fixups),
    }
    if row is ExceptionTableEntry:
        # The numbers of the types changed between kernels, and nothing in the file says which ones are used.
        found[Column("type", ColumnType.NUMBER)] = column(row, "type", data)
        found[Column("data", ColumnType.BITS)] = [value & 0xFFFF for value in column(row, "data", data)]
    return found


def exception_record(vmlinux: Elf, section: Section) -> type[NamedTuple]:
    """The record of `__ex_table`: before 5.16 there was an instruction of the next row where rows have their type."""
    types = column(ExceptionTableEntry, "type", sample(vmlinux, section, size_of(ExceptionTableEntry)))
    if types and all(0 <= value <= _LARGEST_TYPE for value in types):
        return ExceptionTableEntry
    data = sample(vmlinux, section, size_of(ExceptionTableEntryUntyped))
    # Any number of code in a broken table makes it one of the rows that kernels have now.
    untyped = _share_of_code(vmlinux, ExceptionTableEntryUntyped, section, data)
    return ExceptionTableEntryUntyped if untyped == 1 else ExceptionTableEntry


def altinstructions(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`.altinstructions`: code that is patched at boot, and its replacement; for a callback, a function."""
    row = AltInstruction
    originals, replacements = (relative(row, field, section, data) for field in ("orig_offset", "alt_offset"))
    capabilities, sizes = column(row, "cpucap", data), column(row, "alt_len", data)
    return {
        Column("address", ColumnType.ADDRESS): originals,
        Column("symbol", ColumnType.TEXT): named(vmlinux, originals),
        Column("size", ColumnType.NUMBER): column(row, "orig_len", data),
        Column("capability", ColumnType.NUMBER): [value & ~ARM64_CB_BIT for value in capabilities],
        # Before 6.1 a callback was one by its capability alone; it has no code that could be copied.
        Column("by", ColumnType.TEXT): [
            "callback" if value & ARM64_CB_BIT or not size else "copy"
            for value, size in zip(capabilities, sizes, strict=True)
        ],
        Column("replacement address", ColumnType.ADDRESS): replacements,
        Column("replacement", ColumnType.TEXT): named(vmlinux, replacements),
        Column("replacement size", ColumnType.NUMBER): sizes,
    }


def bug_table(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`__bug_table`: every BUG() and WARN(), with its source line under CONFIG_DEBUG_BUGVERBOSE."""
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
    """`__param`: parameters of the kernel's command line, the operations that parse them, and their variables."""
    row = KernelParam
    names, operations, arguments = (pointers(vmlinux, row, field, section, data) for field in ("name", "ops", "arg"))
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
    """The record of a table's rows: of those whose size fits, the one whose first field points to code most often."""
    fitting = [row for row in rows if section.size % size_of(row) == 0] or list(rows)
    if len(fitting) == 1:
        return fitting[0]
    return max(fitting, key=lambda row: _share_of_code(vmlinux, row, section, sample(vmlinux, section, size_of(row))))


def _share_of_code(vmlinux: Elf, row: type[NamedTuple], section: Section, data: bytes) -> float:
    """The share of rows whose first field points to code."""
    sections = [vmlinux.section_at(address) for address in relative(row, row._fields[0], section, data)]
    return sum(found is not None and found.executable for found in sections) / max(1, len(sections))
