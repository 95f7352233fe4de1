"""Builds arranged for tests: the sample as the folder of a build, real kernels as installed, copies to be changed."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from samples.hello.examples import CONFIG as CONFIG
from samples.hello.examples import make_output_folder
from tests.conftest import Kernel

BOOT = "arch/arm64/boot/"
_NOT_READ = ("*.o", "*.a", "*.h", "*.c", "*.S", "*.mod", "*.mod.cmd", ".*.o.cmd", ".*.ko.cmd", ".tmp_*", "scripts")


def linked(source: Path, target: Path) -> Path:
    """A copy of a folder, its files linked, without what no build is judged by."""
    ignore = shutil.ignore_patterns(*_NOT_READ)
    shutil.copytree(source, target, copy_function=_link, symlinks=True, ignore=ignore)
    return target


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


def put(path: Path, data: bytes) -> None:
    """A file in place of what may be linked there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    """A file changed, and it must change."""
    before = path.read_bytes()
    after = change(before)
    assert after != before
    put(path, after)


def take(path: Path, other: str | Path) -> None:
    """Another file in its place."""
    path.unlink()
    _link(str(other), str(path))


def sample_build(folder: Path) -> Path:
    """The sample as `make O=` would leave it."""
    make_output_folder(folder)
    return folder


def installed(kernel: Kernel, folder: Path, depmod: str) -> Path:
    """A real kernel as its packages install it."""
    release = kernel.release
    for name, place in (
        ("Image", f"boot/vmlinuz-{release}"),
        ("config", f"boot/config-{release}"),
        ("System.map", f"boot/System.map-{release}"),
        ("vmlinux", f"usr/lib/debug/boot/vmlinux-{release}"),
        ("Module.symvers", f"usr/src/linux-headers-{release}/Module.symvers"),
    ):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        _link(str(kernel.folder / name), str(folder / place))
    linked(kernel.folder / "lib/modules" / release, folder / "lib/modules" / release)
    subprocess.run([depmod, "-b", str(folder), "-C", "/nonexistent", release], check=True)
    return folder


def words(findings: Iterable[object]) -> str:
    """Findings for the message of a test that fails."""
    return "\n".join(map(str, findings))
