"""Modules and folders of modules from reports: what kinspect says of each, by its name."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

import kinspect
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.module.ko import Module
from kinspect.checks.check import Severity
from kinspect.cli import main
from kinspect.inspection.modules import modules
from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.preflight import preflight
from kinspect.views.loader.simulator import Simulator
from kinspect.views.loader.verdict import Outcome, Verdict
from tests.conftest import Kernel, kernel_named

BESIDE_THE_POINT = {"modules-are-older-than-modules-dep", "module-name-is-the-file-name", "depmod-has-run"}
"""The cases were copied, and some files of them renamed."""


class Case(NamedTuple):
    """A path below `modules`, and the findings on it: ids, or messages with them."""

    name: str
    findings: tuple[str, ...] = ()


FOLDERS = (
    Case("kmod28"),
    Case("kmod29"),
    Case("k54"),
    Case("android/vendor_dlkm", ("modules-dep-is-relative",)),
    Case("vm", ("modules-are-of-one-release",)),
    Case("nocrc/k", ("modules-lack-no-versions",)),
)
FILES = (
    Case("ko/sig-crlf.ko", ("signature-trailer-is-whole: signature trailer damaged",)),
    Case("ko/sig-cut.ko", ("signature-trailer-is-whole: signature trailer damaged",)),
    Case("ko/sig-nonl.ko", ("signature-trailer-is-whole: signature trailer damaged",)),
    Case("ko/double.ko", ("signature-trailer-is-whole: signature trailer damaged",)),
    Case("ko/mini-x86.ko", ("module-is-an-arm64-elf: for x86-64",)),
    Case("ko/mini-arm32.ko", ("module-is-an-arm64-elf: for arm,",)),
    Case("ko/xt_hl.ko"),
    Case("ko/stripped.ko"),
    Case("ko/stripall.ko", ("module-symbol-table-is-sound",)),
    Case("ko/nocrc.ko", ("module-lacks-no-versions",)),
    Case("ko/v/trixie-cloud/xt_hl.ko"),
    Case("ko/v/trixie-cloud-nocrc/xt_hl.ko", ("module-lacks-no-versions",)),
    Case("ko/v/backports-cloud/xt_hl.ko"),
    Case("sig/ec521s/xt_hl.ko"),
    Case("sig/rsa512/xt_hl.ko"),
    Case("sig/rsaskid/xt_hl.ko"),
    Case("sig/rsapss/xt_hl.ko"),
    Case("sig/rsasha1/xt_hl.ko"),
    Case("sig/rsaattr/xt_hl.ko", ("signature-message-is-sound",)),
)
SYMVERS = {
    "base.symvers": 0,
    "four.symvers": 0,
    "unused.symvers": 0,
    "newns.symvers": 0,
    "oot.symvers": 0,
    "merged.symvers": 0,
    "zero.symvers": 0,
    "crlf.symvers": 0,
    "base.symvers.gz": 0,
    "base.symvers.xz": 0,
    "doubled.symvers": 1,
    "somezero.symvers": 1,
    "mixed45.symvers": 1,
    "old.symvers": 1,
    # modpost refuses both: `parse error in symbol dump file`.
    "spaces.symvers": 1,
    "unk.symvers": 1,
}


@pytest.mark.parametrize("case", FOLDERS, ids=lambda case: case.name)
def test_folders(case: Case, cases: Path) -> None:
    report = modules(cases / "modules" / case.name)
    found = [finding.id for finding in report.findings if finding.id not in BESIDE_THE_POINT]
    assert tuple(found) == case.findings


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_files(case: Case, cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = kinspect.check(cases / "modules" / case.name)
    found = [finding for finding in report.findings if finding.id not in BESIDE_THE_POINT]
    texts = [f"{finding.id}: {finding.evidence.message}" for finding in found]
    assert len(texts) == len(case.findings)
    assert all(text.startswith(start) for text, start in zip(texts, case.findings, strict=True))


@pytest.mark.parametrize("name", SYMVERS)
def test_symvers(name: str, cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(cases / "modules" / "symvers" / name)]) == SYMVERS[name]


def loaded(cases: Path, refuses: bool | None) -> Verdict:
    """The verdict on a module without the CRC of a symbol, in a kernel that would do so with it."""
    folder = cases / "modules" / "nocrc" / "k"
    kernel = TargetKernel(Image(kernel_named("bookworm-cloud").image), {})
    kernel.__dict__["refuses_missing_crcs"] = refuses
    simulator = Simulator(kernel)
    names = ("x_tables.ko", "xt_hl.ko")
    prepared = [preflight(kernel, name, Module(folder / name).data) for name in names]
    return [simulator.load(module) for module in prepared][-1]


@pytest.mark.corpus
def test_a_missing_crc_depends_on_the_kernel(cases: Path) -> None:
    warning = "xt_hl: no symbol version for xt_register_matches"
    for refuses, outcome in ((True, Outcome.REFUSED), (False, Outcome.LOADS), (None, Outcome.UNKNOWN)):
        verdict = loaded(cases, refuses)
        assert verdict.outcome is outcome
        assert (warning in verdict.log_lines) == (refuses is not None)
    assert "no CRC of xt_register_matches: " in verdict.why


@pytest.mark.corpus
def test_a_missing_crc_with_the_kernel(cases: Path) -> None:
    """Debian's kernel is one that refuses the module."""
    report = kinspect.modules(cases / "modules" / "nocrc" / "k", kernel=kernel_named("bookworm-cloud").vmlinux)
    assert [finding.id for finding in report.findings if finding.severity is Severity.ERROR] == ["modules-are-loaded"]


@pytest.mark.corpus
def test_a_module_of_another_release_loads(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel: Kernel = kernel_named("bookworm-cloud")
    arguments = ["load", kernel.image, str(cases / "modules" / "vm"), "--config", str(kernel.folder / "config")]
    assert main(arguments) == 0
    assert "good: 3 modules load" in capsys.readouterr().out


def test_a_folder_of_android_has_no_warning(cases: Path) -> None:
    report = kinspect.check(cases / "modules" / "android" / "vendor_dlkm")
    assert [finding.id for finding in report.findings] == ["modules-dep-is-relative"]


@pytest.mark.parametrize("name", ["sig-crlf.ko", "sig-cut.ko", "sig-nonl.ko", "double.ko"])
def test_a_damaged_signature_in_a_folder(name: str, cases: Path, tmp_path: Path) -> None:
    module = tmp_path / "lib/modules/6.1.0-50-cloud-arm64/kernel/xt_hl.ko"
    module.parent.mkdir(parents=True)
    shutil.copy(cases / "modules" / "ko" / name, module)
    found = [finding for finding in kinspect.check(tmp_path).findings if finding.severity is Severity.ERROR]
    assert [finding.id for finding in found] == ["signatures-of-modules-are-whole"]


@pytest.mark.corpus
def test_an_external_symvers_with_a_kernel(cases: Path) -> None:
    kernel = kernel_named("bookworm-cloud")
    symvers = cases / "modules" / "symvers" / "oot.symvers"
    for path in (kernel.vmlinux, kernel.image):
        assert kinspect.symvers(symvers, path).ok
        assert kinspect.check(symvers, path).ok
