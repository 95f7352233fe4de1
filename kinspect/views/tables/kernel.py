"""Tables that the kernel uses at run time: exceptions, alternatives, BUG() entries, parameters."""

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
"""In a capability: a callback patches the code. Source: arch/arm64/include/asm/alternative-macros.h."""
_SAMPLE = 240


def ex_table(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`__ex_table`: instructions that may fault, and where to continue then."""
    row = ExceptionTableEntry
    instructions, fixups = (relative(row, field, section, data) for field in ("insn", "fixup"))
    return {
        Column("address", ColumnType.ADDRESS): instructions,
        Column("symbol", ColumnType.TEXT): named(vmlinux, instructions),
        Column("fixup address", ColumnType.ADDRESS): fixups,
        Column("fixup", ColumnType.TEXT): named(vmlinux, fixups),
        # The numbers of the types changed between kernels, and nothing in the file says which ones are used.
        Column("type", ColumnType.NUMBER): column(row, "type", data),
        Column("data", ColumnType.BITS): [value & 0xFFFF for value in column(row, "data", data)],
    }


def altinstructions(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`.altinstructions`: code that is patched at boot, and its replacement; for a callback, a function."""
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
    """The record of a table's rows: of those whose size fits, the one whose first field points to code most often."""
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
    """An absolute pointer of every row: its addend if `.rela.dyn` relocates it, else its value in the file."""
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
