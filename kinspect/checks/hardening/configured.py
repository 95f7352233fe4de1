"""Checks of a kernel's compiled code against its .config: protections of the control flow.

Each judges by shares: assembly, code that runs before the kernel is mapped and the linker's veneers have none of them.
"""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted, summarized
from kinspect.errors import Location
from kinspect.views.hardening.facts import HardeningFacts


@check(Severity.ERROR)
def return_addresses_are_signed_as_configured(facts: HardeningFacts) -> Iterator[Evidence]:
    """Functions sign the return address before they save it if and only if CONFIG_ARM64_PTR_AUTH_KERNEL is set.

    Without `paciasp`, an attacker who can write to the stack can redirect a return, even on processors with pointer
    authentication. The compiler was not given the option -mbranch-protection, or the .config was changed after the
    build. Build the kernel again.
    Source: arch/arm64/Makefile; Arm Architecture Reference Manual, PACIASP.
    """
    yield from _disagreement(facts, "pac", "save the return address without signing it", "sign the return address")


@check(Severity.ERROR)
def shadow_call_stack_is_as_configured(facts: HardeningFacts) -> Iterator[Evidence]:
    """Functions save the return address on the shadow call stack if and only if CONFIG_SHADOW_CALL_STACK is set.

    With CONFIG_UNWIND_PATCH_PAC_INTO_SCS they do not: the kernel patches its code at boot. Otherwise the compiler
    was not given the option -fsanitize=shadow-call-stack, or the .config was changed after the build. Build the kernel
    again.
    Source: arch/Kconfig, SHADOW_CALL_STACK; arch/arm64/Kconfig, UNWIND_PATCH_PAC_INTO_SCS.
    """
    problem = "save the return address on the ordinary stack only"
    yield from _disagreement(facts, "scs", problem, "use the shadow call stack")


@check(Severity.ERROR)
def branch_targets_are_marked_as_configured(facts: HardeningFacts) -> Iterator[Evidence]:
    """Functions that may be called indirectly begin with a landing pad if and only if CONFIG_ARM64_BTI_KERNEL is set.

    With the option, the kernel maps its code as guarded: on processors with branch target identification it crashes
    when it branches to a function that does not begin with `bti c` or `paciasp`. The .config was changed after the
    build, or an object was compiled with other options. Build the kernel again.
    Source: arch/arm64/Kconfig, ARM64_BTI_KERNEL; arch/arm64/Makefile.
    """
    problem = "have no landing pad and may be reached by an indirect branch"
    yield from _disagreement(facts, "bti", problem, "begin with a landing pad")


@check(Severity.ERROR)
def type_hashes_are_as_configured(facts: HardeningFacts) -> Iterator[Evidence]:
    """A type hash precedes each function that may be called indirectly if and only if CONFIG_CFI is set.

    An indirect call compares the hash with the expected one (kCFI), and the kernel oopses if they differ. Kernels
    up to 6.17 call the option CONFIG_CFI_CLANG. The .config was changed after the build, or an object was compiled
    without -fsanitize=kcfi. Build the kernel again.
    Source: arch/Kconfig, CFI; Clang's documentation, -fsanitize=kcfi.
    """
    problem = "have no type hash and may be called through a pointer"
    yield from _disagreement(facts, "kcfi", problem, "have a type hash")


@check(Severity.ERROR)
def stack_protector_is_as_configured(facts: HardeningFacts) -> Iterator[Evidence]:
    """Functions check a canary on their stack (`__stack_chk_fail`) if and only if CONFIG_STACKPROTECTOR is set.

    If the option is set and no function does, the compiler was not given -fstack-protector, or the .config was changed
    after the build. Build the kernel again.
    Source: arch/Kconfig, STACKPROTECTOR; kernel/panic.c.
    """
    yield from _disagreement(facts, "canary", "", "check a stack canary")


@check(Severity.ERROR)
def string_functions_are_fortified_as_configured(facts: HardeningFacts) -> Iterator[Evidence]:
    """Functions check the sizes of buffers (`fortify_panic`) if and only if CONFIG_FORTIFY_SOURCE is set.

    If the option is set and no function does, or it is not set and some do, the .config was changed after the build.
    Build the kernel again.
    Source: security/Kconfig; include/linux/fortify-string.h.
    """
    yield from _disagreement(facts, "fortify", "", "check the sizes of buffers")


@check(Severity.ERROR)
def user_copies_are_checked_as_configured(facts: HardeningFacts) -> Iterator[Evidence]:
    """Copies to and from user space are checked (`__check_object_size`) if and only if CONFIG_HARDENED_USERCOPY is set.

    If the option is set and no copy is checked, or it is not set and some are, the .config was changed after the build.
    Build the kernel again.
    Source: security/Kconfig; mm/usercopy.c.
    """
    yield from _disagreement(facts, "usercopy", "", "check copies to or from user space")


@check(Severity.ERROR)
def base_is_random_as_configured(facts: HardeningFacts) -> Iterator[Evidence]:
    """The kernel can relocate itself to a random base if and only if CONFIG_RELOCATABLE and RANDOMIZE_BASE are set.

    Without that code, the kernel runs at a fixed address, which attackers know. The .config was changed after the
    build. Build the kernel again.
    Source: arch/arm64/kernel/head.S; arch/arm64/kernel/pi/.
    """
    for name, what in (("relocatable", "code that relocates it"), ("kaslr", "code that picks a random base")):
        feature = facts.feature(name)
        if not feature.agrees:
            there = f"the kernel has {what}" if feature.present else f"the kernel has no {what}"
            yield Evidence(f"{there}, but {feature.setting.text}", _places(facts))


def _disagreement(facts: HardeningFacts, name: str, without: str, having: str) -> Iterator[Evidence]:
    """What contradicts the .config: functions without a protection that it sets, or with one that it does not set."""
    feature = facts.feature(name)
    if feature.agrees or feature.found is None or feature.of is None:
        return
    if feature.present:
        message = f"{counted(feature.found, 'function')} of {feature.of:,} {having}"
    elif not feature.found:
        message = f"none of {counted(feature.of, 'function')} {having}"
    else:
        number = feature.of - feature.found
        names = f" ({summarized(feature.without)})" if feature.without else ""
        message = f"{counted(number, 'function')} of {feature.of:,} {without}{names}"
    yield Evidence(f"{message}, but {feature.setting.text}", _places(facts))


def _places(facts: HardeningFacts) -> tuple[Location, ...]:
    places = dict.fromkeys((facts.path, facts.config or facts.path))
    return tuple(Location(path) for path in places)
