"""One fault is one finding: those that follow from a file of another build are counted in the one that says so."""

from kinspect.checks.check import Evidence, Finding, Severity
from kinspect.errors import Location
from kinspect.inspection.build.folding import folded
from kinspect.views.build.inventory import FoundPiece

PIECES = [FoundPiece("modules", "modules", 1, ""), FoundPiece("vmlinux", "vmlinux", 1, "")]
BOTH = (Location("modules/a.ko"), Location("vmlinux"))
ANOTHER = Finding("vermagic-is-the-kernels", Severity.ERROR, Evidence("not the same build", BOTH))


def needed(message: str, *at: Location) -> Finding:
    return Finding("needed-symbols-are-exported", Severity.ERROR, Evidence(message, at))


def test_the_number_of_those_that_are_not_listed_follows_too() -> None:
    listed = [needed(f"{name} is not exported", *BOTH) for name in "abc"]
    more = needed("and 1,572 more such modules", Location("modules"))
    message = "not the same build (1,575 findings that follow from it left out)"
    assert [found.evidence.message for found in folded([ANOTHER, *listed, more], PIECES)] == [message]


def test_it_stays_beside_a_finding_that_stays() -> None:
    stays = needed("b is not exported", Location("modules/a.ko"))
    more = needed("and 2 more such modules", Location("modules"))
    found = folded([ANOTHER, needed("a is not exported", *BOTH), stays, more], PIECES)
    assert found[0].evidence.message == "not the same build (1 finding that follows from it left out)"
    assert found[1:] == (stays, more)
