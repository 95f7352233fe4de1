"""Modules on another kernel than the one that they were built for."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted
from kinspect.errors import Location
from kinspect.views.abi.built_for import BuiltForFacts

_NAMED = 3


@check(Severity.ERROR)
def module_types_are_those_of_the_kernel(facts: BuiltForFacts) -> Iterator[Evidence]:
    """The types that modules use have the same definitions in this kernel as in the one that they were built for.

    Without MODVERSIONS nothing compares them: the kernel loads such a module, which then reads and writes members of a
    struct at the wrong offsets. With MODVERSIONS the kernel refuses it, and this names the types behind the CRCs.
    Rebuild the modules for this kernel.
    Source: the types in both kernels (.BTF); kernel/module/version.c, check_version().
    """
    for found in facts.affected:
        names = ", ".join(found.types[:_NAMED]) + (", ..." if len(found.types) > _NAMED else "")
        types = names or "prototypes"
        message = f"uses {counted(len(found.symbols), 'symbol')} whose types differ in this kernel: {types}"
        yield Evidence(message, (Location(found.path), Location(facts.kernel)))
