"""Two kernels compared that LLD linked: adrp and add become nop and adr where the address is near."""

import pytest

from tests.views.changes import test_kernels
from tests.views.changes.test_kernels import SOURCE, difference, names
from tests.views.changes.test_references import Link, assembly

linked = test_kernels.linked
LINKED = SOURCE.replace("(gcc)", "(clang version 16.0.6, LLD 16.0.6)")
SHIFT = 'asm(".skip 4096, 0");\n'
FAR, NEAR = "adrp x0, {0}\nadd x0, x0, :lo12:{0}", "nop\nadr x0, {0}"
USER = "add w1, w1, #3\n{}\nldr w0, [x0, #8]\n{}ret"
JUMPS = "1: cbz x1, 2f\nsub x1, x1, #1\n{}adr x2, 3f\nbr x2\n3: b 1b\n2: ret"


def user(text: str, symbol: str = "first", more: str = "") -> str:
    return assembly("user", USER.format(text.format(symbol), more))


@pytest.mark.parametrize("shift", ["", SHIFT])
@pytest.mark.parametrize("back", [False, True])
def test_the_same_address_near_and_far(shift: str, back: bool, linked: Link) -> None:
    old, new = linked("far", LINKED + user(FAR)), linked("near", shift + LINKED + user(NEAR))
    facts = difference(*((new, old) if back else (old, new)))
    assert not facts.changed + facts.uncertain + facts.ranges
    assert not facts.same


@pytest.mark.parametrize("shift", ["", SHIFT])
def test_another_address(shift: str, linked: Link) -> None:
    old, new = linked("far", LINKED + user(FAR)), linked("near", shift + LINKED + user(NEAR, "second"))
    assert names(difference(old, new).changed) == {"user"}


def test_what_is_changed_besides(linked: Link) -> None:
    old, new = linked("far", LINKED + user(FAR, more="nop\n")), linked("near", LINKED + user(NEAR, more="nop\n"))
    more = linked("more", LINKED + user(NEAR, more="add w1, w1, #4\n"))
    assert not difference(old, new).changed
    (function,) = difference(old, more).changed
    assert (function.name, function.instructions, function.first) == ("user", 1, 16)


def test_nop_and_adr_of_the_compiler(linked: Link) -> None:
    """A nop may be one that a jump label patches, and adr that of a table of jumps."""
    old, new = (
        linked(f"jumps_{number}", LINKED + assembly("user", JUMPS.format("nop\n" * number))) for number in (0, 1)
    )
    assert names(difference(old, new).changed) == {"user"}
    assert not difference(new, linked("shifted", SHIFT + LINKED + assembly("user", JUMPS.format("nop\n")))).changed


def test_another_linker(linked: Link) -> None:
    """It does no such thing: nop and adr are from the source."""
    old, new = linked("far", SOURCE + user(FAR)), linked("near", SOURCE + user(NEAR))
    assert names(difference(old, new).changed) == {"user"}
