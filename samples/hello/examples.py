#!/usr/bin/env python3
"""Makes the files that the examples in docs/ use and that the sample does not ship: examples.py [FOLDER]

out/            the sample as `make O=out` would leave it
Image.bz2       the Image, compressed
Image.patched   the Image with one instruction overwritten, as a careless edit after the link would leave it
initrd.img      an initramfs with the modules

They are put beside this script, or in FOLDER. Needs Python 3.11 or later and nothing else.
"""

import bz2
import gzip
import lzma
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MADE = ("out", "Image.bz2", "Image.patched", "initrd.img")
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


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # in a test it may be a hard link
    path.write_bytes(data)


if __name__ == "__main__":
    make_examples(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
