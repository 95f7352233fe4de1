"""Each check of a Module.symvers fails when, and only when, its fault is put in."""

import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import Symvers
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.exports import Export
from kinspect.artifacts.module.ko import Module
from kinspect.checks.check import Finding, Severity
from kinspect.checks.symvers.kernel import EXPORTS_OBJECT, build_evidence, evidence_of
from kinspect.checks.symvers.text import MOST
from kinspect.errors import Location
from kinspect.inspection.report import run_checks
from kinspect.reports.abi.kernel_match import lines as kernel_match_lines
from kinspect.reports.terminal import Style
from kinspect.schemas.elf import SHN_ABS, STT_FILE, Symbol
from kinspect.schemas.exports import KernelSymbol
from kinspect.schemas.record import build, parse_table, size_of
from kinspect.views.abi.kernel_match import Difference, ExportComparison, against_modules, kernel_match_facts
from kinspect.views.tables.raw_exports import image_exports
from tests.conftest import SAMPLE, Build, Kernel, kernel_named
from tests.support import Part, elf_of, patched

Lines = list[bytes]
Change = Callable[[Lines], Lines]
TOPICS = ("symvers.text", "symvers.exports", "symvers.kernel", "symvers.image")
ALONE = TOPICS[:2]
ROW = size_of(KernelSymbol)
EXTRA = [f"0x12345678\tx{index}\tdrivers/x\tEXPORT_SYMBOL\t\n".encode() for index in range(2)]
LISTS, CRCS, LICENCES, NAMESPACES = (
    {f"symvers-{what}-of-the-kernel"}
    for what in ("lists-the-exports", "crcs-are-those", "licences-are-those", "namespaces-are-those")
)
BUILDS = {"symvers-is-of-the-build-of-the-kernel"}
BASES = ["hello", pytest.param("bookworm-cloud", marks=pytest.mark.corpus)]


@cache
def folder(base: str) -> Path:
    return SAMPLE if base == "hello" else kernel_named(base).folder


@cache
def kernel_of(base: str) -> tuple[Artifact, ...]:
    """Both forms of a kernel, opened once: their exports are read once."""
    return Vmlinux(folder(base) / "vmlinux"), Image(folder(base) / "Image")


@cache
def lines_of(base: str) -> tuple[bytes, ...]:
    return tuple((folder(base) / "Module.symvers").read_bytes().splitlines(keepends=True))


def changed(data: bytes | Iterable[bytes], tmp_path: Path) -> Symvers:
    path = tmp_path / "Module.symvers"
    path.write_bytes(data if isinstance(data, bytes) else b"".join(data))
    return Symvers(path)


def ids(findings: Iterable[Finding]) -> set[str]:
    return {found.id if found.severity != Severity.UNDECIDED else f"{found.id}: undecided" for found in findings}


def row(**fields: bytes) -> Change:
    """Other fields in the third line."""
    order = ("crc", "name", "module", "type", "namespace")

    def change(lines: Lines) -> Lines:
        old = lines[2].rstrip(b"\n").split(b"\t")
        lines[2] = b"\t".join(fields.get(name, value) for name, value in zip(order, old, strict=True)) + b"\n"
        return lines

    return change


def licence(lines: Lines) -> Lines:
    kind = b"EXPORT_SYMBOL" if b"_GPL" in lines[2] else b"EXPORT_SYMBOL_GPL"
    return row(type=kind)(lines)


def without(lines: Lines) -> Lines:
    return lines[:2] + lines[3:]


def with_line(line: bytes, at: int) -> Change:
    return lambda lines: [*lines[:at], line, *lines[at:]]


def columns(*order: int) -> Change:
    def change(lines: Lines) -> Lines:
        fields = (line.rstrip(b"\n").split(b"\t") for line in lines)
        return [b"\t".join(found[place] for place in order) + b"\n" for found in fields]

    return change


def replaced(old: bytes, new: bytes) -> Change:
    """The third line with something else in it."""

    def change(lines: Lines) -> Lines:
        assert old in lines[2]
        return [*lines[:2], lines[2].replace(old, new, 1), *lines[3:]]

    return change


def everywhere(old: bytes, new: bytes) -> Change:
    return lambda lines: [line.replace(old, new) for line in lines]


def cut(lines: Lines) -> Lines:
    return [*lines[:-1], lines[-1].removesuffix(b"\n")]


def unchanged(lines: Lines) -> Lines:
    return lines


def doubled(lines: Lines) -> Lines:
    return [*lines[:3], lines[2], *lines[3:]]


def apart(lines: Lines) -> Lines:
    """The last line of the kernel among the others' at the end; there is one module more before it."""
    own = [line for line in lines if b"\tvmlinux\t" in line]
    others = [line for line in lines if b"\tvmlinux\t" not in line]
    return [*own[:-1], *others, *EXTRA, own[-1]]


def kernel_last(lines: Lines) -> Lines:
    own = [line for line in lines if b"\tvmlinux\t" in line]
    others = [line for line in lines if b"\tvmlinux\t" not in line]
    return [*others, *EXTRA, *own]


FAULTS: dict[str, tuple[Change, set[str]]] = {
    "nothing": (unchanged, set()),
    "another CRC": (row(crc=b"0x5eadbeef"), CRCS),
    "a line dropped": (without, LISTS),
    "a line too many": (with_line(b"0x5eadbeef\tnobody\tvmlinux\tEXPORT_SYMBOL\t\n", 4), LISTS),
    "a line of a module more": (lambda lines: [*lines, b"0x5eadbeef\tx\tdrivers/x\tEXPORT_SYMBOL\t\n"], set()),
    "another name": (row(name=b"nobody"), LISTS),
    "another module": (
        lambda lines: [*lines[:2], *lines[3:], replaced(b"vmlinux", b"drivers/x")(lines)[2]],
        LISTS,
    ),
    "another licence": (licence, LICENCES),
    "another namespace": (row(namespace=b"ELSEWHERE"), NAMESPACES),
    "a line twice": (doubled, {"symvers-names-are-unique"}),
    "3 columns": (
        lambda lines: [*lines[:2], lines[2].replace(b"\tEXPORT", b" EXPORT").replace(b"\t\n", b"\n"), *lines[3:]],
        {"symvers-lines-have-all-fields"},
    ),
    "6 columns": (row(namespace=b"\tmore"), {"symvers-lines-have-all-fields"}),
    "a blank line": (with_line(b"\n", 3), {"symvers-lines-have-all-fields"}),
    "a blank line at the end": (lambda lines: [*lines, b"\n"], {"symvers-lines-have-all-fields"}),
    "a CRC of 64 bits": (replaced(b"0x", b"0x00000000"), {"symvers-crcs-are-readable"}),
    "a CRC without 0x": (replaced(b"0x", b""), {"symvers-crcs-are-readable"}),
    "a CRC that is none": (row(crc=b"0x0123456g"), {"symvers-crcs-are-readable"}),
    "no CRC": (row(crc=b""), {"symvers-crcs-are-readable"}),
    "one CRC of zero": (row(crc=b"0x00000000"), {"symvers-crcs-are-all-there-or-none"} | CRCS),
    "no name": (row(name=b""), {"symvers-names-are-there"} | LISTS),
    "no module": (row(module=b""), {"symvers-names-are-there"}),
    "a blank in a name": (row(name=b"a b"), {"symvers-names-are-there"} | LISTS),
    "a blank in a module": (row(module=b"vm linux"), {"symvers-names-are-there"} | LISTS),
    "an unknown type": (row(type=b"EXPORT_SYMBOL_MIT"), {"symvers-types-are-known"}),
    "(unknown)": (row(type=b"(unknown)"), {"symvers-types-are-known"}),
    "NUL": (replaced(b"\tvmlinux", b"\0\tvmlinux"), {"symvers-is-plain-text"} | LISTS),
    "no UTF-8": (replaced(b"\tvmlinux", b"\xff\tvmlinux"), {"symvers-is-plain-text"} | LISTS),
    "an escape": (replaced(b"\tvmlinux", b"\x1b\tvmlinux"), {"symvers-is-plain-text"} | LISTS),
    "CRLF": (everywhere(b"\n", b"\r\n"), {"symvers-has-unix-line-ends"}),
    "one CRLF": (replaced(b"\n", b"\r\n"), {"symvers-has-unix-line-ends"}),
    "no final newline": (cut, {"symvers-ends-with-a-newline"}),
    "the columns of 5.4": (columns(0, 1, 4, 2, 3), {"symvers-namespace-is-last"}),
    "the columns of 5.3": (columns(0, 1, 2, 3), NAMESPACES),
    "a kernel's line among others": (apart, {"symvers-modules-are-together"}),
    "the kernel last": (kernel_last, {"symvers-modules-are-together"}),
    "a long name": (
        lambda lines: [*lines, b"0x5eadbeef\t" + b"n" * 56 + b"\tdrivers/x\tEXPORT_SYMBOL\t\n"],
        {"symvers-names-fit-versions"},
    ),
    "a name that just fits": (
        lambda lines: [*lines, b"0x5eadbeef\t" + b"n" * 55 + b"\tdrivers/x\tEXPORT_SYMBOL\t\n"],
        set(),
    ),
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_no_other(base: str, fault: str, tmp_path: Path) -> None:
    change, expected = FAULTS[fault]
    symvers = changed(change(list(lines_of(base))), tmp_path)
    assert symvers.data != b"".join(lines_of(base)) or fault == "nothing"
    report = run_checks((symvers, *kernel_of(base)), *TOPICS)
    assert ids(report.findings) == expected
    for found in report.findings:
        assert found.evidence.at[0].path == symvers.path
        assert found.severity in (Severity.ERROR, Severity.WARNING, Severity.INFO)


@pytest.mark.parametrize(
    ("fault", "line", "message"),
    [
        ("another CRC", 3, "log_buffer has a different CRC in Module.symvers: expected 0x24a0a350, found 0x5eadbeef"),
        ("a line dropped", None, "log_buffer is exported but not in Module.symvers"),
        ("a line too many", 5, "nobody is in Module.symvers but not exported by vmlinux"),
        ("another module", 11, "log_buffer is exported by vmlinux, not by drivers/x"),
        (
            "another licence",
            3,
            "log_buffer has a different type in Module.symvers: expected EXPORT_SYMBOL_GPL, found EXPORT_SYMBOL",
        ),
        (
            "another namespace",
            3,
            "log_buffer has a different namespace in Module.symvers: expected none, found ELSEWHERE",
        ),
        ("a line twice", 4, "log_buffer is exported twice: by vmlinux, and on line 3 by vmlinux"),
        ("6 columns", 3, "wrong number of fields: expected 5 fields, found 6"),
        ("a blank line", 4, "wrong number of fields: expected 5 fields, found a blank line"),
        ("no CRC", 3, "invalid CRC: expected 0x and 8 hexadecimal digits, found nothing"),
        ("one CRC of zero", 3, "1 of 11 CRCs is zero, not all or none"),
        ("a blank in a module", 3, "the name of the module contains a blank"),
        ("no name", 3, "the name of the symbol is missing"),
        ("an escape", 3, "not printable ASCII: found 1b"),
        ("one CRLF", 3, "1 line ends with a carriage return: expected 0a, found 0d 0a"),
        ("no final newline", 11, "no newline at the end of the last line: the file is truncated"),
        ("a kernel's line among others", 13, "the lines of vmlinux are not together"),
        ("the kernel last", 3, "the lines of drivers/x come before those of the kernel"),
        ("a long name", 12, "1 name is longer than 55 characters, up to 56"),
    ],
)
def test_messages(fault: str, line: int | None, message: str, tmp_path: Path) -> None:
    symvers = changed(FAULTS[fault][0](list(lines_of("hello"))), tmp_path)
    found = {str(one.evidence): one.evidence.at for one in run_checks((symvers, *kernel_of("hello")), *TOPICS).findings}
    assert message in found
    assert found[message][0].line == line


def test_a_difference_names_its_row_in_the_kernel(tmp_path: Path) -> None:
    symvers = changed(FAULTS["another CRC"][0](list(lines_of("hello"))), tmp_path)
    (found,) = run_checks((symvers, *kernel_of("hello")), *TOPICS).findings
    assert [str(place) for place in found.evidence.at[1:]] == [
        f"{SAMPLE}/vmlinux: __ksymtab_gpl row 1 at 0x1232c",
        f"{SAMPLE}/Image: __ksymtab_gpl row 1 at 0x1132c",
    ]


@pytest.mark.parametrize(
    ("separator", "message"),
    [
        (b" ", "blanks, not tabs, separate the fields: modpost refuses the file: expected 5 fields"),
        (b"", "no line has a tab: modpost refuses the file: expected 5 fields"),
    ],
)
def test_a_file_without_tabs_is_one_finding(separator: bytes, message: str, tmp_path: Path) -> None:
    data = b"".join(lines_of("hello")).replace(b"\t", separator)
    (found,) = run_checks((changed(data, tmp_path),), *ALONE).findings
    assert str(found.evidence) == message


@pytest.mark.corpus
def test_modpost_refuses_what_is_an_error(build: Build, tmp_path: Path) -> None:
    """The modpost of the real build reads the same files."""
    good = (build.out / "Module.symvers").read_bytes()
    first = good.split(b"\t", 1)[0]
    for change, message in (
        ((b"", b""), ""),
        ((b"\t", b" "), "parse error in symbol dump file"),
        ((first, b"(unknown)"), "parse error in symbol dump file"),
        ((b"EXPORT_SYMBOL\t", b"EXPORT_OTHER\t"), "unknown license"),
    ):
        symvers = changed(good.replace(*change, 1 if change[0] == first else -1), tmp_path)
        command = [str(build.out / "scripts/mod/modpost"), "-o", str(tmp_path / "out"), "-i", symvers.path]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert message in done.stderr
        errors = [found for found in run_checks((symvers,), *ALONE).findings if found.severity == Severity.ERROR]
        assert bool(errors) is bool(message)


def test_many_faults_are_counted(tmp_path: Path) -> None:
    lines = [f"0x{index:08x}\ts{index}\tvmlinux\tWRONG\t\n".encode() for index in range(1, 101)]
    found = run_checks((changed(lines, tmp_path),), *ALONE).findings
    assert ids(found) == {"symvers-types-are-known"}
    assert len(found) == MOST + 1
    assert found[-1].evidence.message == f"and {100 - MOST} more such lines"
    assert found[-1].evidence.at[0].line == MOST + 1


def test_an_empty_file_has_one_fault(tmp_path: Path) -> None:
    assert ids(run_checks((changed(b"", tmp_path),), *ALONE).findings) == {"symvers-is-not-empty"}


def test_few_crcs_among_zeros_are_the_fault(tmp_path: Path) -> None:
    lines = [f"0x{index // 9:08x}\ts{index}\tvmlinux\tEXPORT_SYMBOL\t\n".encode() for index in range(10)]
    (found,) = run_checks((changed(lines, tmp_path),), *ALONE).findings
    assert str(found.evidence) == "9 of 10 CRCs are zero, not all or none"
    assert [at.line for at in found.evidence.at] == [10]


def test_a_kernel_without_versions_is_one_line(tmp_path: Path) -> None:
    lines = [f"0x00000000\t{'s' * 60}{index}\tvmlinux\tEXPORT_SYMBOL\t\n".encode() for index in range(10)]
    (found,) = run_checks((changed(lines, tmp_path),), *ALONE).findings
    assert (found.id, found.severity) == ("symvers-has-crcs", Severity.INFO)


def test_old_types_in_old_columns_are_fine(tmp_path: Path) -> None:
    kinds = ("EXPORT_SYMBOL_GPL_FUTURE", "EXPORT_UNUSED_SYMBOL", "EXPORT_UNUSED_SYMBOL_GPL", "(unknown)")
    lines = [f"0x5eadbee{index}\ts{index}\tvmlinux\t{kind}\n".encode() for index, kind in enumerate(kinds)]
    assert ids(run_checks((changed(lines, tmp_path),), *ALONE).findings) == set()


def test_lines_in_no_order_are_those_of_an_old_kernel(tmp_path: Path) -> None:
    modules = ["vmlinux", "fs/a", "vmlinux", "fs/b", "fs/a", "vmlinux", "fs/b", "fs/c", "vmlinux", "fs/c"]
    lines = [f"0x5eadbeef\ts{at}\t{module}\tEXPORT_SYMBOL\t\n".encode() for at, module in enumerate(modules)]
    assert ids(run_checks((changed(lines, tmp_path),), *ALONE).findings) == set()


def test_a_real_kernel_has_no_fault(kernel: Kernel) -> None:
    symvers = Symvers(kernel.folder / "Module.symvers")
    report = run_checks((symvers, *kernel_of(kernel.name)), *TOPICS)
    expected = set() if symvers.versioned else {"symvers-has-crcs"}
    assert ids(report.findings) == expected
    assert report.ok
    assert len(report.findings) == len(expected)


def swapped(lines: Iterable[bytes]) -> list[bytes]:
    """Two lines of the kernel in each other's place."""
    first, second, third, fourth, *rest = lines
    return [first, second, fourth, third, *rest]


def with_one_object_of_exports(vmlinux: Path, names: Iterable[str], folder: Path) -> Path:
    """A copy of a vmlinux whose labels of exports are one object's, in an order, as modpost has written it since 6.5.

    The new table of symbols and its strings follow the end of the file.
    """
    elf, data = Elf(vmlinux), vmlinux.read_bytes()
    headers = list(elf.section_headers)
    number = next(section.number for section in elf.sections if section.name == ".symtab")
    symtab, strtab = headers[number], headers[headers[number].sh_link]
    rows = parse_table(Symbol, data[symtab.sh_offset : symtab.sh_offset + symtab.sh_size])
    strings = data[strtab.sh_offset : strtab.sh_offset + strtab.sh_size]
    label = {strings[row.st_name :].split(b"\0", 1)[0]: row for row in rows}
    labels = [label.pop(f"__ksymtab_{name}".encode()) for name in names]
    unit = Symbol(len(strings), STT_FILE, 0, SHN_ABS, 0, 0)
    table = b"".join(
        map(build, [rows[0], unit, *labels, unit._replace(st_name=0), *(r for r in rows[1:] if r not in labels)])
    )
    size = len(strings) + len(EXPORTS_OBJECT) + 1
    headers[symtab.sh_link] = strtab._replace(sh_offset=len(data) + len(table), sh_size=size)
    headers[number] = symtab._replace(sh_offset=len(data), sh_size=len(table))
    changes = {elf.header.e_shoff: b"".join(map(build, headers))}
    copy = patched(vmlinux, changes, folder)
    copy.write_bytes(copy.read_bytes() + table + strings + EXPORTS_OBJECT.encode() + b"\0")
    return copy


def test_order_since_6_5(tmp_path: Path) -> None:
    lines = lines_of("hello")
    names = [line.split(b"\t")[1].decode() for line in lines]
    kernel = Vmlinux(with_one_object_of_exports(SAMPLE / "vmlinux", names, tmp_path))
    assert ids(run_checks((changed(lines, tmp_path), kernel), *TOPICS).findings) == set()
    (found,) = run_checks((changed(swapped(lines), tmp_path), kernel), *TOPICS).findings
    assert found.id == "symvers-follows-the-order-of-vmlinux"
    assert found.evidence.at[0].line == 4


@pytest.mark.corpus
def test_order_of_a_real_kernel_since_6_5(kernels: tuple[Kernel, Kernel], tmp_path: Path) -> None:
    base = kernels[1].name
    findings = run_checks((changed(swapped(lines_of(base)), tmp_path), *kernel_of(base)), *TOPICS).findings
    assert ids(findings) == {"symvers-has-crcs", "symvers-follows-the-order-of-vmlinux"}
    assert [found.evidence.at[0].line for found in findings if "order" in found.id] == [4]


@pytest.mark.parametrize("base", BASES)
def test_order_before_6_5_is_free(base: str, tmp_path: Path) -> None:
    assert ids(run_checks((changed(swapped(lines_of(base)), tmp_path), *kernel_of(base)), *TOPICS).findings) == set()


def test_another_build_is_reported_once(tmp_path: Path) -> None:
    others = [f"0x5eadbee{index:x}\tother_{index}\tvmlinux\tEXPORT_SYMBOL\t\n".encode() for index in range(16)]
    symvers = changed([*lines_of("hello")[6:], *others], tmp_path)
    findings = run_checks((symvers, *kernel_of("hello")), *TOPICS).findings
    assert ids(findings) == BUILDS
    (build,) = (found.evidence for found in findings)
    assert build.message == "not the same build: 22 differing exports (missing 6, extra 16)"
    assert [place.path for place in build.at[1:]] == [str(SAMPLE / "vmlinux"), str(SAMPLE / "Image")]
    text = list(kernel_match_lines(kernel_match_facts(symvers, Image(SAMPLE / "Image")), Style(False)))
    assert text[0].endswith(": exports of different builds")


@pytest.mark.corpus
def test_another_real_build_is_reported_once(kernels: tuple[Kernel, Kernel]) -> None:
    for one, other in (kernels, kernels[::-1]):
        symvers = Symvers(one.folder / "Module.symvers")
        findings = run_checks((symvers, *kernel_of(other.name)), *TOPICS).findings
        assert ids(findings) == BUILDS | (set() if symvers.versioned else {"symvers-has-crcs"})
        (build,) = (found.evidence for found in findings if found.id in BUILDS)
        assert [place.path for place in build.at[1:]] == [str(other.vmlinux), str(other.image)]
        assert " differing exports (missing " in build.message
        assert ", CRC 8,377, licence 63, " in build.message
        text = list(kernel_match_lines(kernel_match_facts(symvers, Image(other.image)), Style(False)))
        assert text[0].endswith(": exports of different builds")


@pytest.mark.corpus
def test_a_kernel_whose_crcs_are_gone_is_another_build(kernels: tuple[Kernel, Kernel], tmp_path: Path) -> None:
    base = kernels[0].name
    lines = (b"0x00000000" + line[10:] for line in lines_of(base))
    findings = run_checks((changed(lines, tmp_path), *kernel_of(base)), *TOPICS).findings
    assert ids(findings) == BUILDS | {"symvers-has-crcs"}


def test_the_sample_is_the_same_in_words() -> None:
    facts = kernel_match_facts(Symvers(SAMPLE / "Module.symvers"), Image(SAMPLE / "Image"))
    assert list(kernel_match_lines(facts, Style(False))) == [
        f"{SAMPLE}/Module.symvers and {SAMPLE}/Image: the same exports",
        "  11 exports, each with the same CRC, licence and namespace",
        "  6 in __ksymtab",
        "  5 in __ksymtab_gpl",
    ]


def test_a_kernel_without_exports_is_undecided_once(tmp_path: Path) -> None:
    stub, image = tmp_path / "vmlinux", tmp_path / "Image"
    stub.write_bytes(elf_of(Part(".BTF", b"x")))
    image.write_bytes((SAMPLE / "Image").read_bytes()[:4096])
    report = run_checks((Symvers(SAMPLE / "Module.symvers"), Vmlinux(stub), Image(image)), *TOPICS)
    assert ids(report.findings) == {f"{check}: undecided" for check in BUILDS}
    assert report.exit_code == 2


def test_unknown_licences_are_undecided(tmp_path: Path) -> None:
    # With the names of both tables in one order, nothing tells where the second begins.
    data = (SAMPLE / "Image").read_bytes()
    for old, new in ((b"log_buffer", b"vog_buffer"), (b"log_length", b"vog_length"), (b"power_off", b"wower_off")):
        data = data.replace(b"\0" + old + b"\0", b"\0" + new + b"\0")
    data = data.replace(b"\0find_export\0", b"\0uind_export\0").replace(b"\0probe_read\0", b"\0xrobe_read\0")
    path = tmp_path / "Image"
    path.write_bytes(data)
    assert not image_exports(Image(path)).licensed
    report = run_checks((Symvers(SAMPLE / "Module.symvers"), Image(path)), *TOPICS)
    assert "symvers-licences-are-those-of-the-kernel: undecided" in ids(report.findings)


def moved(order: list[int]) -> dict[int, bytes]:
    """The rows of the first table of the sample's Image in another order, with their CRCs."""
    exports, data = image_exports(Image(SAMPLE / "Image")), (SAMPLE / "Image").read_bytes()
    start = exports.tables[0].offset
    rows = parse_table(KernelSymbol, data[start : start + ROW * len(order)])
    crcs = start + ROW * len(exports.exports)
    changes = {}
    for index, old in enumerate(order):
        found = KernelSymbol(*(value + (old - index) * ROW if value else 0 for value in rows[old]))
        changes[start + index * ROW] = build(found)
        changes[crcs + 4 * index] = data[crcs + 4 * old : crcs + 4 * old + 4]
    return changes


def test_an_unsorted_image(tmp_path: Path) -> None:
    image = Image(patched(SAMPLE / "Image", moved([0, 2, 1, 3, 4, 5]), tmp_path))
    findings = run_checks((Symvers(SAMPLE / "Module.symvers"), image), *TOPICS).findings
    assert ids(findings) == {"image-exports-are-sorted"}
    assert str(findings[0].evidence.at[0]) == f"{tmp_path}/Image: __ksymtab row 2 at 0x112f0"


def test_an_image_that_exports_a_name_twice(tmp_path: Path) -> None:
    start, data = image_exports(Image(SAMPLE / "Image")).tables[0].offset, (SAMPLE / "Image").read_bytes()
    name = int.from_bytes(data[start + 4 : start + 8], "little") - ROW
    image = Image(patched(SAMPLE / "Image", {start + ROW + 4: name.to_bytes(4, "little")}, tmp_path))
    findings = run_checks((Symvers(SAMPLE / "Module.symvers"), image), *TOPICS).findings
    assert "image-exports-are-sorted" in ids(findings)


@pytest.mark.parametrize("same", [True, False])
def test_a_copy_of_the_hypervisor_in_an_image(same: bool, tmp_path: Path) -> None:
    """Up to 5.10 it has the name and the CRC of the export before it, and another target."""
    exports, data = image_exports(Image(SAMPLE / "Image")), (SAMPLE / "Image").read_bytes()
    start, crcs = exports.tables[0].offset, exports.tables[0].offset + ROW * len(exports.exports)
    texts = parse_table(KernelSymbol, data[start : start + ROW])[0]
    row = parse_table(KernelSymbol, data[start + ROW : start + 2 * ROW])[0]
    name, namespace = texts.name - ROW, texts.namespace and texts.namespace - ROW
    changes = {start + ROW: build(row._replace(name=name, namespace=namespace))}
    if same:
        changes[crcs + 4] = data[crcs : crcs + 4]
    findings = run_checks((Image(patched(SAMPLE / "Image", changes, tmp_path)),), "symvers.image").findings
    assert ids(findings) == (set() if same else {"image-exports-are-sorted"})


@pytest.mark.parametrize(("value", "fault"), [(-(1 << 30), True), (1 << 30, True), (0, False)])
def test_an_export_outside_the_image(tmp_path: Path, value: int, fault: bool) -> None:
    start = image_exports(Image(SAMPLE / "Image")).tables[0].offset
    change = {start: value.to_bytes(4, "little", signed=True)}
    image = Image(patched(SAMPLE / "Image", change, tmp_path))
    findings = run_checks((Symvers(SAMPLE / "Module.symvers"), image), *TOPICS).findings
    assert ids(findings) == ({"image-exports-are-inside-the-kernel"} if fault else set())


@pytest.mark.parametrize("fault", [False, True])
def test_a_table_that_is_cut_is_undecided(tmp_path: Path, fault: bool) -> None:
    start = image_exports(Image(SAMPLE / "Image")).tables[0].offset + 10 * ROW + 4
    change = {start: b"\0\0\0\0"} if fault else {}
    image = Image(patched(SAMPLE / "Image", change, tmp_path))
    findings = run_checks((Symvers(SAMPLE / "Module.symvers"), image), *TOPICS).findings
    undecided = {"symvers-is-of-the-build-of-the-kernel: undecided", "image-exports-are-sorted: undecided"}
    assert ids(findings) == (undecided if fault else set())


# Modules

SYMVERS = (
    b"0x00000001\tkernel\tvmlinux\tEXPORT_SYMBOL\t\n"
    b"0x00000002\ta\tdrivers/net/a\tEXPORT_SYMBOL\t\n"
    b"0x00000003\tb\tdrivers/net/b\tEXPORT_SYMBOL_GPL\tNET\n"
)
MODULES = [("drivers/net/a", [Export("a", 2, False, "")]), ("drivers/net/b", [Export("b", 3, True, "NET")])]
Modules = list[tuple[str, list[Export]]]


def with_b(**fields: int | str | bool) -> Modules:
    return [MODULES[0], ("drivers/net/b", [MODULES[1][1][0]._replace(**fields)])]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("modules", "what"),
    [
        (MODULES, {}),
        ([*MODULES, ("c", [Export("c", 1, False, "")])], {"c": Difference.MISSING}),
        (MODULES[:1], {"b": Difference.EXTRA}),
        (with_b(crc=4), {"b": Difference.CRC}),
        (with_b(gpl=False), {"b": Difference.LICENCE}),
        (with_b(namespace=""), {"b": Difference.NAMESPACE}),
        ([MODULES[0], ("net/b", MODULES[1][1])], {"b": Difference.MODULE}),
        ([*MODULES, ("c", [Export("kernel", 1, False, "")])], {"kernel": Difference.MODULE}),
        # That two export it is for a check of the tree; the line is right for one of them.
        ([*MODULES, ("c", [Export("b", 9, False, "")])], {}),
        ([("c", [Export("b", 9, False, "")]), *MODULES], {}),
    ],
)
def test_modules(modules: Modules, what: dict[str, Difference], tmp_path: Path) -> None:
    symvers = changed(SYMVERS, tmp_path)
    found = against_modules(symvers, modules)
    assert {mismatch.name: mismatch.difference for mismatch in found.differences} == what
    assert found.one_build
    evidence = list(evidence_of(symvers, found, lambda mismatch: Location(mismatch.module), *Difference))
    assert len(evidence) == len(what)


def test_modules_of_another_build(tmp_path: Path) -> None:
    symvers = changed(SYMVERS, tmp_path)
    found = against_modules(symvers, [("a", [Export(f"s{index}", 1, False, "") for index in range(30)])])
    assert not found.one_build
    assert list(evidence_of(symvers, found, lambda _: Location(""), *Difference)) == []
    (evidence,) = build_evidence(symvers, found, Location("tree"))
    assert evidence.message == "not the same build: 32 differing exports (missing 30, extra 2)"


def hold_the_same(symvers: Symvers, root: Path) -> None:
    """The lines of modules are what the modules export."""
    exporting = set(symvers.rows.modules)

    def exports() -> Iterable[tuple[str, Iterable[Export]]]:
        for path in sorted(root.rglob("*.ko*")):
            name = str(path.relative_to(root)).partition(".ko")[0]
            found = Module(path)
            if name in exporting or found.exports:
                yield name, found.exports
            found.release()

    found = against_modules(symvers, exports())
    assert found == ExportComparison(found.rows, found.rows, ())
    assert found.rows == sum(module != "vmlinux" for module in symvers.rows.modules)
    assert found.rows > 5


def test_the_modules_of_the_sample() -> None:
    modules = SAMPLE / "modules"
    hold_the_same(Symvers(modules / "Module.symvers"), modules / "lib/modules/6.1.0-hello/kernel")


def test_the_modules_of_a_real_kernel(kernel: Kernel) -> None:
    root = kernel.folder / "lib/modules" / kernel.release / "kernel"
    hold_the_same(Symvers(kernel.folder / "Module.symvers"), root)
