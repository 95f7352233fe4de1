"""Small folders of modules for tests, their modules made of our own records; and what the real depmod makes of them."""

import os
import shutil
import struct
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from kinspect.artifacts.module.tree import ModuleTree
from kinspect.schemas import elf
from kinspect.schemas.module import ModversionInfo
from kinspect.schemas.record import build
from kinspect.views.depmod.files import Depmod
from tests.support import Named, Part, elf_of

RELEASE = "6.1.0-toy"
LOCAL, WEAK = elf.STB_LOCAL << 4, elf.STB_WEAK << 4


def ko(
    exports: Iterable[str] = (),
    needs: Iterable[str] = (),
    weak: Iterable[str] = (),
    versions: Iterable[str] = (),
    info: Iterable[str] = (),
    crcs: bool = True,
    strings: Iterable[str] = (),
) -> bytes:
    """A module that exports and needs symbols; without CRCs as without MODVERSIONS; `strings` are namespaces."""
    exports = tuple(exports)
    parts = [
        Part(".text", b"\0" * 4),
        Part("__ksymtab", bytes(12 * len(exports))),
        Part("__kcrctab", b"".join(struct.pack("<I", number) for number in range(len(exports)))),
        Part("__ksymtab_strings", b"".join(name.encode() + b"\0" for name in (*exports, *strings))),
        Part(".modinfo", b"".join(pair.encode("utf-8", "surrogateescape") + b"\0" for pair in info)),
        Part("__versions", b"".join(build(ModversionInfo(1, name.encode().ljust(56, b"\0"))) for name in versions)),
        Part(".gnu.linkonce.this_module", bytes(0x380)),
    ]
    symbols = [Named(f"__ksymtab_{name}", 12 * number, 2, LOCAL) for number, name in enumerate(exports)]
    if crcs:
        symbols += [Named(f"__crc_{name}", 4 * number, 3, LOCAL) for number, name in enumerate(exports)]
    symbols += [Named(name, 0, 0) for name in needs]
    symbols += [Named(name, 0, 0, WEAK) for name in weak]
    return elf_of(*parts, symbols=symbols or [Named("nothing", 0)], e_type=elf.ET_REL)


def tree_of(base: Path, modules: Mapping[str, bytes], order: str | bytes | None = None) -> ModuleTree:
    """lib/modules/RELEASE below a folder, with modules by their paths and perhaps a modules.order."""
    root = base / "lib" / "modules" / RELEASE
    (root / "kernel").mkdir(parents=True)
    for path, data in modules.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    if order is not None:
        (root / "modules.order").write_bytes(order.encode() if isinstance(order, str) else order)
    return ModuleTree(base)


def kmod_version(depmod: str) -> int:
    """The version of a depmod."""
    words = subprocess.run([depmod, "--version"], capture_output=True, text=True, check=True).stdout.split()
    return int(words[2].partition(".")[0])


def real_depmod(depmod: str, base: Path, *options: str, release: str = RELEASE) -> dict[str, bytes]:
    """What the real depmod writes for lib/modules/RELEASE below a folder, by name. What lies there is replaced."""
    root = base / "lib" / "modules" / release
    kept = {"modules.order", "modules.builtin", "modules.builtin.modinfo"}
    for old in root.glob("modules.*"):
        if old.name not in kept:
            old.unlink()
    # Without a folder of its own it would read the configuration of this machine.
    options = options or ("-C", "/nonexistent")
    subprocess.run([depmod, "-b", str(base), *options, release], capture_output=True, check=True)
    return {path.name: path.read_bytes() for path in root.glob("modules.*") if path.name not in kept}


def linked_copy(root: Path, base: Path) -> Path:
    """A real folder of modules below another one, its files linked, so that depmod writes beside the copy."""
    target = base / "lib" / "modules" / root.name
    target.parent.mkdir(parents=True)
    try:
        shutil.copytree(root, target, copy_function=os.link, symlinks=True)
    except OSError:
        shutil.rmtree(target)
        shutil.copytree(root, target, symlinks=True)
    return base


def computed(depmod: Depmod) -> dict[str, bytes]:
    """All that ours would write."""
    return {name: depmod.contents(name) for name in depmod.names}
