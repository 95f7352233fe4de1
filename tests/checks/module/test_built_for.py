"""Modules on another kernel than the one that they were built for."""

from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.cli import main
from kinspect.errors import MalformedError
from kinspect.inspection.abi.built_for import built_for, symvers_built_for
from kinspect.inspection.report import run_checks
from kinspect.reports.abi.built_for import lines, verdict_notes
from kinspect.reports.terminal import Style
from kinspect.views.abi.built_for import BuiltForFacts, built_for_facts
from kinspect.views.abi.comparison import TypeComparison
from kinspect.views.abi.definitions import Definitions
from kinspect.views.btf.kernel import kernel_types
from tests.conftest import SAMPLE, Kernel, kernel_named
from tests.toy_module import assembled, versions, written

OLD, NEW = str(SAMPLE / "abi/old/vmlinux"), str(SAMPLE / "abi/new/vmlinux")


def module_with(folder: Path, *symbols: str, crcs: dict[str, int] | None = None) -> Path:
    """A module that needs some symbols."""
    text = "".join(f".quad {symbol}\n" for symbol in symbols)
    return written(folder, assembled(".data\n" + text + versions(crcs or {})))


def test_without_modversions_every_changed_type_counts(tmp_path: Path) -> None:
    module = module_with(tmp_path, "gadget_power", "driver_name", "system_clock")
    report = built_for(NEW, [module], OLD)
    [facts] = report.facts_of(BuiltForFacts)
    assert (facts.modules, facts.by_crc, facts.unknown) == (1, False, 1)
    assert facts.affected == ((str(module), ("gadget_power",), ("enum power", "struct device")),)
    assert [change.path for change in facts.types] == [
        ("gadget_power", "enum power"),
        ("gadget_power", "struct gadget", "struct device"),
    ]
    [found] = report.findings
    assert (found.id, found.severity.value) == ("module-types-are-those-of-the-kernel", "error")
    assert found.evidence.message == ("uses 1 symbol whose types differ in this kernel: enum power, struct device")


def test_a_module_that_only_uses_what_is_the_same(tmp_path: Path) -> None:
    report = built_for(NEW, [module_with(tmp_path, "driver_name")], OLD)
    assert report.ok
    assert report.facts_of(BuiltForFacts)[0].affected == ()
    assert run_checks(report.facts, "module.built_for").findings == ()


def test_a_module_of_another_kernel_is_not_compared(tmp_path: Path) -> None:
    """Its CRCs are not those of the kernel that it is said to be built for."""
    comparison = TypeComparison(Definitions(kernel_types(Vmlinux(OLD))), Definitions(kernel_types(Vmlinux(NEW))))
    path = module_with(tmp_path, "gadget_power", crcs={"gadget_power": 1, "elsewhere": 3})
    for crc, foreign in ((1, 0), (2, 1)):
        facts = built_for_facts((OLD, NEW), comparison, [Module(path)], {"gadget_power": 5}, {"gadget_power": crc})
        assert (facts.modules, facts.foreign, len(facts.affected)) == (1, foreign, 1 - foreign)
        assert list(verdict_notes(facts)) == ["not compared: 1 module of another kernel"] * foreign
        assert any("not built for it: 1 module" in line for line in lines(facts, Style(False))) == bool(foreign)


@pytest.mark.corpus
def test_the_wrong_kernel_is_refused() -> None:
    """All types that a module uses would be the same, because it was built for the other kernel."""
    old, new = kernel_named("bookworm-cloud-before"), kernel_named("bookworm-cloud")
    path = next((new.folder / "lib").rglob("loop.ko"))
    with pytest.raises(MalformedError, match="--built-for: not the kernel that this module was built for"):
        built_for(new.image, [path], old.image)
    with pytest.raises(MalformedError, match=r"--built-for: not the kernel that this Module\.symvers belongs to"):
        symvers_built_for(new.folder / "Module.symvers", old.image, old.image)


@pytest.mark.corpus
def test_crcs_of_a_real_update() -> None:
    """A module of an older update: exactly the symbols whose CRC it has differently."""
    old, new = kernel_named("bookworm-cloud-before"), kernel_named("bookworm-cloud")
    path = sorted((new.folder / "lib").rglob("loop.ko"))[0]
    # The other way round: the module of the newer kernel on the older one.
    report = built_for(old.image, [path], new.image)
    [facts] = report.facts_of(BuiltForFacts)
    assert facts.by_crc
    module = kinspect.open(path, kinspect.Module)
    crcs = {}
    for line in (old.folder / "Module.symvers").read_text().splitlines():
        crc, name = line.split("\t")[:2]
        crcs[name] = int(crc, 16)
    differing = {name for name, crc in module.versions.items() if crcs.get(name, crc) != crc}
    assert len(differing) > 20
    assert set(facts.affected[0].symbols) | {"module_layout"} >= differing - {"module_layout"} - unknown(old, new)
    assert set(facts.affected[0].symbols) <= differing
    assert {"struct device", "struct task_struct"} <= {change.type for change in facts.types}


def unknown(*kernels: Kernel) -> set[str]:
    """Symbols that are no functions in the types of a kernel."""
    functions = [{facts.name for facts in kinspect.types(kernel.image, ["*"]).facts_of(kinspect.TypeFacts)
                  if facts.kind == "function"} for kernel in kernels]  # fmt: skip
    symbols = {line.split("\t")[1] for line in (kernels[0].folder / "Module.symvers").read_text().splitlines()}
    return {symbol for symbol in symbols if not all(symbol in found for found in functions)}


@pytest.mark.corpus
def test_a_symvers_of_an_older_update() -> None:
    old, new = kernel_named("bookworm-cloud-before"), kernel_named("bookworm-cloud")
    report = symvers_built_for(old.folder / "Module.symvers", new.image, old.image)
    [causes] = report.facts
    assert causes == kinspect.abi(old.image, new.image).facts_of(kinspect.AbiCauses)[0]._replace(
        old=str(old.folder / "Module.symvers")
    )


def test_the_command_needs_a_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module_with(tmp_path, "gadget_power")
    assert main(["modules", str(tmp_path), "--built-for", OLD]) == 2
    assert capsys.readouterr().err == "kinspect: --built-for: needs --vmlinux, the kernel to compare with\n"
