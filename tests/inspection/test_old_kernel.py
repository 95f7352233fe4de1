"""A real kernel of 5.10 is good, and kinspect reads its tables as the tools of that time wrote them."""

from collections import Counter

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import Symvers
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Severity
from kinspect.inspection.check import check
from kinspect.inspection.load import load_report
from kinspect.views.loader.facts import LoadFacts
from kinspect.views.loader.verdict import Outcome
from kinspect.views.tables.entries import table
from kinspect.views.tables.raw_exports import image_exports, vmlinux_exports
from tests.conftest import Kernel

pytestmark = pytest.mark.corpus


def test_everything_together_is_good(old_kernel: Kernel) -> None:
    names = ("Image", "vmlinux", "System.map", "Module.symvers", "config", f"lib/modules/{old_kernel.release}")
    report = check(*(old_kernel.folder / name for name in names))
    assert [finding for finding in report.findings if finding.severity is not Severity.INFO] == []


def test_every_module_loads(old_kernel: Kernel) -> None:
    modules = str(old_kernel.folder / "lib/modules" / old_kernel.release)
    report = load_report(old_kernel.image, (modules,), config=str(old_kernel.folder / "config"))
    facts = report.facts[0]
    assert isinstance(facts, LoadFacts)
    assert Counter(verdict.outcome for verdict in facts.verdicts) == {Outcome.LOADS: 944}


def test_exports(old_kernel: Kernel) -> None:
    rows = Symvers(old_kernel.folder / "Module.symvers").rows
    expected = {row[0]: row[1] for row in zip(rows.names, rows.crcs, rows.modules, strict=True) if row[2] == "vmlinux"}
    for exports in (image_exports(Image(old_kernel.image)), vmlinux_exports(Vmlinux(old_kernel.vmlinux))):
        assert {export.name: export.crc for export in exports.exports} == expected
        # The copies of the hypervisor: __memcpy, __memset, clear_page, copy_page, memcpy, memset.
        assert len(exports.exports) == len(expected) + 6


def test_exceptions(old_kernel: Kernel) -> None:
    vmlinux = Vmlinux(old_kernel.vmlinux)
    rows = table(vmlinux, "__ex_table").rows
    start, stop = (vmlinux.symbols.value(f"__{edge}___ex_table") for edge in ("start", "stop"))
    assert start
    assert stop
    assert stop - start == 8 * len(rows)
    for address, _, fixup, _ in rows:
        for place in (address, fixup):
            section = vmlinux.section_at(int(place))
            assert section is not None
            assert section.executable
