"""The checks of `kinspect diff` on two kernels."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location
from kinspect.views.changes.facts import KernelDifference
from kinspect.views.disassembly.facts import FunctionDifference


@check(Severity.ERROR)
def kernels_are_the_same(facts: KernelDifference) -> Iterator[Evidence]:
    """Two Images, or two vmlinux, are the same kernel, byte for byte.

    Reproducible builds of the same sources are identical. `kinspect diff` lists what differs if they are not, such as
    the time of the build.
    Source: Documentation/kbuild/reproducible-builds.rst.
    """
    if not facts.same:
        message = "the same kernel, but built again" if facts.only_causes else "the kernels differ"
        yield Evidence(message, (Location(facts.new), Location(facts.old)))


@check(Severity.ERROR)
def functions_are_the_same(facts: FunctionDifference) -> Iterator[Evidence]:
    """A function is the same in two kernels, instruction by instruction.

    Addresses may differ: branches and references are compared by the function, variable or string that they refer to.
    `kinspect diff OLD NEW --function NAME` shows the instructions that differ.
    Source: Arm Architecture Reference Manual, A64 instruction set.
    """
    if not facts.same:
        at = Location(facts.new, facts.new_name), Location(facts.old, facts.old_name)
        yield Evidence("the function differs", at)
