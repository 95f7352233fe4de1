"""Checks of a vmlinux: whether it is whole, and whether the kernel can use the tables in it."""

from collections.abc import Iterator
from itertools import compress, pairwise
from typing import NamedTuple

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.symbols import Symbols
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.elf.layout import header_place
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.schemas import elf
from kinspect.schemas.elf import Symbol
from kinspect.schemas.exports import Crc, SymbolFlags
from kinspect.schemas.record import size_of
from kinspect.views.tables.exports import CRC_TABLES, FLAG_TABLE, HYPERVISOR, Exports, export_record, exports
from kinspect.views.tables.listing import tables_by_name
from kinspect.views.tables.parts import NOT_WHOLE, wrong_size

_FREED = (".init", ".exit")
"""How the names of sections that are freed after boot begin."""


def _row(vmlinux: Vmlinux, section: Section, record: type[NamedTuple], index: int) -> Location:
    return vmlinux.at(f"{section.name} row {index}", section.offset + index * size_of(record))


def _exports(vmlinux: Vmlinux) -> list[Exports]:
    found = (vmlinux.cached(exports, name) for name in CRC_TABLES)
    return [table for table in found if table]


def _has_code(vmlinux: Vmlinux) -> bool:
    return any(section.executable and section.file_size for section in vmlinux.sections)


@check(Severity.ERROR)
def vmlinux_is_not_a_stub(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """The file contains the code of a kernel.

    A package of kernel headers may contain a `vmlinux` with only type information (`.BTF`), for building modules. Such
    a file cannot be compared with an Image, and has no sizes and tables to show: use the vmlinux of the kernel's debug
    package, or check the Image. A separate debug file has no code either; it is not checked as a vmlinux.
    Source: scripts/Makefile.modfinal, cmd_btf_ko.
    """
    if not _has_code(vmlinux):
        loaded = [section.name for section in vmlinux.loaded_sections if section.in_file]
        names = ", ".join(loaded[:5]) + (", ..." if len(loaded) > 5 else "")
        yield Evidence(
            "a stub without code: take the vmlinux of the debug package, or the Image",
            (vmlinux.at(),),
            expected="executable sections",
            actual=f"only {names}" if names else "nothing to load",
        )


@check(Severity.WARNING)
def section_names_are_readable(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Every section has a name in the table of section names.

    The kernel works without them, but tools find exports, parameters and other tables by the names of their sections.
    The file was truncated or written by a broken tool; link it again.
    Source: the ELF specification, e_shstrndx.
    """
    sections = vmlinux.sections
    if sections and all(section.name == f"<section {section.number}>" for section in sections):
        expected = "the number of a string table"
        at = (vmlinux.field("e_shstrndx"),)
        yield Evidence("no section has a name", at, expected=expected, actual=vmlinux.header.e_shstrndx)
        return
    for section, header in zip(sections, vmlinux.section_headers, strict=True):
        if section.name == f"<corrupt {header.sh_name:#x}>" or section.name.endswith("<unterminated>"):
            at = (header_place(vmlinux, section),)
            yield Evidence("the section's name lies outside the table of section names", at, actual=header.sh_name)


@check(Severity.ERROR)
def symbol_table_is_readable(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """The size of the symbol table is a multiple of the entry size, and the names and sections of all symbols exist.

    kallsyms, debuggers and crash tools read it, and get wrong names from a broken table. The file was truncated or
    changed after the link; link it again. A kernel without symbols passes.
    Source: the ELF specification, symbol table.
    """
    table = next((section for section in vmlinux.sections if section.type == elf.SHT_SYMTAB), None)
    if table is None:
        return
    try:
        symbols = vmlinux.own_symbols
    except MalformedError as error:
        yield Evidence.of(error)
        return
    if expected := wrong_size(table, size_of(Symbol)):
        yield Evidence(NOT_WHOLE, (header_place(vmlinux, table),), expected=expected, actual=table.size)
    names = len(symbols.strings.data)
    if symbols.strings.data[-1:] != b"\0":
        at = (header_place(vmlinux, vmlinux.sections[table.link]),)
        yield Evidence("the symbol names do not end with a NUL", at, expected=b"\0", actual=symbols.strings.data[-1:])
    for fault, values, limit, allowed in (
        ("name lies outside the string table", symbols.name_offsets, names, range(0)),
        ("section does not exist", symbols.sections, len(vmlinux.sections), range(elf.SHN_LORESERVE, 1 << 16)),
    ):
        # Names are compared without a set of all of them; of sections there are few.
        if not allowed and symbols.names_are_below(limit):
            continue
        bad = {value for value in set(values) if value >= limit and value not in allowed}
        if bad:
            found = [index for index, value in enumerate(values) if value in bad]
            at = (_row(vmlinux, table, Symbol, found[0]),)
            more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
            yield Evidence(f"the symbol's {fault}{more}", at, expected=f"below {limit:,}", actual=values[found[0]])


@check(Severity.WARNING)
def vmlinux_has_a_banner(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """The kernel contains a `Linux version` line with a build number.

    The kernel prints it early during boot, and /proc/version shows it. A file without it is probably not a Linux
    kernel: check that it is the right file.
    Source: init/version.c, linux_banner.
    """
    if _has_code(vmlinux) and vmlinux.banner is None:
        yield Evidence("no `Linux version` line with a build number", (vmlinux.at(),))


@check(Severity.ERROR)
def kernel_tables_are_whole(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Every table of the kernel has a whole number of entries.

    The kernel walks its tables entry by entry and runs past the end of one whose last entry is incomplete. Such a table
    was changed after the link, or its entries have a layout that kinspect does not know.
    Source: include/asm-generic/vmlinux.lds.h.
    """
    for section, form in tables_by_name(vmlinux).values():
        sizes = [size_of(row) for row in form.records(vmlinux, section)] or [section.entry_size or 1]
        if expected := wrong_size(section, *sizes):
            yield Evidence(NOT_WHOLE, (header_place(vmlinux, section),), expected=expected, actual=section.size)


@check(Severity.ERROR)
def exports_are_sorted(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Each table of exports is sorted by name in the order of strcmp, and has no name twice.

    The kernel finds an export by binary search: one that is out of order is not found, and modules that need it are
    refused (`Unknown symbol`). The table was changed after the link, or linked without its SORT rule; link the kernel
    again. Up to 5.10, the hypervisor's copy of an export may be next to it under the same name: the search finds
    either, and the check allows it.
    Source: kernel/module/main.c, find_exported_symbol_in_section.
    """
    for table in _exports(vmlinux):
        for index, (before, after) in enumerate(pairwise(table.names), start=1):
            if after < before or (after == before and not _has_copy(vmlinux, table, index)):
                at = (_row(vmlinux, table.section, table.record, index),)
                yield Evidence(f"the export {after} follows {before}: not in the order of strcmp", at)


def _has_copy(vmlinux: Vmlinux, table: Exports, index: int) -> bool:
    """Whether an export or the one before it is the hypervisor's copy of the other."""
    copy = vmlinux.symbols.value(f"{HYPERVISOR}{table.names[index]}") if vmlinux.symbols else None
    pair = table.addresses[index - 1 : index + 1]
    unknown = copy is None and (not vmlinux.symbols or _is_from_image(vmlinux))
    return pair[0] != pair[1] and (unknown or copy in pair)


def _is_from_image(vmlinux: Vmlinux) -> bool:
    """Whether the file was made from an Image, as by `kinspect elf`.

    A linker writes .data..percpu for every kernel, and relocations of their own type. Its symbols are those of
    kallsyms, without the hypervisor's, and .init.data may end after per-CPU variables.
    """
    relocations = vmlinux.section(".rela.dyn")
    untyped = relocations is not None and relocations.type == elf.SHT_PROGBITS
    return untyped or (bool(vmlinux.section(".init.data")) and not vmlinux.section(".data..percpu"))


@check(Severity.ERROR)
def export_values_are_symbols(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Every export has the address of the global symbol with its name, and is not freed after boot.

    If the address differs, the table was changed after the link, and modules call the wrong code. What lies in `.init`
    or `.exit` is freed: a module that uses it crashes. Remove the export, or the function's `__init` or `__exit`.
    Source: include/linux/export.h; scripts/mod/modpost.c.
    """
    tables = _exports(vmlinux)
    if not tables:
        return
    symbols = vmlinux.symbols
    if not symbols:
        raise UnsupportedError("a stripped kernel has no symbols to compare the exports with", vmlinux.at())
    known = _globals_at(symbols, {address for table in tables for address in table.addresses})
    by_name: dict[str, int] | None = None
    from_image = _is_from_image(vmlinux)
    freed = [section for section in vmlinux.loaded_sections if section.name.startswith(_FREED)]
    if from_image:
        freed = [section for section in freed if section.executable]
    first, last = min((one.address for one in freed), default=0), max((one.end for one in freed), default=0)
    for table in tables:
        for index, pair in enumerate(zip(table.addresses, table.names, strict=True)):
            address, name = pair
            copied = from_image and table.names[max(0, index - 1) : index + 2].count(name) > 1
            if not copied and pair not in known and (address, f"{HYPERVISOR}{name}") not in known:
                by_name = _globals(symbols) if by_name is None else by_name
                at, value = (_row(vmlinux, table.section, table.record, index),), by_name.get(name)
                expected = "a global symbol" if value is None else f"{value:#x}"
                yield Evidence(
                    f"the export {name} does not have the address of its symbol", at, expected, f"{address:#x}"
                )
            if not first <= address < last:
                continue
            section = vmlinux.section_at(address)
            if section in freed:
                at = (_row(vmlinux, table.section, table.record, index),)
                yield Evidence(f"the export {name} lies in {section.name}, which is freed after boot", at)


def _globals_at(symbols: Symbols, addresses: set[int]) -> set[tuple[int, str]]:
    """The addresses and names of the global symbols at some addresses."""
    first, infos = symbols.first_global, symbols.infos
    values = symbols.values[first:]
    hits = compress(range(first, len(symbols)), map(addresses.__contains__, values))
    found = [index for index in hits if infos[index] >> 4 != elf.STB_LOCAL]
    return set(zip(map(symbols.values.__getitem__, found), symbols.names(found), strict=True))


def _globals(symbols: Symbols) -> dict[str, int]:
    """The values of all global symbols, by name."""
    rows = zip(symbols.infos, symbols.name_offsets, symbols.values, strict=True)
    return {symbols.strings[name]: value for info, name, value in rows if info >> 4 != elf.STB_LOCAL}


@check(Severity.ERROR)
def crc_tables_match_exports(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """The tables of CRCs and flags have as many entries as the table of exports that they belong to.

    The kernel indexes them with the index of the export: with an entry too few or too many, exports get the CRCs of
    other exports, and modules are refused (`disagrees about version of symbol`). With CONFIG_MODVERSIONS, every table
    of exports has a table of CRCs; without it, none has. Link the kernel again.
    Source: kernel/module/main.c, find_exported_symbol_in_section.
    """
    beside: list[tuple[str, str, type[NamedTuple]]] = []
    if any(_count(vmlinux, versions, Crc) for versions in CRC_TABLES.values()):
        beside += [(name, versions, Crc) for name, versions in CRC_TABLES.items()]
    if vmlinux.section(FLAG_TABLE):
        beside.append(("__ksymtab", FLAG_TABLE, SymbolFlags))
    for name, other, record in beside:
        table = vmlinux.section(name)
        expected = table.size // size_of(export_record(vmlinux, table)) if table else 0
        actual = _count(vmlinux, other, record)
        if expected != actual:
            section = vmlinux.section(other) or vmlinux.section(name)
            at = (header_place(vmlinux, section) if section else vmlinux.at(),)
            yield Evidence(f"{other} does not match {name}", at, f"{expected:,} rows", f"{actual:,}")


def _count(vmlinux: Vmlinux, name: str, record: type[NamedTuple]) -> int:
    section = vmlinux.section(name)
    return section.size // size_of(record) if section else 0
