"""The check of `kinspect diff` on two kernels."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location
from kinspect.views.changes.facts import KernelDifference


@check(Severity.ERROR)
def kernels_are_the_same(facts: KernelDifference) -> Iterator[Evidence]:
    """Two Images, or two vmlinux, are the same kernel, byte for byte.

    Two builds of the same sources are the same if the build is reproducible: `kinspect diff` names what differs
    otherwise, such as the time of the build. See Documentation/kbuild/reproducible-builds.rst.
    Source: Documentation/kbuild/reproducible-builds.rst.
    """
    if not facts.same:
        message = "the same kernel, built again" if facts.only_causes else "another kernel"
        yield Evidence(message, (Location(facts.new), Location(facts.old)))
