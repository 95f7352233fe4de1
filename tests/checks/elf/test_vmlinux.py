"""Each check of a vmlinux fails when, and only when, its fault is put in."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Finding, Severity
from kinspect.inspection.report import checks_of, run_checks
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, ProgramHeader, Symbol
from kinspect.schemas.exports import KernelSymbol
from kinspect.schemas.record import build, parse_table, size_of
from kinspect.views.tables.listing import tables
from tests.conftest import SAMPLE, Kernel
from tests.support import Named, Part, changed, changed_section, elf_of, patched

HELLO = SAMPLE / "vmlinux"
Changes = dict[int, bytes]
TEXT, DATA = 0x10000, 0x20000
CODE = Part(".text", bytes(64) + b"Linux version 7 #1 SMP\n\0", TEXT, elf.SHF_ALLOC | elf.SHF_EXECINSTR)
ROW = size_of(KernelSymbol)
TOPICS = ("elf.vmlinux", "elf.layout")


def section(name: str) -> Section:
    found = Vmlinux(HELLO).section(name)
    assert found is not None, name
    return found


def header(name: str, **fields: int) -> Changes:
    return changed_section(HELLO, name, **fields)


def titled(name: str, other: str) -> Changes:
    """A section under the name of another."""
    vmlinux = Vmlinux(HELLO)
    return header(name, sh_name=vmlinux.section_headers[section(other).number].sh_name)


def segment(index: int, **fields: int) -> Changes:
    return changed(HELLO, ProgramHeader, size_of(ElfHeader) + index * size_of(ProgramHeader), **fields)


def symbol(name: str, **fields: int) -> Changes:
    index = Vmlinux(HELLO).symbols.find(name)
    assert index is not None
    return changed(HELLO, Symbol, section(".symtab").offset + index * size_of(Symbol), **fields)


def value_of(name: str) -> int:
    found = Vmlinux(HELLO).symbols.value(name)
    assert found is not None
    return found


def exported(index: int, address: int) -> Changes:
    """An export at another address."""
    table = section("__ksymtab")
    return changed(HELLO, KernelSymbol, table.offset + index * ROW, value=address - table.address - index * ROW)


def moved(order: Sequence[int]) -> Changes:
    """The rows of __ksymtab in another order; what each points to stays."""
    vmlinux, table = Vmlinux(HELLO), section("__ksymtab")
    rows = parse_table(KernelSymbol, vmlinux.contents(table))
    data = b""
    for index, old in enumerate(order):
        data += build(KernelSymbol(*(value + (old - index) * ROW for value in rows[old])))
    return {table.offset: data}


def everywhere(wanted: bytes, value: bytes) -> Changes:
    data, changes, offset = HELLO.read_bytes(), {}, -1
    while (offset := data.find(wanted, offset + 1)) >= 0:
        changes[offset] = value
    return changes


def without_code() -> Changes:
    changes: Changes = {}
    for part in Vmlinux(HELLO).sections:
        if part.executable:
            changes |= header(part.name, sh_flags=part.flags & ~elf.SHF_EXECINSTR)
    return changes


LAST = section(".strtab").offset + section(".strtab").size - 1
INIT = section(".init.text").address
STRAY = "loaded-sections-are-in-the-kernel"
NEEDS_SYMBOLS = {"export-values-are-symbols: undecided"}
NEEDS_EXPORTS = {"export-values-are-symbols: undecided", "exports-are-sorted: undecided"}

FAULTS: dict[str, tuple[Changes, set[str]]] = {
    "a section far away": (header(".comment", sh_flags=elf.SHF_ALLOC, sh_addr=0xFFFF80000A000000), {STRAY}),
    "a section at 0": (header(".comment", sh_flags=elf.SHF_ALLOC), {STRAY}),
    "a section in no segment": (
        header(".comment", sh_flags=elf.SHF_ALLOC, sh_addr=section(".init.text").address - 64),
        {STRAY},
    ),
    "nothing": ({}, set()),
    "no code": (without_code(), {"vmlinux-is-not-a-stub"}),
    "debug information past the end": (header(".debug_info", sh_size=1 << 40), {"sections-are-inside-the-file"}),
    "one byte past the end": (
        header(".comment", sh_offset=HELLO.stat().st_size - section(".comment").size + 1),
        {"sections-are-inside-the-file"},
    ),
    "up to the end": (header(".comment", sh_offset=HELLO.stat().st_size - section(".comment").size), set()),
    "offset of 2^64-1": (header(".comment", sh_offset=(1 << 64) - 1), {"sections-are-inside-the-file"}),
    "large, but not in the file": (header(".bss", sh_size=1 << 30), set()),
    "empty and past the end": (header(".pecoff_edata_padding", sh_size=0, sh_offset=1 << 40), set()),
    "segment past the end": (
        segment(0, p_filesz=1 << 40, p_memsz=1 << 40),
        {"segments-are-inside-the-file"},
    ),
    "segment larger than its memory": (segment(0, p_memsz=1), {"segments-are-inside-the-file"}),
    "no segment and past the end": (segment(5, p_offset=1 << 40), set()),
    "notes without memory": (segment(4, p_memsz=0), set()),
    "notes past the end": (segment(4, p_offset=1 << 63), {"segments-are-inside-the-file"}),
    "overlapping sections": (
        header(".rodata", sh_addr=section(".text").address),
        {"loaded-sections-do-not-overlap"},
    ),
    "section over many": (header(".rodata", sh_size=0x2000), {"loaded-sections-do-not-overlap"}),
    "thread-local data": (
        header(".bss", sh_addr=section(".data").address, sh_flags=elf.SHF_TLS | elf.SHF_ALLOC),
        set(),
    ),
    "no section names": (changed(HELLO, ElfHeader, 0, e_shstrndx=0xFFF0), {"section-names-are-readable"}),
    "no section has them": (changed(HELLO, ElfHeader, 0, e_shstrndx=0), {"section-names-are-readable"}),
    "a name out of range": (header(".comment", sh_name=1 << 20), {"section-names-are-readable"}),
    "a name without end": (
        {section(".shstrtab").offset + section(".shstrtab").size - 1: b"x"},
        {"section-names-are-readable"},
    ),
    "symbols of 23 bytes": (header(".symtab", sh_entsize=23), {"symbol-table-is-readable"} | NEEDS_SYMBOLS),
    "symbols linked to themselves": (header(".symtab", sh_link=32), {"symbol-table-is-readable"} | NEEDS_SYMBOLS),
    "symbols linked to nothing": (header(".symtab", sh_link=99), {"symbol-table-is-readable"} | NEEDS_SYMBOLS),
    "symbols past the end": (
        header(".symtab", sh_offset=1 << 40),
        {"sections-are-inside-the-file", "symbol-table-is-readable"} | NEEDS_SYMBOLS,
    ),
    "half a symbol": (
        header(".symtab", sh_size=section(".symtab").size - 12),
        {"symbol-table-is-readable", "kernel-tables-are-whole", "export-values-are-symbols"},
    ),
    "a symbol without name": (symbol("repeat", st_name=1 << 31), {"symbol-table-is-readable"}),
    "a symbol without section": (symbol("repeat", st_shndx=35), {"symbol-table-is-readable"}),
    "a symbol in the last section": (symbol("repeat", st_shndx=34), set()),
    "an absolute symbol": (symbol("repeat", st_shndx=elf.SHN_ABS), set()),
    "names without end": ({LAST: b"x"}, {"symbol-table-is-readable"}),
    "no banner": (everywhere(b" #1 ", b" #x "), {"vmlinux-has-a-banner"}),
    "half an exception": (header("__ex_table", sh_size=11), {"kernel-tables-are-whole"}),
    "half an alternative": (header(".altinstructions", sh_size=18), {"kernel-tables-are-whole"}),
    "half a bug": (header("__bug_table", sh_size=10), {"kernel-tables-are-whole"}),
    "two thirds of a bug": (header("__bug_table", sh_size=8), set()),
    "half a parameter": (header("__param", sh_size=60), {"kernel-tables-are-whole"}),
    "half a relocation": (header(".rela.dyn", sh_size=100), {"kernel-tables-are-whole"}),
    "half a row of any table": (header(".bss", sh_size=0x1404, sh_entsize=8), set()),
    "half an export": (
        header("__ksymtab", sh_size=71),
        {"kernel-tables-are-whole", "crc-tables-match-exports"} | NEEDS_EXPORTS,
    ),
    "exports out of order": (moved([0, 1, 3, 2, 4, 5]), {"exports-are-sorted"}),
    "an export twice": (moved([0, 1, 1, 3, 4, 5]), {"exports-are-sorted"}),
    "exports in order": (moved([0, 1, 2, 3, 4, 5]), set()),
    "an export elsewhere": (exported(1, value_of("print") + 4), {"export-values-are-symbols"}),
    "an export in .init": (
        exported(1, INIT) | symbol("print", st_value=INIT),
        {"export-values-are-symbols"},
    ),
    "an export of a local symbol": (symbol("print", st_info=elf.STT_FUNC), {"export-values-are-symbols"}),
    "a weak export": (symbol("print", st_info=elf.STB_WEAK << 4 | elf.STT_FUNC), set()),
    "an export under another name": (
        {section("__ksymtab_strings").offset: b"strlex"},
        {"export-values-are-symbols"},
    ),
    "too few versions": (header("__kcrctab", sh_size=20), {"crc-tables-match-exports"}),
    "no versions of one table": (titled("__kcrctab_gpl", ".comment"), {"crc-tables-match-exports"}),
    "versions of no exports": (
        titled("__ksymtab_gpl", ".comment"),
        {"crc-tables-match-exports"},
    ),
    "no versions": (titled("__kcrctab_gpl", ".comment") | titled("__kcrctab", ".comment"), set()),
}


def findings_of(path: Path) -> tuple[Finding, ...]:
    return run_checks((Vmlinux(path),), *TOPICS).findings


def ids(findings: Iterable[Finding]) -> set[str]:
    """The ids of findings; those that could not be decided are marked."""
    return {
        f"{finding.id}: undecided" if finding.severity == Severity.UNDECIDED else finding.id for finding in findings
    }


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_its_findings_and_no_other(name: str, tmp_path: Path) -> None:
    changes, expected = FAULTS[name]
    path = patched(HELLO, changes, tmp_path)
    findings = findings_of(path)
    assert ids(findings) == expected
    assert all(finding.evidence.at[0].path == str(path) for finding in findings)


def test_every_check_of_a_vmlinux_has_a_fault() -> None:
    declared = {check.id for check in checks_of(*TOPICS)}
    assert declared == {check_id for _, expected in FAULTS.values() for check_id in expected if " " not in check_id}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "half a bug",
            "section header __bug_table at 0x1bc00: the table is not a whole number of rows:"
            " expected a multiple of 12 or 8, found 10 (0xa) [kernel-tables-are-whole]",
        ),
        (
            "exports out of order",
            "__ksymtab row 3 at 0x122fc: the export print_hex follows print_unsigned:"
            " not in the order of strcmp [exports-are-sorted]",
        ),
        (
            "an export elsewhere",
            "__ksymtab row 1 at 0x122e4: the export print does not have the address of its symbol:"
            " expected 0xffff800008010a30, found 0xffff800008010a34 [export-values-are-symbols]",
        ),
        (
            "an export in .init",
            "__ksymtab row 1 at 0x122e4: the export print lies in .init.text,"
            " which is freed after boot [export-values-are-symbols]",
        ),
        (
            "overlapping sections",
            "section header .rodata at 0x1b800: .rodata overlaps .text:"
            " expected from 0xffff800008010c58, found 0xffff800008010000 [loaded-sections-do-not-overlap]",
        ),
        (
            "too few versions",
            "section header __kcrctab at 0x1b8c0: __kcrctab does not match __ksymtab:"
            " expected 6 rows, found 5 [crc-tables-match-exports]",
        ),
        (
            "a symbol without name",
            ".symtab row 118 at 0x1a348: the symbol's name lies outside the string table:"
            " expected below 2,093, found 2,147,483,648 (0x80000000) [symbol-table-is-readable]",
        ),
        (
            "symbols linked to themselves",
            ".symtab: sh_link is not a string table: found 32 (0x20) [symbol-table-is-readable]",
        ),
        (
            "no section names",
            "e_shstrndx at 0x3e: no section has a name:"
            " expected the number of a string table, found 65,520 (0xfff0) [section-names-are-readable]",
        ),
    ],
)
def test_a_finding_says_where_and_what(name: str, text: str, tmp_path: Path) -> None:
    path = patched(HELLO, FAULTS[name][0], tmp_path)
    assert str(findings_of(path)[0]) == f"{path}: {text}"


def written(path: Path, *parts: Part, symbols: Sequence[Named] = ()) -> Path:
    path.write_bytes(elf_of(*parts, symbols=symbols))
    return path


def test_a_stub_of_a_headers_package(tmp_path: Path) -> None:
    path = written(tmp_path / "vmlinux", Part(".BTF", bytes(24)), Part(".comment", b"gcc", flags=0))
    assert [str(finding) for finding in findings_of(path)] == [
        f"{path}: a stub without code: take the vmlinux of the debug package, or the Image:"
        " expected executable sections, found only .BTF [vmlinux-is-not-a-stub]"
    ]


def test_debug_information_alone_is_a_stub_too(tmp_path: Path) -> None:
    """What `objcopy --only-keep-debug` leaves: sections that take memory and have no bytes."""
    parts = (part._replace(type=elf.SHT_NOBITS) for part in (CODE, Part("__ex_table", bytes(12), DATA)))
    findings = findings_of(written(tmp_path / "vmlinux.debug", *parts, symbols=[Named("_text", TEXT)]))
    assert ids(findings) == {"vmlinux-is-not-a-stub"}
    assert findings[0].evidence.actual == "nothing to load"


def test_a_file_without_sections_is_a_stub_too(tmp_path: Path) -> None:
    assert ids(findings_of(patched(HELLO, changed(HELLO, ElfHeader, 0, e_shoff=0), tmp_path))) == {
        "vmlinux-is-not-a-stub"
    }


def exports(*names: str) -> tuple[Part, ...]:
    """A `__ksymtab` of exports, each 4 bytes after the last in .text, and its strings."""
    rows, strings = b"", b""
    for index, name in enumerate(names):
        at, end = DATA + index * ROW, DATA + len(names) * ROW
        rows += build(KernelSymbol(TEXT + 4 * index - at, end + len(strings) - at - 4, 0))
        strings += name.encode() + b"\0"
    return Part("__ksymtab", rows, DATA), Part("__ksymtab_strings", strings, DATA + len(rows))


@pytest.mark.parametrize(("copy", "expected"), [("__kvm_nvhe_b", set()), ("c", {"exports-are-sorted"})])
def test_a_copy_of_the_hypervisor_beside_an_export(copy: str, expected: set[str], tmp_path: Path) -> None:
    """Up to 5.10; the second `b` is the export itself, or the other way around."""
    for first, second in ((copy, "b"), ("b", copy)):
        symbols = [Named("a", TEXT), Named(first, TEXT + 4), Named(second, TEXT + 8)]
        path = written(tmp_path / "vmlinux", CODE, *exports("a", "b", "b"), symbols=symbols)
        assert ids(findings_of(path)) == (expected and {*expected, "export-values-are-symbols"})


def test_a_stripped_kernel_cannot_be_told_right(tmp_path: Path) -> None:
    findings = findings_of(written(tmp_path / "vmlinux", CODE, *exports("a", "b")))
    assert ids(findings) == {"export-values-are-symbols: undecided"}
    assert "a stripped kernel has no symbols" in str(findings[0])


def test_a_stripped_kernel_without_exports_is_fine(tmp_path: Path) -> None:
    assert findings_of(written(tmp_path / "vmlinux", CODE)) == ()


@pytest.mark.parametrize(
    ("flags", "expected"), [(2, set()), (1, {"crc-tables-match-exports"}), (3, {"crc-tables-match-exports"})]
)
def test_flags_and_their_exports(flags: int, expected: set[str], tmp_path: Path) -> None:
    symbols = [Named("a", TEXT), Named("b", TEXT + 4)]
    parts = (CODE, *exports("a", "b"), Part("__kflagstab", bytes(flags), 0x30000))
    assert ids(findings_of(written(tmp_path / "vmlinux", *parts, symbols=symbols))) == expected


@pytest.mark.parametrize(("name", "freed"), [(".exit.text", 2), (".init.rodata", 2), (".text.exit", 0)])
def test_what_is_exported_stays_after_boot(name: str, freed: int, tmp_path: Path) -> None:
    symbols = [Named("a", TEXT), Named("b", TEXT + 4)]
    findings = findings_of(written(tmp_path / "vmlinux", CODE._replace(name=name), *exports("a", "b"), symbols=symbols))
    assert [finding.id for finding in findings] == ["export-values-are-symbols"] * freed


def test_a_table_without_a_record_is_told_by_the_size_of_its_entries(tmp_path: Path) -> None:
    path = written(tmp_path / "whole", CODE, Part(".relr.dyn", bytes(20), DATA))
    changes = changed_section(path, ".relr.dyn", sh_entsize=8)
    (tmp_path / "changed").mkdir()
    (finding,) = findings_of(patched(path, changes, tmp_path / "changed"))
    assert finding.id == "kernel-tables-are-whole"
    assert (finding.evidence.expected, finding.evidence.actual) == ("a multiple of 8", 20)


def test_a_section_that_overlaps_many_is_named_with_each(tmp_path: Path) -> None:
    small = [Part(f".small{number}", bytes(8), TEXT + 32 * number) for number in (1, 2, 3)]
    findings = findings_of(written(tmp_path / "vmlinux", CODE._replace(data=bytes(200)), *small))
    overlaps = [found.evidence.message for found in findings if found.id == "loaded-sections-do-not-overlap"]
    assert overlaps == [f".small{number} overlaps .text" for number in (1, 2, 3)]


def test_many_exports_of_another_build_are_told_in_time(tmp_path: Path) -> None:
    """Each is looked up once, and not searched for in all the names of the file."""
    names = sorted(f"export{number}" for number in range(20_000))
    symbols = [Named(name, 8, size=1) for name in names]
    findings = findings_of(written(tmp_path / "vmlinux", CODE, *exports(*names), symbols=symbols))
    assert ids(findings) == {"export-values-are-symbols"}
    assert len(findings) == len(names)


def test_many_sections_that_overlap_are_told_in_time(tmp_path: Path) -> None:
    parts = [Part("x", bytes(1), TEXT + number % 7, elf.SHF_ALLOC | elf.SHF_EXECINSTR) for number in range(20_000)]
    findings = [
        found for found in findings_of(written(tmp_path / "vmlinux", *parts)) if found.severity == Severity.ERROR
    ]
    assert ids(findings) == {"loaded-sections-do-not-overlap"}
    assert len(findings) == 20_000 - 7


def frame() -> list[int]:
    """The offsets of what the sample is read by: its headers, and all between the first table and the last."""
    vmlinux = Vmlinux(HELLO)
    parts = [(0, 64 + 6 * 56), (vmlinux.header.e_shoff, 64 * len(vmlinux.sections))]
    parts += [(table.section.offset, min(table.section.size, 500)) for table in tables(vmlinux)]
    return [at for offset, size in parts for at in range(offset, offset + size)]


@example({112529: b"\x15"})  # the name of an export is no UTF-8
@given(st.dictionaries(st.sampled_from(frame()), st.binary(min_size=1, max_size=1), min_size=1, max_size=12))
@settings(deadline=None, max_examples=300)
def test_whatever_bytes_change_there_are_findings_and_no_other_end(
    tmp_path_factory: pytest.TempPathFactory, changes: Changes
) -> None:
    path = patched(HELLO, changes, tmp_path_factory.getbasetemp())
    ran = run_checks((Vmlinux(path),), *TOPICS)
    assert len(ran.ran) == len(checks_of(*TOPICS))
    assert all(finding.evidence.at[0].path == str(path) for finding in ran.findings)


def test_a_real_vmlinux_is_good(kernel: Kernel) -> None:
    report = run_checks((Vmlinux(kernel.vmlinux),), *TOPICS)
    assert report.findings == ()
    assert len(report.ran) == len(checks_of(*TOPICS))
