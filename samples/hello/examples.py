#!/usr/bin/env python3
"""Makes the files that the examples in docs/ use and that the sample does not ship: examples.py [FOLDER]

out/            the sample as `make O=out` would leave it
Image.bz2       the Image, compressed
Image.patched   the Image with one instruction overwritten, as a careless edit after the link would leave it
initrd.img      an initramfs with the modules
packages/       the same kernel as Debian packages: image, headers and debug

They are put beside this script, or in FOLDER. Needs Python 3.11 or later and nothing else.
"""

import bz2
import gzip
import io
import lzma
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MADE = ("out", "Image.bz2", "Image.patched", "initrd.img", "packages")
RELEASE = "6.1.0-hello"
CONFIG = b"""#
# Automatically generated file; DO NOT EDIT.
# Linux/arm64 6.1.0 Kernel Configuration
#
CONFIG_MODULES=y
CONFIG_MODVERSIONS=y
CONFIG_ARM64_4K_PAGES=y
CONFIG_EFI=y
"""
NOP = b"\x1f\x20\x03\xd5"
PATCHED_AT = 0x10A00  # the return of probe_read()


def make_output_folder(out: Path) -> None:
    """Make the O= folder.

    The sample kernel loads no modules and so has no vermagic; here one takes the place of its first banner, which
    nothing uses.
    """
    boot = out / "arch/arm64/boot"
    boot.mkdir(parents=True, exist_ok=True)
    for name, target in (("vmlinux", out / "vmlinux"), ("Image", boot / "Image")):
        data = (HERE / name).read_bytes()
        old, new = f"Linux version {RELEASE}".encode(), f"{RELEASE} SMP mod_unload modversions aarch64\0".encode()
        start = data.index(old)
        _write(target, data[:start] + new + data[start + len(new) :])
        target.chmod(0o755)  # without it, file(1) calls vmlinux a shared object
    _write(out / ".config", CONFIG)
    _write(out / "include/config/kernel.release", f"{RELEASE}\n".encode())
    _write(out / "System.map", (HERE / "System.map").read_bytes())
    _write(out / "Module.symvers", (HERE / "modules/Module.symvers").read_bytes())
    _write(boot / ".Image.cmd", (HERE / ".Image.cmd").read_bytes())
    installed = HERE / "modules/lib/modules" / RELEASE
    order = (installed / "modules.order").read_text().replace("kernel/", "")
    _write(out / "modules.order", order.encode())
    for path in order.splitlines():
        plain, compressed = installed / "kernel" / path, installed / "kernel" / f"{path}.xz"
        _write(out / path, plain.read_bytes() if plain.exists() else lzma.decompress(compressed.read_bytes()))


def make_examples(folder: Path) -> None:
    """Make everything in MADE."""
    make_output_folder(folder / "out")
    image = (HERE / "Image").read_bytes()
    _write(folder / "Image.bz2", bz2.compress(image))
    _write(folder / "Image.patched", image[:PATCHED_AT] + NOP + image[PATCHED_AT + len(NOP) :])
    _write(folder / "initrd.img", initramfs())
    for name, data in packages(folder / "out").items():
        _write(folder / "packages" / name, data)


def initramfs() -> bytes:
    """An initramfs with the modules, as `cpio -o -H newc | gzip` makes it."""
    modules = HERE / "modules"
    files = {"init": b"#!/bin/sh\n"}
    paths = (path for path in sorted((modules / "lib").rglob("*")) if path.is_file())
    files |= {f"usr/{path.relative_to(modules)}": path.read_bytes() for path in paths}
    names = {"usr/lib/modules": b""} | files
    found = b""
    for name, data in {"usr": b"", "usr/lib": b"", **names, "TRAILER!!!": b""}.items():
        mode = 0 if name == "TRAILER!!!" else 0o100755 if name in files else 0o40755
        numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
        found += head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return gzip.compress(found + bytes(-len(found) % 512), mtime=0)


def packages(out: Path) -> dict[str, bytes]:
    """The Debian packages of the kernel in an O= folder: `linux-image`, `linux-headers` and the debug package."""
    modules = HERE / "modules/lib/modules"
    installed = (path for path in sorted(modules.rglob("*")) if path.is_file())
    image = {
        f"boot/vmlinuz-{RELEASE}": out / "arch/arm64/boot/Image",
        f"boot/config-{RELEASE}": out / ".config",
        **{f"usr/lib/modules/{path.relative_to(modules)}": path for path in installed},
    }
    headers = {f"usr/src/linux-headers-{RELEASE}/Module.symvers": out / "Module.symvers"}
    debug = {
        f"usr/lib/debug/boot/vmlinux-{RELEASE}": out / "vmlinux",
        f"usr/lib/debug/boot/System.map-{RELEASE}": out / "System.map",
    }
    names = {f"linux-image-{RELEASE}": image, f"linux-headers-{RELEASE}": headers, f"linux-image-{RELEASE}-dbg": debug}
    return {f"{name}_6.1.0-1_arm64.deb": deb(name, files) for name, files in names.items()}


def deb(name: str, files: dict[str, Path], architecture: str = "arm64", version: str = "6.1.0-1") -> bytes:
    """A Debian package, as `dpkg-deb --build` makes it."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nDescription: a sample\n"
    data = {f"./{path}": file.read_bytes() for path, file in files.items()}
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": lzma.compress(_tar({"./control": control.encode()})),
        "data.tar.xz": lzma.compress(_tar(data)),
    }
    found = b"!<arch>\n"
    for member, content in members.items():
        found += f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        found += b"\n" * (len(content) % 2)
    return found


def _tar(files: dict[str, bytes]) -> bytes:
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return found.getvalue()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # in a test it may be a hard link
    path.write_bytes(data)


if __name__ == "__main__":
    make_examples(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
