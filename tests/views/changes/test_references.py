"""Two kernels compared by function: what the instructions of a function refer to."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.reports.changes.facts import lines, outcome
from kinspect.reports.terminal import Style
from kinspect.views.changes.facts import KernelDifference
from kinspect.views.changes.uses.following import PairedCode, detours_of, followed
from tests.views.changes import test_kernels
from tests.views.changes.test_kernels import SOURCE as FUNCTIONS
from tests.views.changes.test_kernels import difference, names

linked = test_kernels.linked
Link = Callable[[str, str], Path]
SOURCE = 'asm(".pushsection .rodata\\n.global first_data\\nfirst_data: .quad 1, 2\\n.popsection");\n' + FUNCTIONS
"""PairedCode ends where the first symbol of data is."""
HEAD = ".pushsection .{section}\\n.hidden {name}\\n.global {name}\\n.type {name}, %function\\n{name}: "


def assembly(name: str, body: str, section: str = "text") -> str:
    """A function of a source, written in assembly."""
    lines = body.strip().replace("\n", "\\n").replace('"', '\\"')
    return f'asm("{HEAD.format(name=name, section=section)}{lines}\\n.size {name}, . - {name}\\n.popsection");\n'


def data(*values: str, label: str = "77") -> str:
    """Data without a name, behind a numeric label."""
    text = "".join(f"{label}{number}: .quad {value}\\n" for number, value in enumerate(values))
    return f'asm(".pushsection .rodata\\n.balign 8\\n{text}.popsection");\n'


TABLE = "static const int table_{0}[4] = {{ {0}, 2, 3 }};\nconst int *get_{0}(void) {{ return table_{0}; }}\n"
MANY = "".join(TABLE.format(number) for number in range(24))
"""Tables enough to be a kernel with names of data."""
READS = "adrp x0, 77{n}{way}\nadd x0, x0, :lo12:77{n}{way}\nldr w0, [x0]\nret"


@pytest.mark.parametrize("tables", ["", MANY])
def test_data_without_a_name_that_is_another(tables: str, linked: Link) -> None:
    """Only the page or the low bits of one reference differ, and no other function uses that data."""
    constants = data("0x1122334455667788", "0x99aabbccddeeff00", "0x0102030405060708")
    sides = [
        linked(name, SOURCE + tables + constants + assembly("reader", READS.format(n=number, way="b")))
        for name, number in (("old", 0), ("new", 2))
    ]
    assert names(difference(*sides).changed) == {"reader"}


@pytest.mark.parametrize("tables", ["", MANY])
def test_data_without_a_name_that_moved(tables: str, linked: Link) -> None:
    """Data before it is gone, and others are where it was: its content is the same, and that of what it points to."""
    reader = assembly("reader", READS.format(n=0, way="b"))
    kept = data("0x1122334455667788", "put", "0x1122334455667788") + data("1", label="end_of_kept")
    gone = data("0xf0f0f0f0", "0xe0e0e0e0e0", label="66")
    sides = linked("old", SOURCE + tables + gone + kept + reader), linked("new", SOURCE + tables + kept + reader + gone)
    facts = difference(*sides)
    assert not facts.changed + facts.uncertain


def test_what_cannot_be_told_is_said(linked: Link) -> None:
    """Zeros without a name tell nothing."""
    zeros = ["0"] * 64
    sides = [
        linked(name, SOURCE + data(*zeros) + assembly("reader", READS.format(n=number, way="b")))
        for name, number in (("old", 3), ("new", 40))
    ]
    facts = difference(*sides)
    assert not facts.changed
    assert [use.name for use in facts.uncertain] == ["reader"]
    assert not facts.only_causes
    assert outcome(facts).endswith("differs: 1 function uncertain")
    assert any("1 reference to data without a name" in line for line in lines(facts, Style(False)))


def test_a_branch_on_a_condition_out_of_a_function(linked: Link) -> None:
    """The bytes are equal, but what lies at that distance is another function."""
    one, two = assembly("part_one", "mov w0, #1\nret"), assembly("part_two", "mov w0, #2\nret")
    user = assembly("user", "cbz w0, {}\nadd w0, w0, #3\nret")
    old = linked("old", SOURCE + user.format("part_one") + one + two)
    sides = [linked(f"new_{part}", SOURCE + user.format(part) + two + one) for part in ("part_one", "part_two")]
    assert [names(difference(old, side).changed) for side in sides] == [set(), {"user"}]


@pytest.mark.parametrize("places", [(-0x700_0000, -0x600_0000), (0x700_0000, 0x600_0000), (-0x700_0000, 0x600_0000)])
def test_a_branch_out_of_the_kernel(places: tuple[int, int], linked: Link) -> None:
    user = assembly("user", "add w0, w0, #3\nb . + {}")
    facts = difference(*(linked(f"to_{place:x}", SOURCE + user.format(place)) for place in places))
    assert names(facts.changed) == {"user"}


VENEERS = {"adrp": "adrp x16, {0}\nadd x16, x16, :lo12:{0}\nbr x16", "b": "b {0}"}


@pytest.mark.parametrize("veneer", VENEERS)
def test_veneers_of_lld(veneer: str, linked: Link) -> None:
    """They lead to a distant function."""
    label = ".type __AArch64ADRPThunk_x, %function\n__AArch64ADRPThunk_x: "
    user = assembly("user", "bl __AArch64ADRPThunk_x\nadd w0, w0, #3\nret")
    last = assembly("last", "mov w0, #4\nret\n" + label + VENEERS[veneer])
    shift = 'asm(".skip 4096, 0");\n'
    old = linked("old", SOURCE + user + last.format("first"))
    found = [
        names(difference(old, linked(f"new_{name}", shift + SOURCE + user + last.format(name))).changed)
        for name in ("first", "second")
    ]
    assert found == [set(), {"user"}]


FAR = "adrp x0, {0}\ncbz w1, 1f\n{nops}ret\n1: {nops}ldr w0, [x0, :lo12:{0}]\nret"


@pytest.mark.parametrize("changed", [True, False])
def test_the_low_bits_are_far_away_and_on_another_branch(changed: bool, linked: Link) -> None:
    texts = "\\n".join(f"v{n}: .word {n + 1}" for n in range(3000))
    variables = f'asm(".pushsection .data\\n{texts}\\n.popsection");\n'
    code = assembly("user", FAR.format("{0}", nops="nop\n" * 40))
    shift = 'asm(".pushsection .data\\n.skip 4096, 1\\n.popsection");\n'
    old = linked("old", SOURCE + variables + code.format("v7"))
    new = linked("new", SOURCE + shift + variables + code.format("v1031" if changed else "v7"))
    found = names(difference(old, new).changed) - {"_sdata"}
    assert found == ({"user"} if changed else set())


ANCHORED = """
static int zeroth, alpha, beta, gamma;
FAR int none(int n) { return zeroth += n; }
FAR int anchored(int n) { alpha += n; beta ^= alpha; gamma -= beta; return put("x", gamma); }
"""


def test_variables_that_are_counted_from_another_one(linked: Link) -> None:
    """GCC reaches the static variables of a file from one address: those that are new move the others away from it."""
    before = "FAR int other(int n) { return n; }\n"
    after = "static int first_of_all[3];\nFAR int other(int n) { return first_of_all[n & 1] += n; }\n"
    old, new = linked("old", SOURCE + before + ANCHORED), linked("new", SOURCE + after + ANCHORED)
    assert names(difference(old, new).changed) == {"other"}


def code(*words: int) -> PairedCode:
    return PairedCode(words, words, 0x1000, frozenset({0x2000}))


ADRP_19, ADD_0, NOP, BREAK = 0x90000013, 0x91004260, 0xD503201F, 0xD4210000


def test_following_ends_where_the_register_is_lost() -> None:
    assert [found.lane for found in followed(code(ADRP_19, NOP, ADD_0), 0, False)] == [2]
    assert list(followed(code(ADRP_19, 0xAA0103F3, ADD_0), 0, False)) == []  # mov x19, x1
    assert list(followed(code(ADRP_19, 0xD65F03C0, ADD_0), 0, False)) == []  # ret
    (found,) = followed(code(ADRP_19, BREAK, ADD_0), 0, False)
    assert found.doubtful
    (found,) = followed(code(ADRP_19, 0xAA1303F4, 0xAA0103F3, 0x91004280), 0, False)  # mov x20, x19
    assert (found.lane, found.ours) == (3, 16)
    loop = code(ADRP_19, NOP, 0x17FFFFFF)
    assert list(followed(loop, 0, True)) == []


def test_no_difference_has_no_uncertain_functions(linked: Link) -> None:
    facts = difference(linked("old", SOURCE), linked("again", SOURCE))
    assert isinstance(facts, KernelDifference)
    assert facts.uncertain == ()


ALTERNATIVE = """
661:
nop
662:
.pushsection .altinstructions,\\"a\\"
.word 661b - .
.word 663f - .
.hword {capability}
.byte 4, 4
.popsection
.subsection 1
663:
{replacement}
.previous
add w0, w0, #1
ret
"""
SECTION = '.pushsection .altinstructions,\\"a\\"\\n.global {0}\\n{0}:\\n.popsection'
TABLE_START = f'asm("{SECTION.format("__alt_instructions")}");\n'
TABLE_END = TABLE_START.replace("__alt_instructions", "__alt_instructions_end")


def with_alternatives(*replacements: tuple[str, int]) -> str:
    functions = [
        assembly(f"patched_{number}", ALTERNATIVE.format(replacement=code, capability=capability).replace('\\"', '"'))
        for number, (code, capability) in enumerate(replacements)
    ]
    return SOURCE + TABLE_START + "".join(functions) + TABLE_END


SAME = [("mov w0, #5", 3), ("b put", 4), ("b put", 3)]
OTHERS = {
    "code": ([("mov w0, #6", 3), *SAME[1:]], {"patched_0"}),
    "target": ([SAME[0], ("b fifth", 4), SAME[2]], {"patched_1"}),
    "capability": ([*SAME[:2], ("b put", 9), ("b put", 3)], {"patched_2"}),
    "capabilities numbered anew": ([(code, capability + 1) for code, capability in SAME], set()),
}


@pytest.mark.parametrize("other", OTHERS)
def test_replacements_belong_to_the_function_that_they_patch(other: str, linked: Link) -> None:
    replacements, changed = OTHERS[other]
    ours = [*SAME, SAME[2]] if len(replacements) > len(SAME) else SAME
    sides = linked("old", with_alternatives(*ours)), linked("new", with_alternatives(*replacements))
    assert names(difference(*sides).changed) == changed


AWAY = "cbz w0, 1f\nb 2f\n3: add w0, w0, #{number}\nmul w0, w0, w0\n1: ret\n2: add w1, w1, #1\nb 3b"


def test_a_function_does_not_end_where_it_is_left_for_a_while(linked: Link) -> None:
    """What follows a branch that comes back is compared, though another size differs by padding."""
    other = AWAY.replace("b 3b", "b 3b\n.word 0x12345678")
    sides = [
        linked(name, SOURCE + assembly("left", code.format(number=number)))
        for name, code, number in (("old", AWAY, 3), ("new", other, 4))
    ]
    assert names(difference(*sides).changed) == {"left"}


STACK = (0xF90007F3, 0xAA0103F3, 0xF94007F4, 0x91004280)  # str x19, [sp, #8]; mov x19, x1; ldr x20, [sp, #8]; add


def test_following_through_the_stack_and_jump_labels() -> None:
    stored = code(ADRP_19, *STACK)
    assert list(followed(stored, 0, False)) == []
    (found,) = followed(stored._replace(detours=detours_of(stored.mine)), 0, True)
    assert (found.lane, found.doubtful) == (4, True)
    label = code(ADRP_19, NOP, 0xD65F03C0, ADD_0)  # A jump label, and what it goes to behind the return.
    (found,) = followed(label._replace(detours=detours_of(label.mine)), 0, True)
    assert (found.lane, found.doubtful) == (3, True)
