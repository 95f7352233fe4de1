"""What a kernel's build leaves, found in a folder: of the build itself (O=), unpacked packages, an installed system."""

import glob
import os
from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact, artifact_in
from kinspect.artifacts.kernel_config import KernelConfig, KernelRelease
from kinspect.artifacts.module_tree import ModuleTree
from kinspect.artifacts.symvers import Symvers
from kinspect.artifacts.system_map import SystemMap
from kinspect.errors import Location, UnreadableError
from kinspect.source import Source

# Where each kind of file lies, below the folder. The first place of a kind that has one is taken for all of them.
PLACES: dict[str, tuple[str, ...]] = {
    "release": ("include/config/kernel.release",),
    "config": (".config", "boot/config-*", "config", "config-*"),
    "vmlinux": (
        "vmlinux",
        "vmlinux.unstripped",
        "usr/lib/debug/boot/vmlinux-*",
        "usr/lib/debug/lib/modules/*/vmlinux",
        "boot/vmlinux-*",
        "vmlinux-*",
    ),
    "System.map": ("System.map", "usr/lib/debug/boot/System.map-*", "boot/System.map-*", "System.map-*"),
    "Image": ("arch/arm64/boot/Image", "Image", "boot/Image*", "boot/vmlinuz-*", "vmlinuz-*"),
    "packed Image": ("arch/arm64/boot/Image.*", "arch/arm64/boot/vmlinuz.efi", "Image.*", "vmlinuz.efi"),
    "Module.symvers": ("Module.symvers", "usr/src/linux-headers-*/Module.symvers", "boot/symvers-*"),
    "modules": ("lib/modules/*", "usr/lib/modules/*", "install/lib/modules/*"),
    "device tree": (
        "arch/arm64/boot/dts/**/*.dtb",
        "arch/arm64/boot/dts/**/*.dtbo",
        "usr/lib/linux-image-*/**/*.dtb",
        "boot/dtbs/**/*.dtb",
        "dtbs/**/*.dtb",
    ),
}
BUILT = "built modules"
_ALL_PLACES = ("vmlinux", "packed Image", "device tree")
"""Kinds of which every place counts."""
_STUB = b"ffffffffffffffff B The real System.map"
"""What Debian puts where it leaves a System.map out."""


class Piece(NamedTuple):
    """A file or folder, and what it is of a build: a name of PLACES, or BUILT for a build's folder with modules."""

    role: str
    path: str


def pieces(folder: str) -> Iterator[Piece]:
    """What lies in a folder. UnreadableError when it cannot be listed."""
    try:
        os.listdir(folder)
    except OSError as reason:
        raise UnreadableError(reason.strerror or str(reason), Location(folder)) from reason
    for role, places in PLACES.items():
        for place in places:
            found = sorted(path for path in glob.iglob(place, root_dir=folder, recursive=True, include_hidden=True))
            taken = [Piece(role, os.path.join(folder, path)) for path in found if _fits(role, folder, path)]
            yield from taken
            if taken and role not in _ALL_PLACES:
                break
    if os.path.isfile(os.path.join(folder, "modules.order")) or os.path.isfile(os.path.join(folder, "modules.dep")):
        installed = os.path.isfile(os.path.join(folder, "modules.dep")) or os.path.isdir(os.path.join(folder, "kernel"))
        build = os.path.isdir(os.path.join(folder, "include")) or os.path.isfile(os.path.join(folder, ".config"))
        yield Piece("modules" if installed and not build else BUILT, folder)


def _fits(role: str, folder: str, place: str) -> bool:
    path = os.path.join(folder, place)
    if role == "modules":
        return os.path.isdir(path)
    if not os.path.isfile(path) or place.endswith((".cmd", ".o", ".elf")):
        return False
    if role == "System.map":
        return Source(path).head(len(_STUB)) != _STUB
    return True


def opened(piece: Piece) -> Artifact:
    """The artifact of a piece; of one without a role what its first bytes say. Raises as `artifact_in` does."""
    match piece.role:
        case "release":
            return KernelRelease(piece.path)
        case "config":
            return KernelConfig(piece.path)
        case "System.map":
            return SystemMap(piece.path)
        case "modules" | "built modules":
            return ModuleTree(piece.path)
        case "Module.symvers":
            return Symvers(piece.path)
    return artifact_in(piece.path)
