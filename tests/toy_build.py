"""Builds arranged for tests: the sample as the folder of a build, real kernels as installed, copies to be changed."""

import lzma
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.conftest import SAMPLE, Kernel

BOOT = "arch/arm64/boot/"
CONFIG = b"""#
# Automatically generated file; DO NOT EDIT.
# Linux/arm64 6.1.0 Kernel Configuration
#
CONFIG_MODULES=y
CONFIG_MODVERSIONS=y
CONFIG_ARM64_4K_PAGES=y
CONFIG_EFI=y
"""
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
    """The sample as `make O=` would leave it, with the vermagic that it lacks in place of its first, unused banner."""
    old = b"Linux version 6.1.0-hello"
    new = b"6.1.0-hello SMP mod_unload modversions aarch64\0"
    for name, place in (("vmlinux", "vmlinux"), ("Image", BOOT + "Image")):
        data = (SAMPLE / name).read_bytes()
        at = data.index(old)
        put(folder / place, data[:at] + new + data[at + len(new) :])
    put(folder / "System.map", (SAMPLE / "System.map").read_bytes())
    put(folder / BOOT / ".Image.cmd", (SAMPLE / ".Image.cmd").read_bytes())
    put(folder / ".config", CONFIG)
    put(folder / "include/config/kernel.release", b"6.1.0-hello\n")
    put(folder / "Module.symvers", (SAMPLE / "modules/Module.symvers").read_bytes())
    tree = SAMPLE / "modules/lib/modules/6.1.0-hello"
    order = (tree / "modules.order").read_text().replace("kernel/", "")
    put(folder / "modules.order", order.encode())
    for path in order.splitlines():
        plain, packed = tree / "kernel" / path, tree / "kernel" / f"{path}.xz"
        put(folder / path, plain.read_bytes() if plain.exists() else lzma.decompress(packed.read_bytes()))
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
