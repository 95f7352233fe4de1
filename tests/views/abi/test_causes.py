"""The types behind changed exports: of the sample, of sources with one edit each, and of real kernels."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect import cli
from kinspect.reports.abi.causes import type_lines
from kinspect.reports.terminal import Style
from kinspect.schemas import btf
from kinspect.views.abi.causes import AbiCauses, TypeChange
from kinspect.views.abi.changes import AbiFacts, Change
from kinspect.views.abi.comparison import MOST_CAUSES, TypeComparison
from kinspect.views.abi.definitions import Definitions
from kinspect.views.abi.members import MemberChange, definition_pair, member_changes
from kinspect.views.abi.reach import path_to, reached_sets, shortest_paths
from kinspect.views.abi.symbols import ExportCauses
from tests.conftest import CORPUS, ROOT, Kernel, missing
from tests.toy_btf import ToyBtf

SAMPLE = ROOT / "samples" / "hello" / "abi"
OLD, NEW = str(SAMPLE / "old"), str(SAMPLE / "new")


def causes_of(old: str, new: str) -> AbiCauses:
    [found] = kinspect.abi(old, new).facts_of(AbiCauses)
    return found


def test_the_sample() -> None:
    found = causes_of(OLD, NEW)
    assert (found.basis.value, found.changed, found.kept, found.unexplained) == ("CRC", 4, 0, ())
    assert found.types == (
        TypeChange(
            "enum power",
            4,
            4,
            (
                MemberChange("added", "POWER_SLEEP", "", "1", None),  # type: ignore[arg-type]
                MemberChange("value", "POWER_ON", "1", "2", None),  # type: ignore[arg-type]
            ),
            3,
            ("gadget_power", "enum power"),
            (),
            False,
        ),
        TypeChange(
            "struct device",
            24,
            32,
            (
                MemberChange("added", "id", "", "unsigned int id", 192),  # type: ignore[arg-type]
                MemberChange("type", "flags", "unsigned char", "long unsigned int", 128),  # type: ignore[arg-type]
            ),
            3,
            ("gadget_power", "struct gadget", "struct device"),
            ("struct gadget",),
            False,
        ),
    )
    assert [tuple(change) for change in found.prototypes] == [
        (
            "clock_rate",
            "long unsigned int clock_rate(struct clock *)",
            "long unsigned int clock_rate(const struct clock *, int)",
        )
    ]


def test_one_export_of_the_sample() -> None:
    [found] = kinspect.abi(OLD, NEW, symbols=["gadget_reg*"]).facts_of(ExportCauses)
    assert (found.export, found.changed, found.reason) == ("gadget_register", True, "")
    assert found.old_prototype == found.new_prototype == "int gadget_register(struct gadget *)"
    assert [change.path for change in found.types] == [
        ("gadget_register", "struct gadget", "enum power"),
        ("gadget_register", "struct gadget", "struct device"),
    ]
    [same] = kinspect.abi(OLD, NEW, symbols=["driver_name"]).facts_of(ExportCauses)
    assert (same.changed, same.types) == (False, ())
    with pytest.raises(kinspect.MalformedError, match=r"no such export in either kernel.*: found gadget_powr"):
        kinspect.abi(OLD, NEW, symbols=["gadget_powr"])


@pytest.mark.parametrize(
    ("symbols", "status", "verdict"),
    [
        ("driver_name", 0, "good: 1 export, nothing that breaks modules"),
        ("gadget_power,driver_name", 1, "not good: 1 change breaks the interface"),
        ("gadget_*", 1, "not good: 3 changes break the interface"),
        ("*", 1, "not good: 4 changes break the interface"),
    ],
)
def test_the_verdict_is_about_the_selected_exports(
    symbols: str, status: int, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["abi", OLD, NEW, "--symbol", symbols]) == status
    assert capsys.readouterr().out.splitlines()[-1] == verdict


def test_a_selected_export_that_one_kernel_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    (fewer / "vmlinux").write_bytes((SAMPLE / "new/vmlinux").read_bytes())
    lines = (SAMPLE / "new/Module.symvers").read_text().splitlines(keepends=True)
    (fewer / "Module.symvers").write_text("".join(line for line in lines if "driver_name" not in line))
    for sides, status, label in (((NEW, fewer), 1, "removed"), ((fewer, NEW), 0, "added")):
        assert cli.main(["abi", *map(str, sides), "--symbol", "driver_name"]) == status
        assert f"  {label}\n    driver_name  vmlinux\n" in capsys.readouterr().out


def without_versions(side: str, folder: Path) -> str:
    """The sample as a kernel without MODVERSIONS."""
    folder.mkdir()
    (folder / "vmlinux").write_bytes((SAMPLE / side / "vmlinux").read_bytes())
    rows = [line.split("\t") for line in (SAMPLE / side / "Module.symvers").read_text().splitlines()]
    (folder / "Module.symvers").write_text("".join("\t".join(["0x00000000", *row[1:]]) + "\n" for row in rows))
    return str(folder)


def test_without_modversions_the_types_decide(tmp_path: Path) -> None:
    old, new = without_versions("old", tmp_path / "old"), without_versions("new", tmp_path / "new")
    report = kinspect.abi(old, new)
    [facts] = report.facts_of(AbiFacts)
    changed = {found.name: (found.old, found.new) for found in facts.of(Change.TYPES)}
    # Of driver_name only a pointer to a declared struct is known, of system_clock nothing.
    assert changed == {
        "clock_rate": (
            "long unsigned int clock_rate(struct clock *)",
            "long unsigned int clock_rate(const struct clock *, int)",
        ),
        "gadget_power": ("", "enum power"),
        "gadget_register": ("", "enum power"),
        "gadget_remove": ("", "enum power"),
    }
    assert [found.id for found in report.findings if found.severity.value == "error"] == ["abi-types-are-kept"]
    assert causes_of(old, new).basis.value == "types"
    assert kinspect.abi(old, old).ok


@pytest.mark.parametrize("sides", [("old", "new"), ("new", "old")])
def test_the_types_decide_if_only_one_kernel_has_modversions(sides: tuple[str, str], tmp_path: Path) -> None:
    """The CRCs cannot be compared, but it would be false to say that no type changed."""
    for pair in ((without_versions(sides[0], tmp_path / "a"), str(SAMPLE / sides[1])),
                 (str(SAMPLE / sides[0]), without_versions(sides[1], tmp_path / "b"))):  # fmt: skip
        report = kinspect.abi(*pair)
        [facts] = report.facts_of(AbiFacts)
        assert (facts.incomparable, facts.breaks) == (6, 5)
        assert [found.name for found in facts.of(Change.TYPES)] == [
            "clock_rate", "gadget_power", "gadget_register", "gadget_remove"
        ]  # fmt: skip
        [causes] = report.facts_of(AbiCauses)
        assert [found.type for found in causes.types] == ["enum power", "struct device"]


def test_without_crcs_and_types_only_names_are_compared(tmp_path: Path) -> None:
    old = Path(without_versions("old", tmp_path / "old")) / "Module.symvers"
    [facts] = kinspect.abi(old, old).facts_of(AbiFacts)
    assert (facts.kept, facts.only_names) == (True, True)


def test_rules_tolerate_types(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("TYPE device PASS\nTYPE power FAIL\n")
    [facts] = kinspect.abi(OLD, NEW, rules).facts_of(AbiFacts)
    assert facts.breaks == 4
    rules.write_text("TYPE device PASS\nTYPE pow* PASS\n")
    [facts] = kinspect.abi(OLD, NEW, rules).facts_of(AbiFacts)
    # The prototype of clock_rate changed, and no rule says that this is fine.
    assert [found.name for found in facts.changes if found.breaks] == ["clock_rate"]
    [causes] = kinspect.abi(OLD, NEW, rules).facts_of(AbiCauses)
    assert [change.tolerated for change in causes.types] == [True, True]


def test_only_some_types() -> None:
    [found] = kinspect.abi(OLD, NEW, types_matching="^struct").facts_of(AbiCauses)
    assert ([change.type for change in found.types], found.left_out) == (["struct device"], 1)
    assert next(type_lines(found, Style(False))) == (
        "  --types matches 1 of 2 changed types; the layout of 1 other changed with them"
    )
    [found] = kinspect.abi(OLD, NEW, types_matching="nothing").facts_of(AbiCauses)
    assert list(type_lines(found, Style(False))) == ["  --types matches none of 2 changed types"]
    with pytest.raises(kinspect.MalformedError, match="not a regular expression"):
        kinspect.abi(OLD, NEW, types_matching="(")


def test_what_no_side_can_be(tmp_path: Path) -> None:
    with pytest.raises(kinspect.WrongKindError, match="no exports to compare"):
        kinspect.abi(ROOT / "samples/hello/dtb/hello.dtb", NEW)
    with pytest.raises(kinspect.MalformedError, match="nothing to compare in this folder"):
        kinspect.abi(tmp_path, NEW)
    with pytest.raises(kinspect.UnsupportedError, match="no types to explain symbols with"):
        kinspect.abi(SAMPLE / "old/Module.symvers", SAMPLE / "new/Module.symvers", symbols=["clock_rate"])


def test_the_sample_is_what_its_script_builds(tool: Callable[[str], str], tmp_path: Path) -> None:
    for name in ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objcopy", "pahole"):
        tool(name)
    genksyms = CORPUS / "build/source/out/scripts/genksyms/genksyms"
    if not genksyms.exists():
        missing("genksyms", f"bash tests/corpus/build.sh {CORPUS} builds it")
    subprocess.run([SAMPLE / "build.sh", genksyms, tmp_path], check=True, capture_output=True)
    for name in ("old/vmlinux", "old/Module.symvers", "new/vmlinux", "new/Module.symvers"):
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes(), name


SOURCE = """
struct list { struct list *next; };
typedef unsigned int u32;
typedef u32 gfp_t;
enum mode { READ, WRITE };
struct options { u32 a : 3; u32 b : 5; };
struct page { struct list lru; u32 flags; union { int index; u32 hash; }; char name[8]; };
struct file { struct page *page; enum mode mode; struct options options; gfp_t gfp; };
struct holder { struct file file; int after; };
int file_open(struct file *file, enum mode mode) { return file->mode == mode; }
int page_get(struct page *page) { return page->index; }
int holder_get(struct holder *holder) { return holder->after; }
"""
EDITS = {
    "member added": ("u32 flags;", "u32 flags; u32 extra;", "struct page", [("added", "extra", "", "u32 extra")]),
    "member removed": ("char name[8];", "", "struct page", [("removed", "name", "char name[8]", "")]),
    "members reordered": (
        "struct list lru; u32 flags;",
        "u32 flags; struct list lru;",
        "struct page",
        [("order", "flags", "", "")],
    ),
    "type changed": (
        "{ struct page *page;",
        "{ const struct page *page;",
        "struct file",
        [("type", "page", "struct page *", "const struct page *")],
    ),
    "enum value inserted": (
        "READ, WRITE",
        "READ, APPEND, WRITE",
        "enum mode",
        [("added", "APPEND", "", "1"), ("value", "WRITE", "1", "2")],
    ),
    "bitfield widened": ("u32 a : 3", "u32 a : 4", "struct options", [("type", "a", "u32 : 3", "u32 : 4")]),
    "typedef retargeted": (
        "typedef u32 gfp_t",
        "typedef unsigned long gfp_t",
        "gfp_t",
        [("target", "", "u32", "long unsigned int")],
    ),
    "anonymous union member": (
        "int index; u32 hash;",
        "int index; u32 hash; u32 order;",
        "struct page",
        [("added", "order", "", "u32 order")],
    ),
    "array length": ("char name[8]", "char name[16]", "struct page", [("type", "name", "char [8]", "char [16]")]),
    "array added to a struct in another": (
        "gfp_t gfp;",
        "gfp_t gfp; u32 more[4];",
        "struct file",
        [("added", "more", "", "u32 more[4]")],
    ),
    "member renamed": ("u32 flags;", "u32 state;", "struct page", [("renamed", "state", "flags", "state")]),
}
"""An edit, the type that it changes, and what it changes there."""


def types_of_source(source: str, folder: Path, tool: Callable[[str], str]) -> Definitions:
    """The types that gcc and pahole make of a source."""
    folder.mkdir()
    (folder / "x.c").write_text(source)
    subprocess.run([tool("aarch64-linux-gnu-gcc"), "-c", "-g", "-o", "x.o", "x.c"], cwd=folder, check=True)
    subprocess.run([tool("pahole"), "--btf_encode_detached=x.btf", "x.o"], cwd=folder, check=True)
    found = kinspect.open(folder / "x.btf", kinspect.Btf)
    assert found.facts.types > 10
    return Definitions(found)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_named(edit: str, tool: Callable[[str], str], tmp_path: Path) -> None:
    before, after, name, expected = EDITS[edit]
    assert SOURCE.count(before) == 1
    old = types_of_source(SOURCE, tmp_path / "old", tool)
    new = types_of_source(SOURCE.replace(before, after), tmp_path / "new", tool)
    comparison = TypeComparison(old, new)
    assert comparison.causes == [name]
    first, second = definition_pair(old, new, name)
    changes = member_changes(old, first, new, second)
    assert [(change.change.value, *change[1:4]) for change in changes] == expected
    reached = {export: comparison.of_export(export) for export in ("file_open", "page_get", "holder_get")}
    uses = {"struct page": 3, "struct file": 2, "struct options": 2, "enum mode": 2, "gfp_t": 2}[name]
    assert sum(bool(found and found.causes == (name,)) for found in reached.values()) == uses
    # What contains it, and changed its size or offsets, is no cause.
    assert name not in comparison.knock_ons
    grown = {"struct holder": {"struct file"}} if edit == "array added to a struct in another" else {}
    assert comparison.knock_ons == grown


def test_a_parameter_is_added(tool: Callable[[str], str], tmp_path: Path) -> None:
    source = SOURCE.replace("page->index", "0")
    old = types_of_source(source, tmp_path / "old", tool)
    new = source.replace("page_get(struct page *page)", "page_get(void *p, int x)")
    comparison = TypeComparison(old, types_of_source(new, tmp_path / "new", tool))
    assert comparison.causes == []
    found = comparison.of_export("page_get")
    assert found
    assert found.prototypes == ("int page_get(struct page *)", "int page_get(void *, int)")


def test_a_typedef_of_the_same_number_type() -> None:
    """It changes CRCs. Without them, a module cannot tell."""
    definitions = []
    for through, size in ((False, 1), (True, 1), (True, 2)):
        toy = ToyBtf()
        number = toy.integer("unsigned char" if size == 1 else "unsigned short", size)
        found = toy.add(btf.TYPEDEF, "__u8", number) if through else number
        octet = toy.add(btf.TYPEDEF, "u8", found)
        toy.function("use", 0, [("it", toy.pointer(octet))])
        definitions.append(Definitions(toy.btf))
    old, new, other = definitions
    assert TypeComparison(old, new).causes == ["u8"]
    assert TypeComparison(old, new, by_crc=False).causes == []
    assert TypeComparison(old, other, by_crc=False).causes == ["u8"]
    assert TypeComparison(new, other, by_crc=False).causes == ["__u8"]


def test_two_definitions_of_one_name() -> None:
    """A name that two files define: another definition besides explains a CRC only when nothing else does."""

    def kernel(*sizes: int) -> Definitions:
        toy = ToyBtf()
        number = toy.integer("int")
        for size in sizes:
            struct = toy.struct("state", 4 * size, [(f"m{at}", number, 32 * at) for at in range(size)])
            pointer = toy.pointer(struct)
            toy.function(f"use_{size}", number, [("state", pointer)])
        return Definitions(toy.btf)

    assert TypeComparison(kernel(1, 2), kernel(2, 1)).causes == []
    further = TypeComparison(kernel(1), kernel(1, 2))
    assert further.causes == ["struct state"]
    found = further.of_export("use_1")
    assert found
    assert (found.causes, found.changed) == (("struct state",), False)
    changed = TypeComparison(kernel(1, 2), kernel(1, 3)).of_export("use_1")
    assert changed
    assert changed.changed


def test_a_type_that_is_only_declared_in_one_kernel() -> None:
    def kernel(defined: bool) -> Definitions:
        toy = ToyBtf()
        number = toy.integer("int")
        struct = toy.struct("state", 4, [("m", number, 0)]) if defined else toy.add(7, "state")
        toy.function("use", number, [("state", toy.pointer(struct))])
        return Definitions(toy.btf)

    comparison = TypeComparison(kernel(False), kernel(True))
    assert comparison.causes == ["struct state"]
    found = comparison.of_export("use")
    assert found
    assert found.causes == ("struct state",)


def test_a_module_whose_types_continue_the_kernels() -> None:
    def kernel(size: int) -> tuple[ToyBtf, Definitions]:
        toy = ToyBtf()
        number = toy.integer("int")
        toy.struct("device", 4 * size, [(f"m{at}", number, 32 * at) for at in range(size)])
        return toy, Definitions(toy.btf)

    def module(base: ToyBtf, definitions: Definitions, name: str) -> Definitions:
        toy = ToyBtf(base)
        own = toy.struct("own", 4, [(name, 1, 0)])
        device = toy.pointer(2)
        toy.function("of_kernel", 1, [("device", device)])
        toy.function("of_module", 1, [("own", toy.pointer(own))])
        return Definitions(toy.btf, definitions)

    (old, old_types), (new, new_types) = kernel(1), kernel(2)
    base = TypeComparison(old_types, new_types)
    comparison = TypeComparison(module(old, old_types, "a"), module(new, new_types, "b"), base)
    assert comparison.causes == ["struct device", "struct own"]
    found = [comparison.of_export(name) for name in ("of_kernel", "of_module")]
    assert [export and export.causes for export in found] == [("struct device",), ("struct own",)]


def test_anonymous_types_that_double() -> None:
    """Types that would be written out 2^40 times are compared all the same, or refused."""

    def kernel(size: int) -> Definitions:
        toy = ToyBtf()
        inner = number = toy.integer("int")
        for _ in range(40):
            inner = toy.struct("", size, [("a", inner, 0), ("b", inner, 0)])
        outer = toy.struct("outer", size, [("all", inner, 0)])
        toy.function("use", number, [("outer", toy.pointer(outer))])
        return Definitions(toy.btf)

    old, new = kernel(4), kernel(8)
    comparison = TypeComparison(old, new)
    assert comparison.causes == ["struct outer"]
    assert comparison.of_export("use") is not None
    with pytest.raises(kinspect.MalformedError, match="too many members in nested anonymous types"):
        old.fields(old.ids["struct outer"][0])


def test_too_many_types_differ() -> None:
    def kernel(size: int) -> Definitions:
        toy = ToyBtf()
        number = toy.integer("int")
        for at in range(MOST_CAUSES + 1):
            toy.struct(f"s{at}", 4, [(f"m{size}", number, 0)])
        return Definitions(toy.btf)

    with pytest.raises(kinspect.UnsupportedError, match="too many types differ: expected at most 8,192 types"):
        _ = TypeComparison(kernel(1), kernel(2)).causes


def test_circles_reach_the_same() -> None:
    arrows = {"a": "b", "b": "cd", "c": "a", "d": "e", "e": "", "f": "cx"}
    marks = {"a": 1, "e": 2, "f": 4}
    assert reached_sets(arrows, lambda node: arrows[node], marks, {"x": 8}) == {
        "a": 3, "b": 3, "c": 3, "d": 2, "e": 2, "f": 15,
    }  # fmt: skip
    paths = shortest_paths({"start": ["a"]}, lambda node: arrows[node])
    assert path_to("e", paths) == ("start", "a", "b", "d", "e")
    assert path_to("f", paths) == ()


PAIRS = {"bookworm-cloud": "bookworm-cloud-before", "trixie-cloud": "trixie-cloud-before"}
"""Debian's kernels of the tests, and the ones of the update before."""


@pytest.fixture(scope="module", params=[pytest.param(pair, marks=pytest.mark.corpus) for pair in PAIRS.items()])
def pair(request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """Two real kernels, the older one first."""
    for name in request.param:
        if (CORPUS / name / ".absent").exists():
            pytest.skip("the archive has only one update of this kernel")
        if not (CORPUS / name / ".complete").exists():
            missing(f"the kernel {name}", f"bash tests/corpus/fetch.sh {CORPUS} fetches it")
    return CORPUS / request.param[1], CORPUS / request.param[0]


def test_real_crcs_have_causes(pair: tuple[Path, Path]) -> None:
    """Of every exported function whose CRC changed, the types say why: all but one in a thousand."""
    found = causes_of(str(pair[0] / "Image"), str(pair[1] / "Image"))
    assert found.changed > 5000
    without = [export for export in found.unexplained if export.reason == "no type that it uses changed"]
    assert len(without) <= found.changed // 1000
    # The others are variables, which BTF does not describe.
    assert len(found.unexplained) < 0.04 * found.changed
    assert len(found.types) < 100
    assert all(change.members or change.old_size != change.new_size for change in found.types)
    assert all(change.path[-1] == change.type for change in found.types)


def test_a_kernel_with_itself(pair: tuple[Path, Path]) -> None:
    report = kinspect.abi(pair[1] / "Image", pair[1] / "Image")
    [found] = report.facts_of(AbiCauses)
    assert report.ok
    assert (found.changed, found.types, found.unexplained) == (0, (), ())


@pytest.mark.corpus
def test_other_page_sizes_without_modversions(kernels: tuple[Kernel, Kernel]) -> None:
    """6.1 has MODVERSIONS, 7.x has not: the types are told all the same, and nothing is called kept."""
    [facts] = kinspect.abi(kernels[0].image, kernels[1].image).facts_of(AbiFacts)
    assert facts.versions.value == "gone"
    assert not facts.kept
