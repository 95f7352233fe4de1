"""Each check of compiled code against the .config: what it says of both contradictions, and that it is quiet else."""

import pytest

from kinspect.inspection.report import run_checks
from kinspect.views.hardening.configured import OPTIONS, Setting
from kinspect.views.hardening.facts import Feature, HardeningFacts

MESSAGES = {
    "pac": (
        "none of 1,000 functions sign the return address, but CONFIG_PAC=y",
        "990 functions of 1,000 sign the return address, but CONFIG_PAC is not set",
    ),
    "scs": (
        "none of 1,000 functions use the shadow call stack, but CONFIG_SCS=y",
        "990 functions of 1,000 use the shadow call stack, but CONFIG_SCS is not set",
    ),
    "bti": (
        "none of 1,000 functions begin with a landing pad, but CONFIG_BTI=y",
        "990 functions of 1,000 begin with a landing pad, but CONFIG_BTI is not set",
    ),
    "kcfi": (
        "none of 1,000 functions have a type hash, but CONFIG_KCFI=y",
        "990 functions of 1,000 have a type hash, but CONFIG_KCFI is not set",
    ),
    "canary": (
        "none of 1,000 functions check a stack canary, but CONFIG_CANARY=y",
        "990 functions of 1,000 check a stack canary, but CONFIG_CANARY is not set",
    ),
    "fortify": (
        "none of 1,000 functions check the sizes of buffers, but CONFIG_FORTIFY=y",
        "990 functions of 1,000 check the sizes of buffers, but CONFIG_FORTIFY is not set",
    ),
    "usercopy": (
        "none of 1,000 functions check copies to or from user space, but CONFIG_USERCOPY=y",
        "990 functions of 1,000 check copies to or from user space, but CONFIG_USERCOPY is not set",
    ),
    "relocatable": (
        "the kernel has no code that relocates it, but CONFIG_RELOCATABLE=y",
        "the kernel has code that relocates it, but CONFIG_RELOCATABLE is not set",
    ),
    "kaslr": (
        "the kernel has no code that picks a random base, but CONFIG_KASLR=y",
        "the kernel has code that picks a random base, but CONFIG_KASLR is not set",
    ),
}
PARTIAL = {
    "pac": "400 functions of 1,000 save the return address without signing it",
    "scs": "400 functions of 1,000 save the return address on the ordinary stack only",
    "bti": "400 functions of 1,000 have no landing pad and may be reached by an indirect branch",
    "kcfi": "400 functions of 1,000 have no type hash and may be called through a pointer",
}


def kernel(name: str, present: bool | None, configured: bool | None, found: int | None = None) -> HardeningFacts:
    """A kernel where nothing is known but of one protection."""
    value = "" if configured is None else "y" if configured else "n"

    def feature(one: str) -> Feature:
        if one != name:
            return Feature(one, None, None, None, (), Setting(one.upper(), "", None))
        number = found if found is not None else 990 if present else 0
        without = ("one", "two", "three", "four")[: 0 if found is None else 4]
        return Feature(one, present, number, 1000, without, Setting(one.upper(), value, configured))

    return HardeningFacts("Image", (), 2000, "config", tuple(map(feature, OPTIONS)))


def messages(facts: HardeningFacts) -> list[str]:
    report = run_checks((facts,), "hardening.configured")
    assert len(report.ran) == 8
    assert all([str(at) for at in found.evidence.at] == ["Image", "config"] for found in report.findings)
    return [found.evidence.message for found in report.findings]


@pytest.mark.parametrize("name", MESSAGES)
def test_contradictions(name: str) -> None:
    assert messages(kernel(name, present=False, configured=True)) == [MESSAGES[name][0]]
    assert messages(kernel(name, present=True, configured=False)) == [MESSAGES[name][1]]


@pytest.mark.parametrize("name", MESSAGES)
def test_agreement(name: str) -> None:
    """Also when it is not known what one of both says."""
    for present, configured in ((True, True), (False, False), (True, None), (None, True), (None, False)):
        assert messages(kernel(name, present, configured)) == []


@pytest.mark.parametrize("name", PARTIAL)
def test_a_part_is_without_it(name: str) -> None:
    """The functions are named."""
    (message,) = messages(kernel(name, present=False, configured=True, found=600))
    assert message == f"{PARTIAL[name]} (one, two, three and 1 more), but CONFIG_{name.upper()}=y"
