"""The library as a release script uses it."""

import gzip
import lzma
import random
import subprocess
import sys
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot.image import ImageFacts
from kinspect.artifacts.elf.vmlinux import VmlinuxFacts
from kinspect.inspection import kernel as inspection
from kinspect.inspection.report import Report
from kinspect.views.diff.facts import DiffFacts
from tests.conftest import ROOT, SAMPLE, Kernel

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def test_open_gives_the_kind_that_the_bytes_tell(tmp_path: Path) -> None:
    assert isinstance(kinspect.open(SAMPLE / "Image"), kinspect.Image)
    assert isinstance(kinspect.open(str(SAMPLE / "vmlinux")), kinspect.Vmlinux)
    (tmp_path / "Image.gz").write_bytes(gzip.compress((SAMPLE / "Image").read_bytes()))
    image = kinspect.open(tmp_path / "Image.gz")
    assert isinstance(image, kinspect.Image)
    assert isinstance(image.wrapped_in, kinspect.Compressed)
    for content, said in (
        (b"", "empty file"),
        (b"text", "a text file"),
        (b"\1", "of unknown kind"),
        (b"MZ", "PE/COFF"),
    ):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(kinspect.KinspectError, match=said):
            kinspect.open(tmp_path / "other")


MODULES = SAMPLE / "modules/lib/modules/6.1.0-hello/kernel"


def packed(data: bytes) -> dict[str, bytes]:
    return {"gz": gzip.compress(data), "xz": lzma.compress(data), "zst": zstd.compress(data)}


@pytest.mark.parametrize("suffix", ["gz", "xz", "zst"])
def test_a_compressed_module_is_a_module(suffix: str, tmp_path: Path) -> None:
    plain = MODULES / "lib/hello_text.ko"
    # What is hard to compress makes a first block as large as blocks are.
    for data in (plain.read_bytes(), plain.read_bytes() + random.Random(1).randbytes(300_000)):
        path = tmp_path / "hello_text.ko"
        path.write_bytes(packed(data)[suffix])
        module = kinspect.open(path)
        assert isinstance(module, kinspect.Module)
        assert module.name == "hello_text"
    path.write_bytes(packed(plain.read_bytes())[suffix])
    report = kinspect.inspect(path)
    assert report.findings == kinspect.inspect(plain).findings
    assert "module-is-an-arm64-elf" in report.ran
    with pytest.raises(kinspect.KinspectError, match=r"expected an arm64 Image, found a relocatable ELF file"):
        inspection.image(path)


@pytest.mark.parametrize("suffix", ["gz", "xz", "zst"])
def test_what_else_is_compressed_is_what_it_holds(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "packed"
    for data in (b"", b"text"):
        path.write_bytes(packed(data)[suffix])
        with pytest.raises(kinspect.KinspectError, match="wrong kind of file inside"):
            kinspect.open(path)
    for name, kind in (("Image", kinspect.Image), ("vmlinux", kinspect.Vmlinux)):
        path.write_bytes(packed((SAMPLE / name).read_bytes())[suffix])
        assert isinstance(kinspect.open(path), kind)
    module = (MODULES / "lib/hello_text.ko").read_bytes()
    path.write_bytes(packed(module)[suffix][:12])
    with pytest.raises(kinspect.KinspectError):
        kinspect.open(path)


def test_real_compressed_modules_are_modules(kernel: Kernel) -> None:
    paths = sorted((kernel.folder / "lib").rglob("*.ko*"))
    assert len(paths) > 900
    assert {type(kinspect.open(path)) for path in paths} == {kinspect.Module}


def test_inspect_judges_files_alone_and_together() -> None:
    report = kinspect.inspect(SAMPLE / "vmlinux", SAMPLE / "Image")
    assert report.ok
    assert report.exit_code == 0
    assert report.findings == ()
    assert {type(facts) for facts in report.facts} == {VmlinuxFacts, ImageFacts}
    assert {"image-is-objcopy-of-vmlinux", "sections-sum-to-image-size", "pe-header-is-readable"} <= set(report.ran)
    report.raise_for_findings()


def test_every_pair_is_compared(tmp_path: Path) -> None:
    data = bytearray((SAMPLE / "Image").read_bytes())
    data[0x10004] ^= 1
    (tmp_path / "Image").write_bytes(data)
    report = kinspect.inspect(SAMPLE / "vmlinux", SAMPLE / "Image", tmp_path / "Image")
    assert report.ran.count("image-is-objcopy-of-vmlinux") == 2
    assert [finding.id for finding in report.findings] == ["image-is-objcopy-of-vmlinux"]
    assert not report.ok
    assert report.exit_code == 1
    with pytest.raises(kinspect.FindingsError, match=r"changed after the link in one place.*\[image-is-objcopy-of-vml"):
        report.raise_for_findings()


def test_a_check_that_cannot_run_is_undecided_and_not_ok(tmp_path: Path) -> None:
    data = bytearray((SAMPLE / "vmlinux").read_bytes())
    data[32:40] = b"\xff" * 8  # e_phoff
    (tmp_path / "vmlinux").write_bytes(data)
    artifacts = kinspect.Vmlinux(tmp_path / "vmlinux"), kinspect.Image(SAMPLE / "Image")
    from kinspect.inspection.report import run_checks

    report = run_checks(artifacts, "boot.vmlinux")
    (finding,) = report.findings
    assert finding.severity == kinspect.Severity.UNDECIDED
    assert report.exit_code == 2
    with pytest.raises(kinspect.FindingsError, match="e_phoff"):
        report.raise_for_findings()


def test_facts_are_plain_values() -> None:
    with kinspect.open(SAMPLE / "Image") as artifact:
        facts = artifact.facts
    assert isinstance(facts, ImageFacts)
    assert facts.header.image_size == 0x30000
    assert facts.banner is not None
    assert facts.banner.startswith("Linux version 6.1.0-hello ")
    assert " #1 " in facts.banner
    (diff,) = kinspect.diff(SAMPLE / "vmlinux", SAMPLE / "Image").facts_of(DiffFacts)
    assert diff.same
    assert diff.expected_size == facts.size


def test_reports_add_up() -> None:
    one = kinspect.size(SAMPLE / "vmlinux")
    both = one + kinspect.diff(SAMPLE / "vmlinux", SAMPLE / "Image")
    assert isinstance(both, Report)
    assert len(both.facts) == 2
    assert both.ran == ("image-is-objcopy-of-vmlinux",)


def test_the_documented_script_works() -> None:
    text = (ROOT / "docs" / "library.md").read_text()
    script = text.split("```python\n", 1)[1].split("```", 1)[0]
    assert len(script.strip().splitlines()) <= 11
    command = [sys.executable, "-c", script, str(SAMPLE / "vmlinux"), str(SAMPLE / "Image")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("shipping Linux version 6.1.0-hello ")


def test_the_real_build_id_is_not_the_vdso_s(kernel: Kernel) -> None:
    image, vmlinux = kinspect.Image(kernel.image), kinspect.Vmlinux(kernel.vmlinux)
    assert image.build_id == vmlinux.build_id
    assert image.build_id is not None
    assert len(image.build_id) == 20
    assert image.banner == vmlinux.banner
    assert kernel.release in (image.banner or "")
