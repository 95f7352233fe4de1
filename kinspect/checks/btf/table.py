"""What must hold of type information."""

from collections.abc import Iterator

from kinspect.artifacts.btf.table import Btf
from kinspect.checks.check import Evidence, Severity, check
from kinspect.views.btf.validity import faults_of


@check(Severity.ERROR)
def btf_is_valid(btf: Btf) -> Iterator[Evidence]:
    """The types refer to types that exist and are of the right kind, and have names where C needs them.

    The kernel refuses to register invalid BTF, and `pahole` and the BPF tools cannot read it. A module's types are
    invalid on any kernel but the one that it was built for. Build again with a pahole that fits the compiler.
    Source: kernel/bpf/btf.c, btf_check_all_metas() and btf_check_all_types().
    """
    faults = faults_of(btf)
    # A module on the types of another kernel is wrong everywhere.
    hint = " (is this the kernel that the module was built for?)" if btf.base else ""
    for fault in faults[:1] if btf.base else faults:
        at = (btf.at_type(fault.id, btf.start_of(fault.id)),)
        yield Evidence(f"{fault.problem}{hint}", at, expected=fault.expected, actual=fault.actual)
