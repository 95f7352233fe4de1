"""The tables of a vmlinux: those that the linker script collects, and those of ELF itself."""

from collections.abc import Callable
from typing import NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.artifacts.raw.notes import notes
from kinspect.schemas import elf
from kinspect.schemas.elf import Rela, Symbol
from kinspect.schemas.exports import Crc, KernelSymbol, SymbolFlags
from kinspect.schemas.record import size_of
from kinspect.schemas.tables import AltInstruction, BugEntry, BugEntryTerse, ExceptionTableEntry, KernelParam
from kinspect.views.tables import elf as table_elf
from kinspect.views.tables import exports as table_exports
from kinspect.views.tables import kernel as table_kernel
from kinspect.views.tables.parts import LARGEST_TABLE, Columns


class TableSummary(NamedTuple):
    """A table of the file: its name and section, the C type of a row, and the number of whole rows."""

    name: str
    section: Section
    record: str
    entries: int


class TablesFacts(NamedTuple):
    """The tables of a vmlinux, in the order of their sections."""

    path: str
    tables: tuple[TableSummary, ...]


class TableLayout(NamedTuple):
    """How a table is read: its possible records (none when rows vary in size), its columns, its number of rows.

    `decide` is the one of the records that a table has, where its contents show that.
    """

    record: str
    rows: tuple[type[NamedTuple], ...]
    columns: Callable[[Elf, Section, bytes], Columns]
    count: Callable[[bytes], int] = len
    decide: Callable[[Elf, Section], type[NamedTuple]] | None = None

    def records(self, vmlinux: Elf, section: Section) -> tuple[type[NamedTuple], ...]:
        """The possible records of a table, as few as its contents allow."""
        return (self.decide(vmlinux, section),) if self.decide else self.rows


_EXPORTS = TableLayout(
    "struct kernel_symbol", (KernelSymbol,), table_exports.ksymtab, decide=table_exports.export_record
)
LAYOUTS = {
    "__ksymtab": _EXPORTS,
    "__ksymtab_gpl": _EXPORTS,
    "__kcrctab": TableLayout("u32", (Crc,), table_exports.kcrctab),
    "__kcrctab_gpl": TableLayout("u32", (Crc,), table_exports.kcrctab),
    "__kflagstab": TableLayout("u8", (SymbolFlags,), table_exports.kflagstab),
    "__ex_table": TableLayout(
        "struct exception_table_entry",
        (ExceptionTableEntry,),
        table_kernel.ex_table,
        decide=table_kernel.exception_record,
    ),
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
    """The tables of a file, in the order of their sections. Only those whose rows vary in size are read.

    Raises MalformedError when the section table cannot be read.
    """
    return tuple(table_summary(vmlinux, name, *found) for name, found in tables_by_name(vmlinux).items())


def tables_facts(vmlinux: Elf) -> TablesFacts:
    """The facts of all tables. Raises as `tables` does."""
    return TablesFacts(vmlinux.path, tables(vmlinux))


def tables_by_name(vmlinux: Elf) -> dict[str, tuple[Section, TableLayout]]:
    """The sections that are tables, and how to read each."""
    found: dict[str, tuple[Section, TableLayout]] = {}
    for section in vmlinux.sections:
        layout = LAYOUTS.get(section.name) or LAYOUTS_BY_TYPE.get(section.type)
        if layout and section.in_file and (section.type != elf.SHT_NOTE or section in vmlinux.note_sections):
            # The symbol table is found even when section names are lost.
            name = ".symtab" if section.type == elf.SHT_SYMTAB else section.name
            found.setdefault(name, (section, layout))
    return found


def table_summary(vmlinux: Elf, name: str, section: Section, layout: TableLayout) -> TableSummary:
    """The summary of one table. Reads it only when its rows vary in size."""
    if layout.rows:
        size = size_of(table_kernel.row_of(vmlinux, section, layout.records(vmlinux, section)))
        return TableSummary(name, section, layout.record, section.size // size)
    size = max(0, min(section.size, LARGEST_TABLE, vmlinux.size - section.offset))
    data = vmlinux.source.read(section.offset, size, section.name) if size else b""
    return TableSummary(name, section, layout.record, layout.count(data))
