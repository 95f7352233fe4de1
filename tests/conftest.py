"""What the tests stand on: the shipped sample, the real kernels, the real tools.

A tool or a kernel that is missing skips a test where a developer runs it, and fails it where CI does.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pytest

# A run in the background is started with Ctrl-C ignored, and so would be every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "samples" / "hello"
CORPUS = Path(os.environ.get("KINSPECT_CORPUS") or Path.home() / ".cache" / "kinspect" / "corpus")
KERNELS = ("bookworm-cloud", "backports-cloud")
LOAD_KERNELS = ("bookworm-cloud", "trixie-cloud", "backports-cloud")
"""The kernels that tests/load boots: one for each order in which kernels test modules, or nearly so."""
CLANG_KERNEL = "clang-64k"
"""A kernel that CI does not build: without it tests/load boots the others."""
OLD_KERNEL = "bullseye-cloud"
"""5.10: CRCs are absolute symbols, rows of __ex_table have 8 bytes, the hypervisor exports its copies of functions."""
LARGE_PAGES, LARGE_PAGES_SYMBOLS = "trixie-16k", "trixie-16k-symbols"
"""A kernel with pages of 16 KiB, and its vmlinux and System.map, which CI does not fetch."""
CASES = Path(os.environ.get("KINSPECT_CASES") or ROOT.parent / "shared" / "cases")
"""Inputs from reports and attacks, some of them parts of kernels, which are not shipped."""


class Kernel:
    """A real Debian kernel, as tests/corpus/fetch.sh leaves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.image = str(folder / "Image")
        self.vmlinux = str(folder / "vmlinux")

    @cached_property
    def release(self) -> str:
        return (self.folder / "release").read_text().strip()


class Build:
    """A real build of a small kernel, as tests/corpus/build.sh leaves it."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "out"
        self.logs = folder / "logs"
        self.source = folder / "source"
        self.modules = folder / "install"

    @cached_property
    def release(self) -> str:
        return (self.out.parent / "release").read_text().strip()

    def log(self, name: str) -> str:
        """The path of one of the logs."""
        return str(self.logs / f"{name}.log")


def missing(what: str, remedy: str) -> None:
    """Skip for a developer, fail in CI."""
    message = f"{what} is missing: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def real_tool(name: str) -> str:
    """The path of a real tool, for what builds files outside of a test too."""
    # depmod and modprobe lie where an ordinary user does not look.
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        missing(name, "sh tests/tools.sh installs the tools")
    return path or ""


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """The path of a real tool by its name."""
    return real_tool


def kernel_named(name: str) -> Kernel:
    folder = CORPUS / name
    if not (folder / ".complete").exists():
        missing(f"the kernel {name}", f"bash tests/corpus/fetch.sh {CORPUS} fetches it")
    return Kernel(folder)


@pytest.fixture(scope="session", params=[pytest.param(name, marks=pytest.mark.corpus) for name in KERNELS])
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """Each of the real kernels in turn."""
    return kernel_named(request.param)


@pytest.fixture(scope="session")
def old_kernel() -> Kernel:
    """A real kernel of before 5.16. Tests that take it bear the mark `corpus`."""
    return kernel_named(OLD_KERNEL)


@pytest.fixture(scope="session")
def kernels() -> tuple[Kernel, Kernel]:
    """Both real kernels, the 6.1 one first. Tests that take it bear the mark `corpus`."""
    return kernel_named(KERNELS[0]), kernel_named(KERNELS[1])


@pytest.fixture(scope="session")
def dtbs() -> list[Path]:
    """Every device tree of a real kernel. Tests that take it bear the mark `corpus`."""
    folder = CORPUS / "dtbs"
    if not (folder / ".complete").exists():
        missing("the device trees of a real kernel", f"bash tests/corpus/fetch.sh {CORPUS} dtbs fetches them")
    return sorted(folder.rglob("*.dtb"))


@pytest.fixture(scope="session")
def debs() -> list[Path]:
    """The Debian packages of a real kernel: headers, debug, image. Tests that take it bear the mark `corpus`."""
    folder = CORPUS / "bookworm-cloud-packages"
    if not (folder / ".complete").exists():
        remedy = f"bash tests/corpus/fetch.sh {CORPUS} {folder.name} fetches them"
        missing("the packages of a real kernel", remedy)
    return sorted(folder.glob("*.deb"))


@pytest.fixture(scope="session")
def dtc(tool: Callable[[str], str]) -> str:
    """The path of dtc 1.6, whose text ours is."""
    path = tool("dtc")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if "DTC 1.6." not in version:
        missing("dtc 1.6", f"Debian 12 has it, and here is {version.strip()}")
    return path


@pytest.fixture(scope="session")
def build() -> Build:
    """The real build, with its O= folder and its logs. Tests that take it bear the mark `corpus`."""
    folder = CORPUS / "build"
    if not (folder / ".complete").exists():
        missing("the build of a kernel", f"bash tests/corpus/build.sh {CORPUS} makes it")
    return Build(folder)


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of inputs from reports and attacks."""
    if not CASES.is_dir():
        pytest.skip(f"the cases are missing: set KINSPECT_CASES (tried {CASES})")
    return CASES


@pytest.fixture(scope="session")
def sample() -> Path:
    """The folder of the shipped sample kernel."""
    return SAMPLE
