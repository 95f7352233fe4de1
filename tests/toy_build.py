"""Builds arranged for tests: the sample as the folder of a build, real kernels as installed, copies to be changed."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from kinspect.artifacts.elf.vmlinux import Vmlinux
from samples.hello.examples import CONFIG as CONFIG
from samples.hello.examples import make_output_folder
from tests.conftest import SAMPLE, Kernel
from tests.toy_module import put as put_bytes
from tests.toy_zboot import padded, squeezed, zboot

BOOT = "arch/arm64/boot/"
_NOT_READ = ("*.o", "*.a", "*.h", "*.c", "*.S", "*.mod", "*.mod.cmd", ".*.o.cmd", ".*.ko.cmd", ".tmp_*", "scripts")


def linked(source: Path, target: Path) -> Path:
    """A copy of a folder, its files linked, without what no build is judged by."""
    ignore = shutil.ignore_patterns(*_NOT_READ)
    shutil.copytree(source, target, copy_function=link, symlinks=True, ignore=ignore)
    return target


def link(source: str, target: str) -> None:
    """The same file in another place, or a copy of it on another disk."""
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
    link(str(other), str(path))


def sample_build(folder: Path) -> Path:
    """The sample as `make O=` would leave it."""
    make_output_folder(folder)
    return folder


def full_sample_build(folder: Path) -> Path:
    """The same with what a larger build leaves too: a .config inside, packed images, a device tree, modules.builtin."""
    sample_build(folder)
    config = CONFIG + b"CONFIG_IKCONFIG=y\nCONFIG_SYSFS=y\n"
    put(folder / ".config", config)
    inside = b"IKCFG_ST" + gzip.compress(config, mtime=0) + b"IKCFG_ED"
    # The last section pads the Image to the file alignment of PE.
    padding = Vmlinux(folder / "vmlinux").section(".pecoff_edata_padding")
    assert padding
    for name, start in (("vmlinux", padding.offset), (BOOT + "Image", -padding.size)):
        edit(folder / name, lambda data, start=start: put_bytes(data, start % len(data), inside))  # type: ignore[misc]
    image = (folder / BOOT / "Image").read_bytes()
    put(folder / BOOT / "Image.gz", gzip.compress(image, 1))
    put(folder / BOOT / "Image.xz", squeezed(image, "xz"))
    put(folder / BOOT / "vmlinuz.efi", zboot(gzip.compress(padded(image), 1), "gzip"))
    put(folder / BOOT / "dts/hello/hello.dtb", (SAMPLE / "dtb/hello.dtb").read_bytes())
    put(folder / "modules.builtin", b"kernel/drivers/base/hello_builtin.ko\nkernel/fs/hello_fs.ko\n")
    names = ("drivers/base/hello_builtin", "fs/hello_fs")
    put(folder / "modules.builtin.modinfo", b"".join(f"{Path(name).name}.file={name}\0".encode() for name in names))
    return folder


def other_sample(folder: Path) -> Path:
    """Files of another build of the sample: other addresses, options and exports, and the Image without a vermagic."""
    put(folder / "System.map", (SAMPLE / "System.map").read_bytes().replace(b"ffff8000080", b"ffff8000090"))
    put(folder / "config", CONFIG + b"CONFIG_DEBUG_INFO_BTF=y\n")
    put(folder / "Image", (SAMPLE / "Image").read_bytes())
    lines = (SAMPLE / "modules/Module.symvers").read_bytes().splitlines(keepends=True)
    lines = [line.replace(b"\t", b"\tother_", 1) for line in lines]
    lines = sorted(lines, key=lambda line: (b"\tvmlinux\t" not in line, line.split(b"\t")[2]))
    extra = (f"0x5eadbee{index:x}\tmore_{index}\tlib/hello_text\tEXPORT_SYMBOL\t\n".encode() for index in range(10))
    put(folder / "Module.symvers", b"".join([*lines, *extra]))
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
        link(str(kernel.folder / name), str(folder / place))
    linked(kernel.folder / "lib/modules" / release, folder / "lib/modules" / release)
    subprocess.run([depmod, "-b", str(folder), "-C", "/nonexistent", release], check=True)
    return folder


def words(findings: Iterable[object]) -> str:
    """Findings for the message of a test that fails."""
    return "\n".join(map(str, findings))
