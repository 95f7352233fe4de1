"""A .config and a kernel.release are read as Kconfig and make write them."""

from pathlib import Path

import pytest

from kinspect.artifacts.build.kernel_config import LARGEST_CONFIG, KernelConfig, KernelRelease
from kinspect.artifacts.kinds import open_artifact
from kinspect.errors import MalformedError, UnsupportedError
from tests.conftest import Build, Kernel

HEAD = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 6.1.176 Kernel Configuration\n#\n"


def config(folder: Path, text: str) -> KernelConfig:
    path = folder / ".config"
    path.write_text(text, errors="surrogateescape")
    return KernelConfig(path)


def test_lines(tmp_path: Path) -> None:
    found = config(tmp_path, HEAD + 'CONFIG_A=y\nCONFIG_B="a = b"\n# CONFIG_C is not set\n\nCONFIG_D=m\nCONFIG_E=0x1\n')
    assert found.options == {"CONFIG_A": "y", "CONFIG_B": '"a = b"', "CONFIG_D": "m", "CONFIG_E": "0x1"}
    assert [found.on(name) for name in "ABCDE"] == [True, False, False, False, False]
    assert found.facts[2:] == ("6.1.176", 4)
    assert isinstance(open_artifact(found.path), KernelConfig)
    assert config(tmp_path, "CONFIG_A=y\n").version is None


@pytest.mark.parametrize("line", ["A=y", "CONFIG_A", " CONFIG_A=y", "CONFIG_A =y", "\udcff", "x" * 100_000])
def test_a_line_that_kconfig_would_not_write(line: str, tmp_path: Path) -> None:
    with pytest.raises(MalformedError) as caught:
        _ = config(tmp_path, f"{HEAD}{line}\n").options
    assert caught.value.at.line == 5
    assert len(str(caught.value)) < 400


def test_too_large(tmp_path: Path) -> None:
    with (tmp_path / ".config").open("wb") as file:
        file.truncate(LARGEST_CONFIG + 1)
    with pytest.raises(UnsupportedError, match=r"too large for a \.config"):
        _ = KernelConfig(tmp_path / ".config").options


def test_a_release(tmp_path: Path) -> None:
    path = tmp_path / "kernel.release"
    path.write_text("6.1.0-hello\n")
    assert KernelRelease(path).release == "6.1.0-hello"
    for text in ("", "\n", "6.1.0", "6.1.0\n\n", "6.1.0\n6.1.1\n", "a" * 5000 + "\n"):
        path.write_text(text)
        with pytest.raises(MalformedError, match=r"not a kernel\.release"):
            _ = KernelRelease(path).release


@pytest.mark.corpus
def test_real_ones(kernel: Kernel, build: Build) -> None:
    path = kernel.folder / "config"
    found = KernelConfig(path)
    text = path.read_text()
    assert len(found.options) == sum(line.startswith("CONFIG_") for line in text.splitlines())
    assert found.on("ARM64_4K_PAGES")
    assert (found.version or "").startswith(("6.1.", "7."))
    assert KernelConfig(build.out / ".config").on("IKCONFIG")
    assert KernelRelease(build.out / "include/config/kernel.release").release == build.release
