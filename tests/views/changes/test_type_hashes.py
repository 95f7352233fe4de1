"""Two kernels compared whose functions have a type hash before them, as Clang's kCFI writes it."""

import json
from pathlib import Path

import jsonschema
import pytest

import kinspect
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.reports.changes.facts import lines, outcome
from kinspect.reports.terminal import Style
from kinspect.source import Source
from kinspect.views.changes.side import kernel_side
from kinspect.views.disassembly.facts import FunctionDifference
from tests.views.changes import test_kernels
from tests.views.changes.test_kernels import SCHEMA, SOURCE, difference, names
from tests.views.changes.test_references import HEAD, MANY, Link

linked = test_kernels.linked
NUMBER = 90
ENDS = ("ret", "b typed_1", "bl typed_0", "brk #0x1", "cbz w0, typed_2\nbr x9")
"""How functions end; the last instruction is never the same as the hash after it."""


def typed(name: str, body: str, value: int | None, prefix: str = "") -> str:
    """A function with a hash, which the nops of ftrace may follow."""
    word = "" if value is None else f".balign 4\\n.word {value:#x}\\n"
    head = HEAD.format(name=name, section="text")
    directives, _, label = head.partition(f".type {name}")
    text = body.strip().replace("\n", "\\n")
    return f'asm("{directives}{word}{prefix}.type {name}{label}{text}\\n.size {name}, . - {name}\\n.popsection");\n'


def kernel(changes: dict[str, int | None], prefix: str = "", added: str = "", body: str = "mov w1, #3") -> str:
    """Functions with hashes; those of `changes` have another, or none. `body` is that of the one before typed_41."""
    source = MANY + SOURCE
    for number in range(NUMBER):
        name = f"typed_{number}"
        # Some types are shared, and some hashes look like instructions: b, bl, ret's relative, add.
        value: int | None = (0xA1B2C3D4, 0x17654321, 0x95123456, 0x11000421, 0x8765_0000 + number)[number % 5]
        if number % 7 == 6:
            value = None
        code = f"add w0, w0, #{number}\n{body if number == 40 else 'nop'}\n{ENDS[number % 4]}"
        if name == "typed_41":
            source += added
        source += typed(name, code, changes.get(name, value), prefix)
    return source


def of_function(old: Path, new: Path, name: str) -> FunctionDifference:
    pytest.importorskip("capstone")
    report = kinspect.function_diff(old, new, name)
    jsonschema.validate(json.loads(report.to_json()), SCHEMA)
    (facts,) = report.facts
    assert isinstance(facts, FunctionDifference)
    assert report.exit_code == (0 if facts.same else 1)
    return facts


PREFIXES = pytest.mark.parametrize("prefix", ["", "nop\\nnop\\n"])


@PREFIXES
def test_the_hashes_are_found(prefix: str, linked: Link) -> None:
    side = kernel_side(Vmlinux(Source(linked("old", kernel({}, prefix)))))
    found = {side.names[start] for start in side.hashes if side.names[start].startswith("typed_")}
    assert found == {f"typed_{number}" for number in range(NUMBER) if number % 7 != 6}
    assert {start - at for start, at in side.hashes.items()} == ({12} if prefix else {4})


def test_kernels_without_hashes_have_none(linked: Link) -> None:
    assert not kernel_side(Vmlinux(Source(linked("old", SOURCE)))).hashes


CHANGES: dict[str, dict[str, int | None]] = {
    "another type": {"typed_41": 0x13572468},
    "one that looks like a branch": {"typed_41": 0x17FEDCBA},
    "one that looks like another instruction": {"typed_41": 0x91000400},
    "now static": {"typed_43": None},
    "now global": {"typed_41": 0x13572468, "typed_6": 0xA1B2C3D4},
}


@PREFIXES
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("shift", ["", 'asm(".skip 4096, 0");\n'])
def test_another_type_is_named_and_not_the_function_before(change: str, shift: str, prefix: str, linked: Link) -> None:
    changes = CHANGES[change]
    old = linked("old", kernel({}, prefix))
    facts = difference(old, linked("new", shift + kernel(changes, prefix)))
    assert not facts.changed + facts.added + facts.removed + facts.uncertain + facts.ranges
    assert {found.name: found.new_hash for found in facts.retyped} == changes
    assert not facts.only_causes
    assert f"{len(changes)} function" in outcome(facts)
    assert any("functions of another type" in line for line in lines(facts, Style(False)))
    assert "of another type" in outcome(facts)
    for name, value in changes.items():
        one = of_function(old, linked("new", shift + kernel(changes, prefix)), name)
        assert one.hashes is not None
        assert one.hashes[1] == value


@pytest.mark.parametrize("value", [0x13572468, None])
def test_a_new_function(value: int | None, linked: Link) -> None:
    """Its hash, or that it has none, does not change the function before it."""
    old = linked("old", kernel({}))
    facts = difference(old, linked("new", kernel({}, added=typed("new_one", "mov w0, #9\nret", value))))
    assert names(facts.added) == {"new_one"}
    assert not facts.changed + facts.removed + facts.retyped


def test_the_code_before_a_hash_counts(linked: Link) -> None:
    facts = difference(linked("old", kernel({})), linked("new", kernel({}, body="mov w1, #4")))
    assert names(facts.changed) == {"typed_40"}
    assert not facts.retyped


def test_the_same_types(linked: Link, tmp_path: Path) -> None:
    facts = difference(linked("old", kernel({})), linked("new", 'asm(".skip 4096, 0");\n' + kernel({})))
    assert not facts.changed + facts.retyped


ASIDE = """asm(".pushsection .text\\n81: mov x0, x1\\n82: msr tpidr_el1, x0\\n.popsection\\n"
".pushsection .rodata\\n.balign 8\\n.globl __alt_instructions, __alt_instructions_end\\n"
"__alt_instructions:\\n.word typed_0 - ., 81b - .\\n.hword 1\\n.byte 4, 4\\n"
".word typed_0 + 4 - ., 82b - .\\n.hword 1\\n.byte 4, 4\\n__alt_instructions_end:\\n.popsection");
"""


def test_after_code_that_replaces_other_code(linked: Link) -> None:
    """It lies behind the last function of an object file, before the first of the next."""
    sides = [
        linked(name, kernel({}, added=ASIDE + typed("next", "mov w0, #9\nret", value)))
        for name, value in (("old", 0x12345678), ("new", 0x11111111))
    ]
    facts = difference(*sides)
    assert [found.name for found in facts.retyped] == ["next"]
    assert not facts.changed


def test_functions_that_end_with_a_call_of_the_next(linked: Link) -> None:
    """And with a return to another register than usual: these are no hashes."""
    calls = "".join(
        typed(f"calls_{n}", f"mov w0, #{n}\nbl next_{n}", 0xA1B2C3D4) + typed(f"next_{n}", "ret x28", None)
        for n in range(4)
    )
    source = kernel({}, added=calls + typed("after", "ret", None))
    side = kernel_side(Vmlinux(Source(linked("calls", source))))
    found = {side.names[start] for start in side.hashes}
    assert not {name for name in found if name.startswith("next_")} | (found & {"after"})
    assert "calls_2" in found
