"""The check of types, with types that pass and types that fail."""

from kinspect.inspection.report import run_checks
from kinspect.schemas import btf
from tests.toy_btf import ToyBtf


def test_valid_types() -> None:
    toy = ToyBtf()
    toy.pointer(toy.integer("int"))
    assert run_checks((toy.btf,), "btf.table").findings == ()


def test_a_type_that_does_not_exist() -> None:
    toy = ToyBtf()
    toy.add(btf.PTR, third=9)
    [found] = run_checks((toy.btf,), "btf.table").findings
    assert (found.id, found.severity.value) == ("btf-is-valid", "error")
    assert str(found.evidence.at[0]) == "toy.btf: type 1 at 0x18"
    assert (found.evidence.expected, found.evidence.actual) == ("below 2", "9")


def test_a_module_on_a_wrong_kernel_is_one_finding() -> None:
    kernel = ToyBtf()
    kernel.integer("int")
    module = ToyBtf(kernel)
    for number in range(5):
        module.add(btf.PTR, third=900 + number)
    [found] = run_checks((module.btf,), "btf.table").findings
    assert "is this the kernel that the module was built for?" in found.evidence.message
