"""The modules of load/: the verdicts are what Debian's 6.12 cloud kernel did with each when it was booted."""

from errno import EINVAL, EKEYREJECTED, ENOEXEC  # type: ignore[attr-defined,unused-ignore]
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.preflight import preflight
from kinspect.views.loader.simulator import Simulator
from kinspect.views.loader.verdict import Outcome, Verdict
from tests.conftest import kernel_named

pytestmark = pytest.mark.corpus
TAINT = "module verification failed: signature and/or required key missing - tainting kernel"


@pytest.fixture(scope="module", params=["Image", "vmlinux"])
def kernel(request: pytest.FixtureRequest) -> TargetKernel:
    found = kernel_named("trixie-cloud")
    artifact = Image(found.image) if request.param == "Image" else Vmlinux(found.vmlinux)
    return TargetKernel(artifact, KernelConfig(found.folder / "config").options)


def verdict(kernel: TargetKernel, path: Path) -> Verdict:
    return Simulator(kernel).load(preflight(kernel, path.name, path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "errno", "line"),
    [
        ("this-name-empty", EINVAL, f": {TAINT}"),
        ("this-name-printk", EINVAL, "printk: module is already loaded"),
        ("rela-sym0", ENOEXEC, "Modules: module cordic: overflow in relocation type 261 val 0"),
        ("percpu-zero", ENOEXEC, "Modules: module zsmalloc: overflow in relocation type 275 val 0"),
        ("S-str-attrs", EKEYREJECTED, "PKCS7: S/MIME Caps only allowed with Authenticode"),
    ],
)
def test_refused(kernel: TargetKernel, cases: Path, name: str, errno: int, line: str) -> None:
    found = verdict(kernel, cases / "load" / f"{name}.ko")
    assert (found.outcome, found.errno, found.log_lines[-1]) == (Outcome.REFUSED, errno, line)


@pytest.mark.parametrize("name", ["percpu-4096", "this-nonwrite-alloc"])
def test_crashes(kernel: TargetKernel, cases: Path, name: str) -> None:
    found = verdict(kernel, cases / "load" / f"{name}.ko")
    assert (found.outcome, found.errno) == (Outcome.CRASHES, 0)
    assert found.why


@pytest.mark.parametrize(("name", "taints"), [("ver-nobits", "E"), ("abs32-0x7fffffff", "E"), ("modinfo-0", "FOE")])
def test_loads(kernel: TargetKernel, cases: Path, name: str, taints: str) -> None:
    found = verdict(kernel, cases / "load" / f"{name}.ko")
    assert (found.outcome, found.taints) == (Outcome.LOADS, taints)
    assert not any("license" in line for line in found.log_lines)
