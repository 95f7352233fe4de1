"""Two kernels compared whose functions use data without a name that is another: behind an object that has a size."""

from pathlib import Path

import pytest

from tests.views.changes import test_kernels
from tests.views.changes.test_kernels import SOURCE, difference, names
from tests.views.changes.test_references import MANY, Link, assembly
from tests.views.changes.test_type_hashes import of_function

linked = test_kernels.linked
SHIFT = (
    'asm(".skip 4096, 0\\n.pushsection .rodata\\n.type moved, %object\\nmoved: .fill 1212, 4, 77\\n'
    '.size moved, . - moved\\n.popsection");\n'
)
OBJECT = ".pushsection .rodata\\n.balign 8\\n.type owner, %object\\nowner: .quad 0x123456789\\n.size owner, 8\\n"
USERS = (
    assembly("values", "adrp x8, 71b\nadd x8, x8, :lo12:71b\nldr w0, [x8, w0, sxtw #2]\nret")
    + assembly("vector", "adrp x9, 72b\nldr q1, [x9, :lo12:72b]\nadd v0.4s, v0.4s, v1.4s\nret")
    + assembly("number", "adrp x9, 73b\nldr d1, [x9, :lo12:73b]\nfadd d0, d0, d1\nret")
    + assembly("words", "adrp x8, 74b\nadd x8, x8, :lo12:74b\nldrsw x9, [x8, w0, sxtw #2]\nadd x0, x8, x9\nret")
    + assembly("jumps", "adrp x8, 75b\nadd x8, x8, :lo12:75b\nldrsw x9, [x8, w0, sxtw #2]\nadd x0, x8, x9\nbr x0\nret")
)
DATA = [
    "71: .word 7, 9, 22, 1000, 7777, 12",
    ".balign 16\\n72: .word 1, 5, 77, 3",
    "73: .quad 0x400921f9f01b866e",
    "74: .word 76f - 74b, 77f - 74b, 78f - 74b",
    "75: .word first - 75b, second - 75b, third - 75b, 0",
    '.byte 0\\n76: .string \\"aaaaaaaa\\"\\n77: .string \\"cccccccc\\"\\n78: .string \\"eeeee\\"',
]
EDITS = {
    "values": ("22, 1000", "24, 1000"),
    "vector": ("5, 77, 3", "5, 77, 4"),
    "number": ("0x400921f9f01b866e", "0x400921f4b1ee2435"),
    "words": ("76f - 74b, 77f", "77f - 74b, 76f"),
    "jumps": ("first - 75b, second", "second - 75b, first"),
    "words that are as far": ('"cccccccc\\', '"dddddddd\\'),
}


def kernel(before: str = "", after: str = "") -> str:
    text = OBJECT + "".join(f"{line}\\n" for line in DATA) + ".popsection"
    return f'{MANY}{SOURCE}asm("{text.replace(before, after) if before else text}");\n{USERS}'


@pytest.mark.parametrize("shift", ["", SHIFT])
@pytest.mark.parametrize("edit", EDITS)
def test_the_users_of_what_changed_are_named(edit: str, shift: str, linked: Link) -> None:
    facts = difference(linked("old", kernel()), linked("new", shift + kernel(*EDITS[edit])))
    assert names(facts.changed) == {edit.partition(" ")[0]}
    assert not facts.uncertain
    one = of_function(Path(facts.old), Path(facts.new), edit.partition(" ")[0])
    assert (one.removed, one.added, one.same, one.unnamed is None) == (0, 0, False, False)


def test_what_only_moved_is_the_same(linked: Link) -> None:
    assert not difference(linked("old", kernel()), linked("new", SHIFT + kernel())).changed
