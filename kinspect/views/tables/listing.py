"""The tables of a vmlinux, decoded with their meaning: those the linker script gathers, and those of ELF itself."""

from collections.abc import Callable
from typing import NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.artifacts.raw.notes import notes
from kinspect.errors import WrongKindError
from kinspect.schemas import elf
from kinspect.schemas.elf import Rela, Symbol
from kinspect.schemas.exports import Crc, KernelSymbol, SymbolFlags
from kinspect.schemas.record import size_of
from kinspect.schemas.tables import AltInstruction, BugEntry, BugEntryTerse, ExceptionTableEntry, KernelParam
from kinspect.views.tables import elf as table_elf
from kinspect.views.tables import exports as table_exports
from kinspect.views.tables import kernel as table_kernel
from kinspect.views.tables.parts import LARGEST_TABLE, Cell, Column, Columns, check_rows, contents


class TableSummary(NamedTuple):
    """A table that a file has: its name and section, the C type of a row, and how many whole rows there are."""

    name: str
    section: Section
    record: str
    entries: int


class Table(NamedTuple):
    """A table, decoded. A cell is a number, but text in a column of texts and where the value in the file is wrong."""

    name: str
    section: Section
    record: str
    entries: int
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]


class TableLayout(NamedTuple):
    """How tables of one kind are read: what a row may be (nothing when rows vary in size), its columns, its count."""

    record: str
    rows: tuple[type[NamedTuple], ...]
    columns: Callable[[Elf, Section, bytes], Columns]
    count: Callable[[bytes], int] = len


LAYOUTS = {
    "__ksymtab": TableLayout("struct kernel_symbol", (KernelSymbol,), table_exports.ksymtab),
    "__ksymtab_gpl": TableLayout("struct kernel_symbol", (KernelSymbol,), table_exports.ksymtab),
    "__kcrctab": TableLayout("u32", (Crc,), table_exports.kcrctab),
    "__kcrctab_gpl": TableLayout("u32", (Crc,), table_exports.kcrctab),
    "__kflagstab": TableLayout("u8", (SymbolFlags,), table_exports.kflagstab),
    "__ex_table": TableLayout("struct exception_table_entry", (ExceptionTableEntry,), table_kernel.ex_table),
    ".altinstructions": TableLayout("struct alt_instr", (AltInstruction,), table_kernel.altinstructions),
    "__bug_table": TableLayout("struct bug_entry", (BugEntry, BugEntryTerse), table_kernel.bug_table),
    "__param": TableLayout("struct kernel_param", (KernelParam,), table_kernel.param),
    ".modinfo": TableLayout("key=value", (), table_elf.modinfo, table_elf.modinfo_count),
    ".BTF": TableLayout("struct btf_header", (), table_elf.btf, lambda data: 1),
    ".rela.dyn": TableLayout("Elf64_Rela", (Rela,), table_elf.rela_dyn),
    ".relr.dyn": TableLayout("Elf64_Relr", (), table_elf.relr_dyn, table_elf.relr_count),
}
LAYOUTS_BY_TYPE = {
    elf.SHT_NOTE: TableLayout("Elf64_Nhdr", (), table_elf.note_table, lambda data: sum(1 for _ in notes(data))),
    elf.SHT_SYMTAB: TableLayout("Elf64_Sym", (Symbol,), table_elf.symtab),
}


def tables(vmlinux: Elf) -> tuple[TableSummary, ...]:
    """The tables that a file has, in the order of their sections. Only those whose rows vary in size are read.

    Raises MalformedError when there is no section table to go by.
    """
    return tuple(_heading(vmlinux, name, *found) for name, found in tables_by_name(vmlinux).items())


def table(vmlinux: Elf, name: str) -> Table:
    """One table, decoded.

    Raises WrongKindError, naming the tables there are, when it is not among them; MalformedError when its section
    cannot be read or is no whole number of rows; UnsupportedError when it is too large for a kernel's.
    """
    present = tables_by_name(vmlinux)
    if name not in present:
        expected = f"one of {', '.join(present)}" if present else "none, for the file has no tables"
        raise WrongKindError("no such table", vmlinux.at(), expected=expected, actual=name)
    section, form = present[name]
    data = contents(vmlinux, section, *form.rows)
    heading = _heading(vmlinux, name, section, form)
    check_rows(vmlinux, section, heading.entries)
    columns = form.columns(vmlinux, section, data)
    rows = list(zip(*columns.values(), strict=True))
    return Table(name, section, heading.record, len(rows), tuple(columns), rows)


def tables_by_name(vmlinux: Elf) -> dict[str, tuple[Section, TableLayout]]:
    """The sections that are tables, and how each is read."""
    found: dict[str, tuple[Section, TableLayout]] = {}
    for section in vmlinux.sections:
        form = LAYOUTS.get(section.name) or LAYOUTS_BY_TYPE.get(section.type)
        if form and section.in_file and (section.type != elf.SHT_NOTE or section in vmlinux.note_sections):
            # The symbols have their name even in a file whose section names are lost.
            name = ".symtab" if section.type == elf.SHT_SYMTAB else section.name
            found.setdefault(name, (section, form))
    return found


def _heading(vmlinux: Elf, name: str, section: Section, form: TableLayout) -> TableSummary:
    if form.rows:
        size = size_of(table_kernel.row_of(vmlinux, section, form.rows))
        return TableSummary(name, section, form.record, section.size // size)
    size = max(0, min(section.size, LARGEST_TABLE, vmlinux.size - section.offset))
    data = vmlinux.source.read(section.offset, size, section.name) if size else b""
    return TableSummary(name, section, form.record, form.count(data))
