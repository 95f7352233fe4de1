"""What is said of functions that changed besides their names: instructions, values, padding; exports and types."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

import kinspect
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.module.exports import Export
from kinspect.cli import main
from kinspect.errors import MalformedError, UnsupportedError
from kinspect.reports.changes.facts import document, lines, outcome
from kinspect.reports.changes.interface import interface_lines
from kinspect.reports.disassembly import facts as one
from kinspect.reports.terminal import Style
from kinspect.schemas import btf
from kinspect.views.abi.comparison import TypeComparison
from kinspect.views.abi.definitions import Definitions
from kinspect.views.changes.closely import FunctionChange
from kinspect.views.changes.described import function, functions, interface
from kinspect.views.changes.described.functions import Values
from kinspect.views.changes.described.interface import ExportCounts, Interface, TypeCounts, type_counts
from kinspect.views.changes.described.structs import MovedMembers, explained
from kinspect.views.changes.facts import KernelDifference
from kinspect.views.changes.padding import padding
from kinspect.views.disassembly.facts import FunctionDifference
from kinspect.views.disassembly.immediates import Immediate
from kinspect.views.kernel.instructions import NOP
from tests.toy_btf import ToyBtf
from tests.views.changes.test_kernels import EDITS, SCHEMA, SOURCE, difference, linked

__all__ = ["linked"]
Link = Callable[[str, str], Path]
FACTS = KernelDifference("old", "new", (), (), "an arm64 Image", 1, 2, False, True, (None, None), (None, None))
CHANGE = FunctionChange("f", 0, 0, 8, 8, 1, 4, 0x9100A000, 0x9100A400)


def edited(linked: Link, edit: str) -> tuple[Path, Path]:
    return linked("old", SOURCE), linked("new", SOURCE.replace(*EDITS[edit][:2]))


def test_the_first_difference_is_shown_as_assembly(linked: Link) -> None:
    (changed,) = difference(*edited(linked, "callee")).changed
    assert (changed.old_text, changed.new_text) == ("bl upper", "bl lower")
    assert not changed.only_values
    (changed,) = difference(*edited(linked, "longer text")).changed
    assert '"upper %d"' in (changed.old_text or "")
    assert '"a much longer text %d"' in (changed.new_text or "")
    assert not changed.only_values


def test_an_edited_constant_differs_in_a_value_alone(linked: Link) -> None:
    (changed,) = difference(*edited(linked, "constant")).changed
    assert changed.only_values
    assert changed.types == ()
    assert (changed.old_text, changed.new_text) == ("add w0, w0, #0x28", "add w0, w0, #0x29")


def test_another_operation_is_more_than_a_value(linked: Link) -> None:
    new = SOURCE.replace("upper(n) + 40", "upper(n) - 50")
    (changed,) = difference(linked("old", SOURCE), linked("new", new)).changed
    assert changed.old_size == changed.new_size
    assert not changed.only_values


@pytest.mark.parametrize("edit", ["body", "variable"])
def test_another_body_or_variable_is_more_than_a_value(edit: str, linked: Link) -> None:
    (changed,) = difference(*edited(linked, edit)).changed
    assert not changed.only_values


def test_without_the_library_words_are_shown(linked: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "can_disassemble", lambda: False)
    monkeypatch.setattr(function, "can_disassemble", lambda: False)
    facts = difference(*edited(linked, "constant"))
    (changed,) = facts.changed
    assert (changed.old_text, changed.new_text) == (None, None)
    text = "\n".join(lines(facts, Style(False)))
    assert f"{changed.expected:#010x}" in text
    assert text.count("pip install 'kinspect[disasm]'") == 1
    with pytest.raises(UnsupportedError, match=r"kinspect\[disasm\]"):
        kinspect.function_diff(*edited(linked, "constant"), "second")


def test_one_function(linked: Link, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = edited(linked, "body")
    report = kinspect.function_diff(old, new, "third")
    (facts,) = report.facts
    assert isinstance(facts, FunctionDifference)
    assert not facts.same
    assert report.exit_code == 1
    texts = [found.text for found in facts.instructions if found.same]
    assert "bl lower" in texts
    removed = [found.text for found in facts.instructions if found.new_offset is None]
    assert any(text.startswith("eor ") for text in removed)
    jsonschema.validate(json.loads(report.to_json()), SCHEMA)
    assert main(["diff", str(old), str(new), "--function", "third"]) == 1
    shown = capsys.readouterr().out
    assert re.search(r"^  - \+0x[0-9a-f]+ +eor ", shown, re.M)
    assert shown.count("bl lower") == 1
    assert "not good: third differs: " in shown
    assert main(["diff", str(old), str(new), "--function", "first"]) == 0
    assert "good: first is the same in both kernels" in capsys.readouterr().out


def test_a_function_that_is_in_one_kernel_or_none(linked: Link) -> None:
    old, new = edited(linked, "new function")
    with pytest.raises(MalformedError, match="the old kernel does not have this function"):
        kinspect.function_diff(old, new, "zero")
    with pytest.raises(MalformedError, match=r"no such function \(did you mean third"):
        kinspect.function_diff(old, new, "thirt")


def test_a_renamed_function_by_either_name(linked: Link) -> None:
    old, new = linked("old", SOURCE), linked("new", SOURCE.replace("lower(", "below("))
    for name in ("lower", "below"):
        (facts,) = kinspect.function_diff(old, new, name).facts
        assert (facts.old_name, facts.new_name) == ("lower", "below")


LOOP = """
asm(".pushsection .text.loops, \\"ax\\", %progbits\\n.p2align 3\\n"
    ".rept MOVED\\nnop\\n.endr\\n.type looping, %function\\n.globl looping\\n.hidden looping\\n"
    "looping: mov w1, #0\\ncmp w0, #0\\nb.le 2f\\n.p2align 3\\n"
    "1: add w1, w1, w0\\n3: subs w0, w0, #STEP\\nb.ne 1b\\ncbnz w1, LABEL\\n"
    "2: add w0, w1, #NUMBER\\nret\\n.popsection");
"""


@pytest.mark.parametrize("edit", [{}, {"STEP": "2"}, {"LABEL": "3b"}, {"NUMBER": "41"}], ids=str)
def test_nops_that_align_a_loop_are_no_change(edit: dict[str, str], linked: Link) -> None:
    """The compiler aligns loops to 8 bytes: how many nops that takes depends on where the function begins."""
    sides = []
    changed = {"looping"} if edit else set()
    for name, values in (("old", {"MOVED": "2"}), ("new", {"MOVED": "3", **edit})):
        source = f"{SOURCE}{LOOP}"
        for word, value in {"STEP": "1", "LABEL": "1b", "NUMBER": "40", **values}.items():
            source = source.replace(word, value)
        sides.append(linked(name, source))
    facts = difference(sides[0], sides[1])
    assert {found.name for found in facts.changed} == changed
    (found,) = kinspect.function_diff(sides[0], sides[1], "looping").facts
    assert found.same == (not changed)
    assert found.old_size != found.new_size


def test_which_nops_are_padding() -> None:
    add, back, ret = 0x0B000021, 0x54FFFFE1, 0xD65F03C0
    assert padding([add, NOP, add, back, ret], 0) == {1}
    assert padding([add, NOP, add, back, ret], 4) == set()
    assert padding([add, NOP, add, add, ret], 0) == set()
    assert padding([ret, NOP, add, add, ret], 0) == {1}
    assert padding([NOP, NOP, add, back, ret], 0) == {1}
    assert padding([add, NOP], 0) == set()


def comparison(grown: bool) -> TypeComparison:
    """A struct that a member was added to, one that holds it, another that did not change, an enum."""
    sides = []
    for number in (0, grown):
        toy, bits = ToyBtf(), 64 * number
        whole = toy.integer("int")
        added = [("added", whole, 64)][:number]
        inner = toy.struct("inner", 16 + 8 * number, [("first", whole, 0), *added, ("last", whole, 64 + bits)])
        rest = [("after", whole, 128 + bits), ("rest", toy.array(whole, 4), 192 + bits)]
        toy.struct("outer", 48 + 8 * number, [("in", inner, 0), *rest])
        toy.struct("other", 8, [("one", whole, 0), ("two", whole, 32)])
        toy.enum("state", [("ONE", 1), *[("ADDED", 2)][:number], ("TWO", 2 + number), ("THREE", 3 + number)])
        sides.append(Definitions(toy.btf))
    return TypeComparison(sides[0], sides[1])


def values(*pairs: tuple[int, int], address: bool = True) -> Values:
    return tuple((Immediate((0, 0), one, address), Immediate((0, 0), two, address)) for one, two in pairs)


@pytest.mark.parametrize(
    ("found", "types"),
    [
        (values((8, 16)), ("struct inner",)),  # last
        (values((16, 24)), ("struct inner",)),  # after, and the size of inner
        (values((28, 36)), ("struct inner",)),  # rest[1]
        (values((6, 8)), ("struct inner",)),  # rest[n] is the n + 6th of its size
        (values((8, 16), (16, 24), (48, 56)), ("struct inner",)),
        (values((2, 3)), ("enum state",)),
        (values((2, 3), (8, 16)), ("enum state", "struct inner")),
        (values((8, 16), (40, 41)), ()),
        (values((4, 12)), ()),
        (values((8, 16), address=False), ()),
    ],
)
def test_types_explain_values_that_are_offsets_of_their_members(found: Values, types: tuple[str, ...]) -> None:
    places = MovedMembers(comparison(True)).places()
    assert explained(places, found) == (types, len(types) == 1)


def test_types_that_did_not_change_explain_nothing() -> None:
    assert explained(MovedMembers(comparison(False)).places(), values((8, 16))) == ((), False)


def test_several_types_may_explain_a_value() -> None:
    places = {(8, 16): frozenset({"struct a", "struct b"}), (24, 32): frozenset({"struct b", "struct c"})}
    assert explained(places, values((8, 16))) == (("struct a", "struct b"), True)
    assert explained(places, values((8, 16), (24, 32))) == (("struct b",), True)
    places[1, 2] = frozenset({"enum d"})
    assert explained(places, values((8, 16), (24, 32), (1, 2))) == (("enum d", "struct b"), False)


def test_types_are_counted() -> None:
    assert type_counts(comparison(True)) == TypeCounts(("enum state", "struct inner"), 1)
    assert type_counts(comparison(False)) == TypeCounts((), 0)
    assert type_counts(None) is None
    broken = ToyBtf()
    broken.add(btf.TYPEDEF, "broken", 99)
    assert type_counts(TypeComparison(Definitions(broken.btf), comparison(True).new)) is None


@pytest.mark.parametrize("versions", [True, False])
def test_exports_are_counted(versions: bool, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Image(sample / "Image")
    counts = interface.export_counts(kernel, kernel)
    assert counts is not None
    assert counts.old == counts.new > 5
    assert counts == ExportCounts(counts.old, counts.new, (), (), 0)

    def exports(image: Image) -> dict[str, Export]:
        crc = 7 if versions or image is kernel else None
        kept = {
            "kept": Export("kept", crc, False, ""),
            "other": Export("other", 1 if image is kernel else 2, False, ""),
        }
        own = "gone" if image is kernel else "fresh"
        return {**kept, own: Export(own, crc, True, "")} if versions else {own: Export(own, None, True, "")}

    monkeypatch.setattr(interface, "_exports", exports)
    found = interface.export_counts(kernel, Image(sample / "Image"))
    expected = (3, 3, ("fresh",), ("gone",), 1) if versions else (1, 1, ("fresh",), ("gone",), None)
    assert found == ExportCounts(*expected)


def test_the_same_functions_with_other_exports_are_no_rebuild() -> None:
    facts = FACTS._replace(same_layout=True)
    assert facts.only_causes
    for counts in (
        Interface(ExportCounts(5, 4, (), ("gone",), 0)),
        Interface(ExportCounts(5, 5, (), (), 1)),
        Interface(None, TypeCounts(("struct a",), 0)),
    ):
        assert not facts._replace(interface=counts).only_causes
    assert facts._replace(interface=Interface(ExportCounts(5, 5, (), (), None), TypeCounts((), 0))).only_causes


def test_the_report() -> None:
    values_only = CHANGE._replace(name="g", only_values=True, types=("struct inner",), types_alone=True)
    facts = FACTS._replace(
        changed=(CHANGE, CHANGE._replace(name="h", instructions=9), values_only, values_only._replace(types=())),
        interface=Interface(ExportCounts(1005, 1004, (), ("gone",), None), TypeCounts(("struct inner",), 1)),
    )
    shown = list(lines(facts, Style(False)))
    names = [line.split()[0] for line in shown if re.match(r"  [fgh] ", line)]
    assert names == ["h", "f", "g"]
    assert "          1  struct inner" in shown
    assert "  exports  1,005 -> 1,004: 1 removed, CRCs not compared (not both kernels have MODVERSIONS)" in shown
    assert "  types    1 changed, the layout of 1 other with them" in shown
    verdict = (
        "2 functions changed, 2 changed in values only; 1 export removed; 1 type changed, 1 changed in layout only"
    )
    assert outcome(facts) == f"new differs: {verdict}"
    found = document(facts)
    assert [row["only_values"] for row in found["changed"]] == [False, False, True, True]
    assert found["exports"]["removed"] == ["gone"]


def test_an_instruction_that_is_the_same_is_shown_once() -> None:
    shown = list(lines(FACTS._replace(changed=(CHANGE._replace(old_text="nop", new_text="nop"),)), Style(False)))
    assert "      +0x4    = nop" in shown
    assert "                it refers to, or is replaced at boot by, something else" in shown


def test_other_code_that_replaces_an_instruction_is_a_difference() -> None:
    facts = FunctionDifference("old", "new", "f", "f", 0, 0, 8, 8, 0, 0, (), 4)
    assert not facts.same
    text = "other code replaces the instruction at +0x4 at boot (alternatives)"
    assert list(one.lines(facts, Style(False)))[-1] == f"  but {text}"
    assert one.outcome(facts) == f"f differs: {text}"
    assert one.document(facts)["replaced"] == 4


def test_what_differs_outside_of_the_code_is_a_difference() -> None:
    same = FunctionDifference("old", "new", "f", "f", 0, 0, 8, 8, 0, 0, ())
    assert same.same
    texts = {
        "the data without a name to which the instruction at +0x4 refers has changed": same._replace(unnamed=4),
        "its type has changed: the hash is none, and was 0x00000012": same._replace(hashes=(0x12, None)),
    }
    for text, facts in texts.items():
        assert not facts.same
        assert list(one.lines(facts, Style(False)))[-1] == f"  but {text}"
        assert one.outcome(facts) == f"f differs: {text}"


def test_what_is_not_known_is_said() -> None:
    shown = list(interface_lines(Interface(None, TypeCounts((), 0)), Style(False), 10))
    assert "  exports  not known: those of one kernel cannot be read" in shown
    assert "  types    unchanged" in shown
    assert list(interface_lines(Interface(), Style(False), 10)) == []
