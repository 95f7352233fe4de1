"""Real kernels are good however their files are arranged: nothing is an error or a warning, nothing is left out."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.checks.check import Severity
from kinspect.inspection.check import check
from kinspect.views.build.inventory import BuildFacts
from tests.conftest import KERNELS, LOAD_KERNELS, OLD_KERNEL, Kernel, kernel_named
from tests.toy_build import installed, link, linked, put, words

NAMES = sorted({*KERNELS, *LOAD_KERNELS, OLD_KERNEL})
pytestmark = pytest.mark.corpus


@pytest.fixture(params=NAMES)
def any_kernel(request: pytest.FixtureRequest) -> Kernel:
    """Each of the real kernels, the old one too."""
    return kernel_named(request.param)


def is_good(*paths: Path, lacks: tuple[str, ...] = ()) -> BuildFacts:
    """Check some paths, of which nothing may be wrong, and nothing but what lacks a partner not judged."""
    report = check(*paths)
    assert report.errors == ()
    assert [found for found in report.findings if found.severity is not Severity.INFO] == [], words(report.findings)
    (facts,) = report.facts_of(BuildFacts)
    assert sorted(entry.reason for entry in facts.unjudged) == sorted(lacks)
    assert facts.missing == ()
    return facts


def place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    link(str(source), str(target))


def packages(kernel: Kernel, folder: Path) -> tuple[Path, Path, Path]:
    """The files of a kernel as its packages bring them: the image, what is for debugging, and the headers."""
    release = kernel.release
    image, debug, headers = folder / "image", folder / "debug", folder / "headers"
    place(kernel.folder / "Image", image / f"boot/vmlinuz-{release}")
    place(kernel.folder / "config", image / f"boot/config-{release}")
    linked(kernel.folder / "lib/modules" / release, image / "lib/modules" / release)
    place(kernel.folder / "vmlinux", debug / f"usr/lib/debug/boot/vmlinux-{release}")
    place(kernel.folder / "System.map", debug / f"usr/lib/debug/boot/System.map-{release}")
    source = headers / f"usr/src/linux-headers-{release}"
    place(kernel.folder / "Module.symvers", source / "Module.symvers")
    place(kernel.folder / "config", source / ".config")
    put(source / "include/config/auto.conf", b"")
    put(source / "include/config/kernel.release", f"{release}\n".encode())
    (headers / "lib/modules" / release).mkdir(parents=True)
    (headers / "lib/modules" / release / "build").symlink_to(f"/usr/src/linux-headers-{release}")
    return image, debug, headers


def test_packages_one_by_one_and_together(any_kernel: Kernel, tmp_path: Path) -> None:
    image, debug, headers = packages(any_kernel, tmp_path)
    is_good(image, lacks=("Image without vmlinux",))
    is_good(debug, lacks=("vmlinux without Image",))
    is_good(headers, lacks=("Module.symvers without a kernel or modules",))
    facts = is_good(debug, headers, image)
    assert {"Image", "vmlinux", "System.map", "Module.symvers", "modules", "config"} <= {
        piece.role for piece in facts.pieces
    }


def test_one_root(any_kernel: Kernel, tool: Callable[[str], str], tmp_path: Path) -> None:
    root = installed(any_kernel, tmp_path / "root", tool("depmod"))
    assert len(is_good(root).pieces) == 6
    # As of Debian 13: /lib is a link to usr/lib.
    (root / "lib/modules").rename(root / "usr/lib/modules")
    (root / "lib").rmdir()
    (root / "lib").symlink_to("usr/lib")
    assert len(is_good(root).pieces) == 6


def test_a_flat_folder(any_kernel: Kernel, tmp_path: Path) -> None:
    for module in (any_kernel.folder / "lib/modules").rglob("*.ko*"):
        place(module, tmp_path / module.name)
    for name in ("Image", "vmlinux", "System.map", "Module.symvers", "config"):
        place(any_kernel.folder / name, tmp_path / name)
    assert len(is_good(tmp_path).pieces) == 6


def test_all_kernels_in_one_root(tool: Callable[[str], str], tmp_path: Path) -> None:
    for name in NAMES:
        installed(kernel_named(name), tmp_path, tool("depmod"))
    assert len(is_good(tmp_path).pieces) == 6 * len(NAMES)
    # Whatever of one kernel is another's is found, and no more.
    releases = [kernel_named(name).release for name in NAMES]
    first, second = (tmp_path / f"boot/System.map-{release}" for release in releases[:2])
    first.unlink()
    shutil.copy(second, first)
    errors = [found for found in check(tmp_path).findings if found.severity is not Severity.INFO]
    assert [found.id for found in errors] == ["system-map-is-of-vmlinux"], words(errors)
    assert {at.path for at in errors[0].evidence.at} == {
        str(first),
        str(tmp_path / f"usr/lib/debug/boot/vmlinux-{releases[0]}"),
    }
