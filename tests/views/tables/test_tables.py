"""The tables of a vmlinux: what they say of the sample and of small files, and what broken ones get."""

import re
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError, MalformedError, TruncatedError, UnsupportedError, WrongKindError
from kinspect.schemas import elf
from kinspect.schemas.elf import NoteEntry, Rela, SectionHeader
from kinspect.schemas.exports import (
    FLAG_GPL,
    KernelSymbol,
    KernelSymbolAbsolute,
    KernelSymbolUnnamespaced,
    SymbolFlags,
)
from kinspect.schemas.record import build, size_of
from kinspect.schemas.tables import (
    BTF_MAGIC,
    AltInstruction,
    BtfHeader,
    BugEntry,
    BugEntryTerse,
    ExceptionTableEntry,
    ExceptionTableEntryUntyped,
)
from kinspect.views.tables.entries import Table, table
from kinspect.views.tables.listing import LAYOUTS, tables
from kinspect.views.tables.parts import LARGEST_TABLE, MOST_ROWS, Cell, ColumnType
from tests.conftest import SAMPLE, Kernel
from tests.support import Named, Part, changed, changed_section, elf_of, patched

TEXT, DATA = 0x10000, 0x20000
CODE = Part(".text", bytes(64), TEXT, elf.SHF_ALLOC | elf.SHF_EXECINSTR)
Written = Callable[..., Vmlinux]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A vmlinux of given sections."""

    def made(*parts: Part) -> Vmlinux:
        path = tmp_path / "vmlinux"
        path.write_bytes(elf_of(*parts))
        return Vmlinux(path)

    return made


def hello() -> Vmlinux:
    return Vmlinux(SAMPLE / "vmlinux")


def section(name: str) -> Section:
    found = hello().section(name)
    assert found is not None, name
    return found


def header(name: str, **fields: int) -> dict[int, bytes]:
    """A change of a section's header in the sample."""
    return changed_section(SAMPLE / "vmlinux", name, **fields)


def within(name: str, offset: int, value: int) -> dict[int, bytes]:
    """A change of a word in a section of the sample."""
    return {section(name).offset + offset: struct.pack("<I", value)}


def values(found: Table, column: str) -> list[Cell]:
    """One column of a table."""
    index = [one.name for one in found.columns].index(column)
    return [row[index] for row in found.rows]


def test_the_tables_of_the_sample() -> None:
    found = [(heading.name, heading.record, heading.entries, heading.section.size) for heading in tables(hello())]
    assert found == [
        ("__ksymtab", "struct kernel_symbol", 6, 72),
        ("__ksymtab_gpl", "struct kernel_symbol", 5, 60),
        ("__kcrctab", "u32", 6, 24),
        ("__kcrctab_gpl", "u32", 5, 20),
        ("__param", "struct kernel_param", 2, 80),
        ("__ex_table", "struct exception_table_entry", 1, 12),
        (".notes", "Elf64_Nhdr", 3, 92),
        (".altinstructions", "struct alt_instr", 1, 12),
        (".rela.dyn", "Elf64_Rela", 8, 192),
        ("__bug_table", "struct bug_entry", 1, 12),
        (".symtab", "Elf64_Sym", 228, 5472),
    ]


@pytest.mark.parametrize("name", [heading.name for heading in tables(hello())])
def test_a_table_is_what_its_heading_and_columns_say(name: str) -> None:
    vmlinux = hello()
    found = table(vmlinux, name)
    heading = next(heading for heading in tables(vmlinux) if heading.name == name)
    assert (found.name, found.section, found.record, found.entries) == heading
    assert len(found.rows) == found.entries
    assert len(set(found.columns)) == len(found.columns)
    for row in found.rows:
        for column, cell in zip(found.columns, row, strict=True):
            assert isinstance(cell, str if column.type == ColumnType.TEXT else int), column
            assert column.type != ColumnType.ADDRESS or 0 <= int(cell) < 1 << 64


def test_what_tables_there_are_needs_no_symbols(tmp_path: Path) -> None:
    broken = Vmlinux(patched(SAMPLE / "vmlinux", header(".symtab", sh_entsize=0), tmp_path))
    with pytest.raises(MalformedError):
        _ = broken.symbols
    assert tables(broken)[:-1] == tables(hello())[:-1]
    assert tables(broken)[-1].entries == 228


def test_exports_are_those_of_module_symvers() -> None:
    rows = [line.split("\t") for line in (SAMPLE / "Module.symvers").read_text().splitlines()]
    theirs = {(name, int(crc, 16), licence, namespace) for crc, name, _, licence, namespace in rows}
    ours = set()
    for name, licence in (("__ksymtab", "EXPORT_SYMBOL"), ("__ksymtab_gpl", "EXPORT_SYMBOL_GPL")):
        found = table(hello(), name)
        assert set(values(found, "licence")) == {"GPL" if name.endswith("_gpl") else "any"}
        for export, crc, namespace in zip(*(values(found, key) for key in ("name", "crc", "namespace")), strict=True):
            ours.add((export, crc, licence, namespace))
    assert ours == theirs
    found = table(hello(), "__ksymtab")
    sizes = {line.split()[-1]: line.split()[1] for line in (SAMPLE / "expected" / "nm-S.txt").read_text().splitlines()}
    for name, symbol, address in zip(*(values(found, key) for key in ("name", "symbol", "address")), strict=True):
        assert symbol == f"{name}+0x0/{int(sizes[str(name)], 16):#x}"
        assert address == hello().symbols.value(str(name))


def test_versions_come_with_their_names() -> None:
    for name in ("__kcrctab", "__kcrctab_gpl"):
        rows = table(hello(), name).rows
        assert rows == [(export, zlib.crc32(str(export).encode())) for export, _ in rows]
    assert table(hello(), "__kcrctab").rows[0] == ("greeting", 0x46E3A4AB)


def test_what_the_sample_does_shows_in_its_tables() -> None:
    vmlinux = hello()
    symbol = vmlinux.symbols.value
    (fault,) = table(vmlinux, "__ex_table").rows
    assert fault[1:2] + fault[3:] == ("probe_read+0x8/0x14", "probe_read+0xc/0x14", 3, 0x60)
    start = symbol("probe_read")
    assert start is not None
    assert (fault[0], fault[2]) == (start + 8, start + 12)
    assert table(vmlinux, ".altinstructions").rows[0][1:5] == ("psci_call+0x0/0x8", 4, 1, "copy")
    assert table(vmlinux, "__bug_table").rows[0][1:] == ("test_exceptions+0x3c/0x54", "WARN", 0x901, "hello.c", 54)
    operations = (symbol("param_ops_uint"), "param_ops_uint+0x0/0x20")
    assert table(vmlinux, "__param").rows == [
        ("hello.repeat", "0444", -1, 0, *operations, symbol("repeat"), "repeat+0x0/0x4"),
        ("hello.self_test", "0444", -1, 0, *operations, symbol("self_test"), "self_test+0x0/0x4"),
    ]
    assert table(vmlinux, ".notes").rows == [
        ("GNU", 3, "build id", "7e0b8037c7a54560209d051bc58181e1c48894e8", ""),
        ("Linux", 0x101, "link-time optimisation", "00000000", ""),
        ("Linux", 0x100, "build salt", b"6.1.0-hello\0".hex(), "6.1.0-hello"),
    ]
    relocations = table(vmlinux, ".rela.dyn")
    assert set(values(relocations, "type")) == {"RELATIVE"}
    assert relocations.rows[1][1:4] == ("__param_repeat+0x0/0x28", "RELATIVE", 0)
    assert values(relocations, "addend")[1] == symbol("__param_str_repeat")


def test_symbols_are_those_that_nm_prints() -> None:
    found = table(hello(), ".symtab")
    shown = re.findall(r"^(\w{16}) (?:(\w{16}) )?\w (\S+)$", (SAMPLE / "expected/nm-S.txt").read_text(), re.MULTILINE)
    theirs = {(int(value, 16), int(size or "0", 16), name) for value, size, name in shown}
    ours = {
        (value, size, name)
        for value, size, kind, _, place, name in found.rows
        if kind not in ("SECTION", "FILE") and place != "UND" and not str(name).startswith("$")
    }
    assert ours == theirs
    assert found.rows[0] == (0, 0, "NOTYPE", "LOCAL", "UND", "")
    assert ("WEAK", ".text", "greeting") in {row[3:] for row in found.rows}
    assert ("LOCAL", "ABS", "hello.c") in {row[3:] for row in found.rows}


@pytest.mark.corpus
def test_every_form_is_there_on_some_kernel(kernels: tuple[Kernel, Kernel]) -> None:
    present = {heading.name for kernel in kernels for heading in tables(Vmlinux(kernel.vmlinux))}
    assert set(LAYOUTS) - present == {".modinfo"}
    assert {".notes", ".symtab"} <= present


@pytest.mark.corpus
def test_headings_and_tables_of_real_kernels_agree(kernel: Kernel) -> None:
    vmlinux = Vmlinux(kernel.vmlinux)
    for heading in tables(vmlinux):
        found = table(vmlinux, heading.name)
        assert (heading.entries, heading.record) == (found.entries, found.record)
        assert not any(isinstance(cell, str) and "<corrupt" in cell for row in found.rows[:5000] for cell in row)


def test_a_table_that_is_not_there() -> None:
    with pytest.raises(WrongKindError, match=r"no such table: expected one of __ksymtab, .*, \.symtab, found __modver"):
        table(hello(), "__modver")


def test_no_table_at_all(written: Written) -> None:
    assert tables(written(CODE)) == ()
    with pytest.raises(WrongKindError, match="the file has no tables, found __ksymtab"):
        table(written(CODE), "__ksymtab")


def test_a_section_without_contents_is_no_table(written: Written) -> None:
    vmlinux = written(CODE, Part("__ex_table", bytes(24), DATA, type=elf.SHT_NOBITS))
    assert tables(vmlinux) == ()


def test_empty_tables_have_no_rows(written: Written) -> None:
    vmlinux = written(*(Part(name, b"", DATA) for name in LAYOUTS if name != ".BTF"), Part(".notes", type=elf.SHT_NOTE))
    assert [heading.entries for heading in tables(vmlinux)] == [0] * len(LAYOUTS)
    assert all(table(vmlinux, heading.name).rows == [] for heading in tables(vmlinux))


# -- forms that the sample does not have ------------------------------------------------------------------------------


def exported(strings: bytes, *rows: tuple[int, int, int]) -> tuple[Part, Part]:
    """A `__ksymtab` at DATA of (address, offset of the name, offset of the namespace or -1), and its strings behind."""
    table, end = b"", DATA + len(rows) * size_of(KernelSymbol)
    for index, (address, name, namespace) in enumerate(rows):
        at = DATA + index * size_of(KernelSymbol)
        table += build(
            KernelSymbol(address - at, end + name - at - 4, end + namespace - at - 8 if namespace >= 0 else 0)
        )
    return Part("__ksymtab", table, DATA), Part("__ksymtab_strings", strings, end)


def test_exports_with_flags(written: Written) -> None:
    flags = b"".join(build(SymbolFlags(value)) for value in (FLAG_GPL, 0xFF & ~FLAG_GPL, 0xFF))
    parts = exported(b"one\0three\0two\0NS\0", (TEXT, 0, -1), (TEXT + 8, 4, 3), (TEXT + 16, 10, 14))
    vmlinux = written(CODE, *parts, Part("__kflagstab", flags, 0x30000))
    assert table(vmlinux, "__ksymtab").rows == [
        (TEXT, ".text+0x0", "one", "", "GPL"),
        (TEXT + 8, ".text+0x8", "three", "", "any"),
        (TEXT + 16, ".text+0x10", "two", "NS", "GPL"),
    ]
    assert table(vmlinux, "__kflagstab").rows == [("one", 1, "GPL"), ("three", 254, "any"), ("two", 255, "GPL")]


def test_tables_beside_exports_that_are_too_short_or_too_long(written: Written) -> None:
    parts = exported(b"one\0two\0", (TEXT, 0, -1), (TEXT + 8, 4, -1))
    short = written(CODE, *parts, Part("__kflagstab", b"\1"), Part("__kcrctab", b"\1\0\0\0"))
    assert values(table(short, "__ksymtab"), "licence") == ["GPL", "<missing>"]
    assert values(table(short, "__ksymtab"), "crc") == [1, "<missing>"]
    long = written(CODE, *parts, Part("__kflagstab", b"\1\0\1"))
    assert values(table(long, "__ksymtab"), "licence") == ["GPL", "any"]
    assert values(table(long, "__kflagstab"), "name") == ["one", "two", "<missing>"]


def test_flags_are_not_those_of_the_other_table(written: Written) -> None:
    parts = exported(b"one\0", (TEXT, 0, -1))
    gpl = parts[0]._replace(name="__ksymtab_gpl")
    assert values(table(written(CODE, gpl, parts[1], Part("__kflagstab", b"\0")), "__ksymtab_gpl"), "licence") == [
        "GPL"
    ]


def test_alternatives(written: Written) -> None:
    """A copy of code, and a function that is called."""
    rows = [AltInstruction(TEXT - DATA, TEXT + 8 - DATA - 4, 37, 4, 4)]
    rows.append(AltInstruction(TEXT + 4 - DATA - 12, TEXT + 16 - DATA - 16, 1 << 15 | 26, 8, 0))
    vmlinux = written(CODE, Part(".altinstructions", b"".join(map(build, rows)), DATA))
    assert table(vmlinux, ".altinstructions").rows == [
        (TEXT, ".text+0x0", 4, 37, "copy", TEXT + 8, ".text+0x8", 4),
        (TEXT + 4, ".text+0x4", 8, 26, "callback", TEXT + 16, ".text+0x10", 0),
    ]


def test_symbols_name_an_address_as_a_person_would(tmp_path: Path) -> None:
    """What has a type comes before a mere label, what is global before what is local, what covers it before all."""
    label, local, known = 0, elf.STT_FUNC, elf.STB_GLOBAL << 4 | elf.STT_FUNC
    symbols = [
        *(Named("outer", TEXT, size=64), Named("label", TEXT + 8, info=label), Named("first", TEXT + 8, info=local)),
        *(Named("known", TEXT + 8, info=known), Named("also_known", TEXT + 8, info=known)),
        *(Named("covering", TEXT + 16, info=local, size=4), Named("sizeless", TEXT + 16, info=known)),
        Named("other", 0, section=2),
    ]
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_of(CODE, Part(".data", bytes(8), DATA), symbols=symbols))
    vmlinux = Vmlinux(path)
    names = {TEXT: "outer+0x0/0x40", TEXT + 9: "outer+0x9/0x40", TEXT + 16: "covering+0x0/0x4", DATA: "other+0x20000"}
    assert {address: vmlinux.address_name(address) for address in names} == names
    assert vmlinux.address_name(TEXT + 20) == "outer+0x14/0x40"
    path.write_bytes(elf_of(CODE, symbols=symbols[1:5]))
    assert Vmlinux(path).address_name(TEXT + 12) == "known+0x4"


def test_versions_without_exports(written: Written) -> None:
    assert table(written(Part("__kcrctab_gpl", b"\2\0\0\0")), "__kcrctab_gpl").rows == [("<missing>", 2)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 12])
@pytest.mark.parametrize("verbose", [True, False])
def test_which_bug_entry_it_is_shows_in_the_table(written: Written, verbose: bool, count: int) -> None:
    data, names = b"", DATA + count * (12 if verbose else 8)
    for index in range(count):
        at = DATA + len(data)
        code, line = TEXT + 4 * index - at, 100 + index
        flags = 0x902 + index % 2
        data += build(BugEntry(code, names - at - 4, line, flags) if verbose else BugEntryTerse(code, flags, 0))
    vmlinux = written(CODE, Part("__bug_table", data, DATA), Part(".rodata", b"kernel/panic.c\0", names))
    found = table(vmlinux, "__bug_table")
    assert values(found, "address") == [TEXT + 4 * index for index in range(count)]
    assert tables(vmlinux)[0].entries == found.entries == count
    assert values(found, "flags") == [0x902 + index % 2 for index in range(count)]
    assert values(found, "kind") == [("BUG", "WARN")[index % 2] for index in range(count)]
    if verbose:
        assert values(found, "file") == ["kernel/panic.c"] * count
        assert values(found, "line") == [100 + index for index in range(count)]
    else:
        assert [column.name for column in found.columns] == ["address", "symbol", "kind", "flags"]


@pytest.mark.parametrize("count", [1, 2, 3, 6, 20])
@pytest.mark.parametrize("typed", [True, False])
def test_exceptions_of_older_kernels_have_no_type(written: Written, typed: bool, count: int) -> None:
    data = b""
    for index in range(count):
        at = DATA + len(data)
        insn, fixup = TEXT + 4 * index % 60 - at, TEXT + 60 - at - 4
        data += build(ExceptionTableEntry(insn, fixup, 3, 99) if typed else ExceptionTableEntryUntyped(insn, fixup))
    vmlinux = written(CODE, Part("__ex_table", data, DATA))
    found = table(vmlinux, "__ex_table")
    assert tables(vmlinux)[0].entries == found.entries == count
    assert values(found, "address") == [TEXT + 4 * index % 60 for index in range(count)]
    assert values(found, "fixup address") == [TEXT + 60] * count
    assert [column.name for column in found.columns][4:] == (["type", "data"] if typed else [])


def test_exports_without_namespaces(written: Written) -> None:
    """From 4.19 to 5.3; six rows of 8 bytes could be four of 12."""
    names, table_data, strings = "abcdef", b"", b""
    for index, name in enumerate(names):
        at, end = DATA + 8 * index, DATA + 8 * len(names)
        table_data += build(KernelSymbolUnnamespaced(TEXT + 4 * index - at, end + len(strings) - at - 4))
        strings += name.encode() + b"\0"
    parts = Part("__ksymtab", table_data, DATA), Part("__ksymtab_strings", strings, DATA + len(table_data))
    vmlinux = written(CODE, *parts)
    found = table(vmlinux, "__ksymtab")
    assert tables(vmlinux)[0].entries == found.entries == 6
    assert (values(found, "name"), values(found, "namespace")) == (list(names), [""] * 6)
    assert values(found, "address") == [TEXT + 4 * index for index in range(6)]


@pytest.mark.parametrize("relocated", [True, False])
def test_exports_with_pointers(written: Written, relocated: bool) -> None:
    """Before 4.19; a relocatable kernel has the pointers in .rela.dyn."""
    names, strings, end = "abc", b"a\0b\0c\0", DATA + 48
    rows = [KernelSymbolAbsolute(TEXT + 4 * index, end + 2 * index) for index in range(3)]
    places = [(DATA + 16 * index + 8 * field, row[field]) for index, row in enumerate(rows) for field in (0, 1)]
    relocations = b"".join(build(Rela(place, 1027, value)) for place, value in places)
    data = bytes(48) if relocated else b"".join(map(build, rows))
    parts = [CODE, Part("__ksymtab", data, DATA), Part("__ksymtab_strings", strings, end)]
    vmlinux = written(*parts, *([Part(".rela.dyn", relocations, 0x30000)] if relocated else []))
    found = table(vmlinux, "__ksymtab")
    assert (tables(vmlinux)[0].entries, values(found, "name")) == (3, list(names))
    assert values(found, "address") == [TEXT, TEXT + 4, TEXT + 8]


def test_modinfo(written: Written) -> None:
    vmlinux = written(Part(".modinfo", b"license=GPL\0\0parm=on:a=b\0loose\0cut"))
    assert table(vmlinux, ".modinfo").rows == [
        ("license", "GPL"),
        ("parm", "on:a=b"),
        ("loose", ""),
        ("cut<unterminated>", ""),
    ]
    assert tables(vmlinux)[0].entries == 4


def test_btf(written: Written) -> None:
    header = BtfHeader(BTF_MAGIC, 1, 0, 24, 0, 100, 100, 50)
    vmlinux = written(Part(".BTF", build(header) + bytes(150)))
    found = table(vmlinux, ".BTF")
    assert (found.rows, found.entries, tables(vmlinux)[0].entries) == ([tuple(header)], 1, 1)
    assert [column.name for column in found.columns] == list(BtfHeader._fields)
    with pytest.raises(MalformedError, match=r"\.BTF at 0x40: not BTF: expected 60,319 \(0xeb9f\), found 40,939 "):
        table(written(Part(".BTF", build(header._replace(magic=0x9FEB)))), ".BTF")
    with pytest.raises(TruncatedError, match=r"too short for a BTF header: expected 24 \(0x18\), found 23 "):
        table(written(Part(".BTF", build(header)[:23])), ".BTF")


def relr(addresses: Sequence[int]) -> bytes:
    """Addresses encoded as the linker does: an address, then bits for those in the 63 words after it, and so on."""
    words, waiting = [], sorted(addresses)
    while waiting:
        base = waiting.pop(0) + 8
        words.append(base - 8)
        while waiting and waiting[0] < base + 63 * 8:
            bits = {(address - base) // 8 for address in waiting if address < base + 63 * 8}
            words.append(1 | sum(2 << bit for bit in bits))
            waiting = [address for address in waiting if address >= base + 63 * 8]
            base += 63 * 8
    return struct.pack(f"<{len(words)}Q", *words)


@given(st.sets(st.integers(0, 3000), max_size=300), st.integers(0, (1 << 60) - 3001))
@settings(deadline=None)
def test_relative_relocations_in_place(tmp_path_factory: pytest.TempPathFactory, words: set[int], base: int) -> None:
    addresses = [8 * (base + word) for word in sorted(words)]
    path = tmp_path_factory.getbasetemp() / "relr"
    path.write_bytes(elf_of(Part(".relr.dyn", relr(addresses))))
    vmlinux = Vmlinux(path)
    assert table(vmlinux, ".relr.dyn").rows == [(address,) for address in addresses]
    assert tables(vmlinux)[0].entries == len(addresses)


# -- broken input -----------------------------------------------------------------------------------------------------

ROWS = {heading.name: heading.section for heading in tables(hello()) if heading.name != ".notes"}


@pytest.mark.parametrize("name", ROWS)
def test_no_whole_number_of_rows(name: str, tmp_path: Path) -> None:
    size = ROWS[name].size - 1
    vmlinux = Vmlinux(patched(SAMPLE / "vmlinux", header(name, sh_size=size), tmp_path))
    place = rf"{tmp_path}/vmlinux: {name} at {ROWS[name].offset:#x}"
    with pytest.raises(
        MalformedError, match=rf"^{place}: the table is not a whole number of rows: expected a multiple of"
    ):
        table(vmlinux, name)
    assert len(tables(vmlinux)) == 11
    others = [other for other in ("__ex_table", "__bug_table", ".altinstructions", ".rela.dyn") if other != name]
    assert all(table(vmlinux, other).entries for other in others)


def test_half_a_word_of_relocations(written: Written) -> None:
    with pytest.raises(MalformedError, match="expected a multiple of 8, found 12"):
        table(written(Part(".relr.dyn", bytes(12))), ".relr.dyn")


@pytest.mark.parametrize("name", [*ROWS, ".notes"])
def test_a_table_past_the_end_of_the_file(name: str, tmp_path: Path) -> None:
    """Row 16: the file is shorter than sh_size says."""
    vmlinux = Vmlinux(patched(SAMPLE / "vmlinux", header(name, sh_offset=1 << 40), tmp_path))
    with pytest.raises(TruncatedError, match="the file is too short"):
        table(vmlinux, name)
    assert {heading.name for heading in tables(vmlinux)} == {heading.name for heading in tables(hello())}


def test_too_large_a_table(tmp_path: Path) -> None:
    vmlinux = Vmlinux(patched(SAMPLE / "vmlinux", header("__kcrctab", sh_size=LARGEST_TABLE + 4), tmp_path))
    with pytest.raises(UnsupportedError, match="the table is too large: expected at most 67,108,864 bytes"):
        table(vmlinux, "__kcrctab")


def test_too_many_rows(written: Written) -> None:
    """A bit of .relr.dyn makes a row: 64 MiB could make 500 million."""
    words = struct.pack("<Q", 0x1000) + b"\xff" * 8 * (MOST_ROWS // 63 + 1)
    with pytest.raises(UnsupportedError, match="too many rows: expected at most 1,048,576, found 1,048,"):
        table(written(Part(".relr.dyn", words)), ".relr.dyn")


def test_section_names_that_are_lost(tmp_path: Path) -> None:
    """Row 14: what a section is, is told by its type alone."""
    changes = changed(SAMPLE / "vmlinux", elf.ElfHeader, 0, e_shstrndx=0xFFF0)
    vmlinux = Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path))
    assert [heading.name for heading in tables(vmlinux)] == ["<section 11>", ".symtab"]
    assert values(table(vmlinux, "<section 11>"), "owner") == ["GNU", "Linux", "Linux"]
    assert values(table(vmlinux, ".symtab"), "section")[1:3] == ["<section 1>", "<section 2>"]


@pytest.mark.parametrize(
    "changes",
    [header(".symtab", sh_entsize=23), header(".symtab", sh_link=32), header(".symtab", sh_link=1 << 31)],
    ids=["entsize 23", "link to itself", "link out of range"],
)
def test_symbols_that_cannot_be_read_hide_no_other_table(changes: dict[int, bytes], tmp_path: Path) -> None:
    """Rows 18 and 19."""
    vmlinux = Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path))
    with pytest.raises(MalformedError, match=r"\.symtab: (wrong symbol size|sh_link is not a string table)"):
        table(vmlinux, ".symtab")
    assert table(vmlinux, "__bug_table").rows[0][1] == ".init.text+0x39c"
    assert values(table(vmlinux, "__ksymtab"), "name")[0] == "greeting"


def test_names_of_symbols_that_are_not_there(tmp_path: Path) -> None:
    """Rows 20 and 21: a name out of range, and a string table without a NUL at its end."""
    last = section(".strtab").offset + section(".strtab").size - 1
    changes = {**within(".symtab", 24 * 5, 0xFFFFFFFF), last: b"x"}
    names = values(table(Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path)), ".symtab"), "name")
    good = values(table(hello(), ".symtab"), "name")
    assert names[5] == "<corrupt 0xffffffff>"
    assert names.index("__start___ksymtabx<unterminated>") == good.index("__start___ksymtab")
    assert sum(before != after for before, after in zip(good, names, strict=True)) == 2


def test_sections_of_symbols_that_are_not_there(tmp_path: Path) -> None:
    changes = {section(".symtab").offset + 24 * 5 + 6: struct.pack("<H", 1000)}
    found = table(Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path)), ".symtab")
    assert values(found, "section")[5] == "<section 1000>"


def test_a_name_outside_any_section(tmp_path: Path) -> None:
    changes = within("__ksymtab", 4, 0x7FFFFFFF) | within("__ksymtab", 12, 0x7FFFFFFF)
    found = table(Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path)), "__ksymtab")
    place = section("__ksymtab").address
    assert values(found, "name")[:2] == [f"<corrupt {place + 4 + 0x7FFFFFFF:#x}>", "print"]
    assert values(found, "symbol")[:2] == ["greeting+0x0/0xc", f"{place + 12 + 0x7FFFFFFF:#x}"]


def test_addresses_wrap_as_they_do_in_the_kernel(written: Written) -> None:
    low = struct.pack("<iihh", -0x1000, 0x7FFFFFFF, 0, -1)
    found = table(written(Part("__ex_table", low, 0)), "__ex_table")
    assert found.rows == [((1 << 64) - 0x1000, f"{(1 << 64) - 0x1000:#x}", 0x80000003, "0x80000003", 0, 0xFFFF)]


def test_a_text_without_an_end(written: Written) -> None:
    """Neither the end of its section nor anything behind it ends a text."""
    ends, endless = exported(b"whole\0half", (TEXT, 0, -1), (TEXT, 6, -1)), b"x" * 5000
    assert values(table(written(CODE, *ends), "__ksymtab"), "name") == ["whole", "half<unterminated>"]
    starts = (0, 100, 4000, 5001)
    long = exported(endless + b"\0" + b"y" * 1023 + b"\0", *((TEXT, start, -1) for start in starts))
    names = values(table(written(CODE, *long), "__ksymtab"), "name")
    assert names == ["x" * 256 + "<unterminated>", "x" * 256 + "<unterminated>", "x" * 1000, "y" * 1023]


def test_a_name_of_a_symbol_without_an_end(tmp_path: Path) -> None:
    """A table of a million symbols that all begin in one endless name takes no memory for it."""
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_of(CODE, symbols=[Named("n" * 1023, TEXT), Named("m" * 1024, TEXT)]))
    assert values(table(Vmlinux(path), ".symtab"), "name") == ["", "n" * 1023, "m" * 256 + "<unterminated>"]


def test_texts_past_the_end_of_the_file(tmp_path: Path) -> None:
    changes = header("__ksymtab_strings", sh_offset=1 << 40)
    names = values(table(Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path)), "__ksymtab"), "name")
    assert all(re.fullmatch(r"<corrupt 0xffff8000080113\w\w>", str(name)) for name in names)


def test_texts_far_apart_are_all_found(written: Written) -> None:
    """More than what one read takes lies between them."""
    strings = b"first\0" + bytes(100_000) + b"second\0" + bytes(70_000) + b"third\0"
    rows = [(TEXT, strings.index(name), -1) for name in (b"third", b"first", b"second")]
    found = table(written(CODE, *exported(strings, *rows)), "__ksymtab")
    assert values(found, "name") == ["third", "first", "second"]


def test_of_two_tables_of_one_name_the_first_counts(written: Written) -> None:
    vmlinux = written(Part("__kcrctab", b"\1\0\0\0"), Part("__kcrctab", bytes(8)))
    assert [heading.section.number for heading in tables(vmlinux)] == [1]
    assert table(vmlinux, "__kcrctab").rows == [("<missing>", 1)]


def test_sections_that_overlap(tmp_path: Path) -> None:
    """Row 17: what lies at an address is what the first of them has."""
    changes = header(".rodata", sh_addr=section(".text").address)
    found = table(Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path)), "__ksymtab")
    assert values(found, "symbol")[1] == "print+0x0/0x60"


def test_a_flood_of_notes(written: Written) -> None:
    """Row 22: at most 4096 notes of the first MiB; the row after them is marked."""
    empty = build(NoteEntry(0, 0, 7, b"", b""))
    flood = written(Part(".notes", empty * 5_000_000, type=elf.SHT_NOTE))
    found = table(flood, ".notes")
    assert found.entries == 4097
    assert found.rows[-2:] == [("", 7, "", "", ""), (f"<corrupt {4096 * 12:#x}>", 0, "", "", "")]


def test_a_note_that_does_not_fit(written: Written) -> None:
    """Row 22: descsz says 4 GiB."""
    note = build(NoteEntry(4, 4, 1, b"GNU\0", b"abc\0"))
    huge = struct.pack("<III", 4, 0xFFFFFFFF, 3) + b"GNU\0"
    found = table(written(Part(".notes", note + huge, type=elf.SHT_NOTE)), ".notes")
    assert found.rows == [("GNU", 1, "ABI", b"abc\0".hex(), "abc"), ("<corrupt 0x14>", 0, "", "", "")]


def test_a_relocation_of_an_unknown_type(tmp_path: Path) -> None:
    found = table(Vmlinux(patched(SAMPLE / "vmlinux", within(".rela.dyn", 8, 0xDEAD), tmp_path)), ".rela.dyn")
    assert values(found, "type")[:2] == [str(0xDEAD), "RELATIVE"]


def test_a_relocation_by_a_symbol(tmp_path: Path) -> None:
    """It is shown with its number, and gives no pointer a value."""
    changes = changed(SAMPLE / "vmlinux", Rela, section(".rela.dyn").offset + 24, r_info=(5 << 32) + 257)
    vmlinux = Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path))
    assert table(vmlinux, ".rela.dyn").rows[1][1:4] == ("__param_repeat+0x0/0x28", "ABS64", 5)
    assert values(table(vmlinux, "__param"), "name") == ["<corrupt 0x0>", "hello.self_test"]


def test_pointers_without_relocations(tmp_path: Path) -> None:
    """Then they are what stands in their place: here zero."""
    changes = header(".rela.dyn", sh_type=elf.SHT_NOBITS)
    found = table(Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path)), "__param")
    assert found.rows[0] == ("<corrupt 0x0>", "0444", -1, 0, 0, "0x0", 0, "0x0")


def frame() -> list[int]:
    """The offsets of what the sample is read by: its header, its section table, its tables."""
    parts = [(0, 64), (hello().header.e_shoff, 35 * size_of(SectionHeader))]
    parts += [(part.offset, part.size) for part in ROWS.values()]
    return [at for offset, size in parts for at in range(offset, offset + size)]


def answer(vmlinux: Vmlinux, name: str) -> Table | KinspectError:
    try:
        return table(vmlinux, name)
    except KinspectError as error:
        return error


@given(st.dictionaries(st.sampled_from(frame()), st.binary(min_size=1, max_size=1), min_size=1, max_size=12))
@settings(deadline=None, max_examples=300)
def test_whatever_bytes_change_a_table_or_an_error_comes_back(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[int, bytes]
) -> None:
    vmlinux = Vmlinux(patched(SAMPLE / "vmlinux", changes, tmp_path_factory.getbasetemp()))
    for name in (*ROWS, ".notes"):
        found = answer(vmlinux, name)
        if isinstance(found, KinspectError):
            assert found.at.path == vmlinux.path
        else:
            assert {len(row) for row in found.rows} <= {len(found.columns)}
