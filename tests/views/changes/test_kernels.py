"""Two kernels compared by function: known edits of one source are named, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

import kinspect
from kinspect.reports.changes.facts import document, lines, outcome
from kinspect.reports.terminal import Style
from kinspect.views.changes.data.changed import ChangedData
from kinspect.views.changes.facts import KernelDifference
from kinspect.views.changes.names import compared_name, is_boundary, is_of_linker
from tests.toy_program import toy_kernel

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/report.schema.json").read_text())
SOURCE = """
#define HIDDEN __attribute__((visibility("hidden")))
#define FAR __attribute__((noinline))
extern HIDDEN int put(const char *, ...);
extern HIDDEN int state[32];
int state[32];
const char linux_banner[] = "Linux version 6.1.0 (user@host) (gcc) #1 SMP Thu Jan 1 00:00:00 UTC 2026\\n";
FAR int put(const char *text, ...) { return text[0] + state[3]; }
static FAR int lower(int n) { state[n & 7] += n; return put("lower %d", n); }
static FAR int upper(int n) { state[n & 15] -= n; return put("upper %d", n); }
FAR int first(int n) { return lower(n) * 3 + state[1]; }
FAR int second(int n) { return upper(n) + 40; }
FAR int third(int n) { int s = 0; for (int i = 0; i < n; i++) s += lower(i) ^ state[2]; return s; }
FAR int fourth(int n) { switch (n) { case 1: return put("one"); case 2: return put("two"); default: return n; } }
FAR int fifth(int n) { return first(n) + second(n) + third(n) + fourth(n); }
"""
EDITS = {
    "body": ("lower(i) ^ state[2]", "lower(i) + state[2] * 5", {"third"}, (), ()),
    "constant": ("upper(n) + 40", "upper(n) + 41", {"second"}, (), ()),
    "callee": ("return upper(n) + 40", "return lower(n) + 40", {"second"}, (), ("upper",)),
    "variable": ("lower(n) * 3 + state[1]", "lower(n) * 3 + state[4]", {"first"}, (), ()),
    "longer text": ('"upper %d"', '"a much longer text %d"', {"upper"}, (), ()),
    "new function": ("FAR int first", "FAR int zero(int n) { return n + 99; }\nFAR int first", set(), ("zero",), ()),
    "shift": ("FAR int put(", 'asm(".skip 4096, 0");\nFAR int put(', set(), (), ()),
    "renamed": ("lower(", "below(", set(), (), ()),
}
"""An edit of the source: what is replaced by what; the functions that changed, those added, those removed."""


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Callable[[str, str], Path]:
    folder = tmp_path_factory.mktemp("kernels")
    return lambda name, source: toy_kernel(folder, tool, name, source)


def difference(old: Path, new: Path) -> KernelDifference:
    report = kinspect.diff(old, new)
    jsonschema.validate(json.loads(report.to_json()), SCHEMA)
    (facts,) = report.facts
    assert isinstance(facts, KernelDifference)
    assert report.exit_code == (0 if facts.same else 1)
    return facts


def names(found: tuple[object, ...]) -> set[str]:
    return {one.name for one in found}  # type: ignore[attr-defined]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_named_and_nothing_else(edit: str, linked: Callable[[str, str], Path]) -> None:
    before, after, changed, added, removed = EDITS[edit]
    source = SOURCE.replace(before, after)
    if edit == "renamed":
        source = source.replace(*EDITS["shift"][:2])
    facts = difference(linked("old", SOURCE), linked("new", source))
    assert names(facts.changed) == changed
    assert names(facts.added) == set(added)
    assert names(facts.removed) == set(removed)
    pairs = [(name.old_name, name.new_name) for name in facts.renamed]
    assert pairs == ([("lower", "below")] if edit == "renamed" else [])
    if edit == "constant":
        (function,) = facts.changed
        assert function.instructions == 1
        assert (function.old_size, function.first % 4) == (function.new_size, 0)


def test_a_text_of_the_same_length(linked: Callable[[str, str], Path]) -> None:
    facts = difference(linked("old", SOURCE), linked("new", SOURCE.replace("upper %d", "other %d")))
    assert facts.same_layout
    assert (facts.texts_removed, facts.texts_added) == (("upper %d",), ("other %d",))
    assert names(facts.changed) == {"upper"}
    assert not facts.ranges


def test_a_text_behind_a_table_of_kallsyms(linked: Callable[[str, str], Path]) -> None:
    """What follows the last thing with a name is not part of it."""
    source = SOURCE.replace("const char linux", "const int kallsyms_op[4] = { 1 };\nconst char linux")
    facts = difference(linked("old", source), linked("new", source.replace("upper %d", "other %d")))
    assert (facts.texts_removed, facts.texts_added) == (("upper %d",), ("other %d",))
    assert not facts.causes


@pytest.mark.parametrize("section", [".text", ".init.text"])
def test_what_looks_like_a_text_in_code(section: str, linked: Callable[[str, str], Path]) -> None:
    """A symbol of something else lies where the code ends."""
    end = ".section .rodata\\n.globl _etext\\n_etext:\\n.type aside,%object\\naside: .word 7\\n"
    code = f'.section {section},\\"ax\\"\\n.type in_code,%function\\nin_code: '
    code += '.byte 0\\n.ascii \\"abcdef\\"\\n.byte 0\\nret\\n'
    source = f'asm("{end}{code}.previous");\n{SOURCE}'
    facts = difference(linked("old", source), linked("new", source.replace("abcdef", "abcdeg")))
    assert names(facts.changed) == {"in_code"}
    assert not facts.texts_added + facts.texts_removed


def with_leaves(first: str, second: str) -> str:
    """The source with two functions in an order; the first of them is called, at one distance."""
    texts = ".pushsection .text\\n"
    for name in (first, second):
        number = 1 + (name == "leaf_two")
        texts += f".hidden {name}\\n.global {name}\\n.type {name}, %function\\n{name}: add w0, w0, #{number}\\nret\\n"
    user = f"extern HIDDEN int {first}(int);\nFAR int caller(int n) {{ return {first}(n) * 7; }}\n"
    return f'{SOURCE}asm("{texts}.popsection");\n{user}'


@pytest.mark.parametrize("changed", [{"caller"}, set()])
def test_equal_bytes_that_call_another_function(changed: set[str], linked: Callable[[str, str], Path]) -> None:
    order = ("leaf_one", "leaf_two")
    sides = linked("old", with_leaves(*order)), linked("new", with_leaves(*(order[::-1] if changed else order)))
    facts = difference(*sides)
    assert names(facts.changed) == changed
    assert not facts.added + facts.removed
    assert not facts.causes


def test_the_same_sources_give_the_same_kernel(linked: Callable[[str, str], Path]) -> None:
    assert difference(linked("old", SOURCE), linked("again", SOURCE)).same


def test_only_the_time_of_the_build(linked: Callable[[str, str], Path]) -> None:
    later = SOURCE.replace("Thu Jan 1 00:00:00", "Fri Jan 2 11:22:33").replace("user@host", "root@farm")
    facts = difference(linked("old", SOURCE), linked("later", later))
    assert facts.only_causes
    assert [cause.id for cause in facts.causes] == ["banner"]


def test_a_change_right_behind_a_known_part(linked: Callable[[str, str], Path]) -> None:
    """Both are one range of bytes that differ."""
    source = SOURCE.replace("FAR int put(", "const int behind[4] = { 1, 2, 3, 4 };\nFAR int put(", 1)
    later = source.replace("UTC 2026", "UTC 2027")
    assert difference(linked("old", source), linked("later", later)).only_causes
    facts = difference(linked("old", source), linked("new", later.replace("{ 1, 2", "{ 7, 2")))
    assert [cause.id for cause in facts.causes] == ["banner"]
    assert [found.symbol for found in facts.ranges] == ["behind"]
    assert not facts.only_causes


def test_a_pointer_that_changed_is_named_by_where_it_is(linked: Callable[[str, str], Path]) -> None:
    """Its value is in a relocation."""
    own = "__attribute__((noipa)) int one(int n) { return n + 1; }\n"
    table = '__attribute__((section(".init.data"))) int (*table[3])(int) = { one, two, two };\n'
    source = SOURCE + own + own.replace("one", "two") + table
    facts = difference(linked("old", source), linked("new", source.replace("two, two }", "two, one }")))
    assert not facts.changed
    assert {found.symbol for found in facts.ranges} == {"table+0x10"}


def test_another_order_of_the_same_functions(linked: Callable[[str, str], Path]) -> None:
    asm = ".pushsection .text\\n.type %s, %%function\\n%s: .rept %d\\nadd x1, x1, #7\\n.endr\\nret\\n.popsection\\n"
    parts = [f'asm("{asm % (name, name, number)}");\n' for name, number in (("small", 3), ("large", 500))]
    facts = difference(linked("old", SOURCE + parts[0] + parts[1]), linked("new", SOURCE + parts[1] + parts[0]))
    assert not facts.changed + facts.added + facts.removed
    (cause,) = facts.causes
    assert (cause.id, cause.places) == ("order", ("small",))


def test_it_is_not_the_same_kernel_when_data_was_not_compared() -> None:
    facts = KernelDifference("old", "new", (), (), "an arm64 Image", 1, 2, False, False, (None, None), (None, None))
    assert not facts.only_causes
    assert outcome(facts) == "new differs from old: not in functions and strings, but not all data could be compared"
    assert facts._replace(data=ChangedData(5)).only_causes
    assert not facts._replace(data=ChangedData(5, unjudged=1)).only_causes
    assert facts._replace(same_layout=True).only_causes


def test_names_are_compared_without_numbers() -> None:
    assert compared_name("f.isra.0") == compared_name("f.isra.3") == "f.isra"
    assert compared_name("f.llvm.123456") == "f"
    assert compared_name("table.17") == "table"
    assert compared_name("f2") == "f2"
    assert is_of_linker("__erratum_843419_veneer_0")
    assert is_of_linker("e843419@0001_00000002_3")
    assert is_of_linker("__CortexA53843419_FFFF800008012FFC")
    for kind in ("ADRP", "AbsLong", "AbsXOLong", "BTI"):
        assert is_of_linker(f"__AArch64{kind}Thunk_panic")
    assert not is_of_linker("module_emit_veneer_for_adrp")
    assert is_boundary("__idmap_text_end")
    assert not is_boundary("seq_list_start")
    for name in ("__efistub_$d", "__kvm_nvhe_$d", "__pi_$d.12", "__efistub__text"):
        assert is_boundary(name)
    assert not is_boundary("__pi_$x")
    assert not is_boundary("__efistub_memcpy")


def test_long_strings_are_shortened_in_the_text() -> None:
    text = "dir=%s nents=%d, " * 100 + "attrs=%s"
    facts = KernelDifference("old", "new", (), (), "an arm64 Image", 1, 2, False, False, (None, None), (None, None))
    facts = facts._replace(texts_added=(text,), texts_removed=("nents=%d\n",))
    shown = list(lines(facts, Style(False)))
    assert "  -  nents=%d" in shown
    (added,) = (line for line in shown if line.startswith("  +"))
    assert len(added) == len("  +  ") + 160
    assert document(facts)["texts_added"] == [text]
