"""`kinspect check` compares the protections in a kernel's code with the .config, where both are known."""

import gzip
from pathlib import Path

import pytest

import kinspect
from kinspect.inspection.report import checks_of
from tests.conftest import Build, Kernel
from tests.packaged_sample import Tool
from tests.toy_kernel_code import image_of, linked

HEAD = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 6.1.0 Kernel Configuration\n#\n"
PAC = ("aarch64-linux-gnu-gcc",), ("-mbranch-protection=pac-ret", "-DRELOCATABLE")
SET = "CONFIG_ARM64=y\nCONFIG_ARM64_PTR_AUTH_KERNEL=y\nCONFIG_RELOCATABLE=y\n"
IDS = {check.id for check in checks_of("hardening.configured")}


def found_in(*paths: Path | str) -> dict[str, str]:
    """The findings of these checks, by id."""
    report = kinspect.check(*paths)
    return {one.id: one.evidence.message for one in report.findings if one.id in IDS}


@pytest.fixture
def kernel(tmp_path: Path, tool: Tool) -> Path:
    """The Image of a kernel that signs its return addresses, alone in a folder."""
    image = image_of(linked(tmp_path, tool, *PAC), tool)
    folder = tmp_path / "kernel"
    folder.mkdir()
    return image.rename(folder / "Image")


def test_the_config_beside_it(kernel: Path) -> None:
    folder = kernel.parent
    assert found_in(folder) == {}
    (folder / "config").write_text(HEAD + SET)
    report = kinspect.check(folder)
    assert set(report.ran) >= IDS
    assert found_in(folder) == {}
    (folder / "config").write_text(HEAD + SET.replace("CONFIG_RELOCATABLE=y", "# CONFIG_RELOCATABLE is not set"))
    assert found_in(folder) == {
        "base-is-random-as-configured": "the kernel has code that relocates it, but CONFIG_RELOCATABLE is not set"
    }
    (folder / "config").write_text(HEAD + SET + "CONFIG_FORTIFY_SOURCE=y\n")
    assert list(found_in(folder)) == ["string-functions-are-fortified-as-configured"]


def test_a_defconfig_says_nothing(kernel: Path) -> None:
    (kernel.parent / "config").write_text("CONFIG_FORTIFY_SOURCE=y\n")
    report = kinspect.check(kernel.parent)
    assert IDS.isdisjoint(report.ran)
    assert not [one for one in report.findings if one.id in IDS]


def test_the_config_inside_it_comes_first(kernel: Path) -> None:
    embedded = b"IKCFG_ST" + gzip.compress((HEAD + SET + "CONFIG_FORTIFY_SOURCE=y\n").encode()) + b"IKCFG_ED"
    data = kernel.read_bytes()
    kernel.write_bytes(data + bytes(-len(data) % 8) + embedded)
    (kernel.parent / "config").write_text(HEAD + SET)
    assert list(found_in(kernel)) == ["string-functions-are-fortified-as-configured"]


@pytest.mark.corpus
def test_real_kernels(kernels: tuple[Kernel, Kernel], build: Build) -> None:
    for folder in (*(kernel.folder for kernel in kernels), build.out):
        report = kinspect.check(folder)
        assert set(report.ran) >= IDS
        assert report.ok


@pytest.mark.corpus
def test_the_vmlinux_without_an_image(kernels: tuple[Kernel, Kernel], tmp_path: Path) -> None:
    """And the .config of a build that was changed after it."""
    text = (kernels[0].folder / "config").read_text()
    (tmp_path / "config").write_text(
        text.replace("CONFIG_HARDENED_USERCOPY=y", "# CONFIG_HARDENED_USERCOPY is not set")
    )
    (tmp_path / "vmlinux").symlink_to(kernels[0].vmlinux)
    assert list(found_in(tmp_path)) == ["user-copies-are-checked-as-configured"]
