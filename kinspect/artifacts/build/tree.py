"""The files of a kernel build, found in its folder (O=), in unpacked packages or in an installed system."""

import glob
import os
from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.build.kernel_config import KernelConfig, KernelRelease
from kinspect.artifacts.build.symvers import Symvers
from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.kinds import open_artifact
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.errors import Location, MalformedError, UnreadableError
from kinspect.source import Source

# Where each kind of file may be, below the folder. Only the first place that has one counts.
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
"""The kinds of which every place counts."""
_STUB = b"ffffffffffffffff B The real System.map"
"""What Debian ships instead of a System.map."""


class BuildFile(NamedTuple):
    """A file or folder of a build. `role` is a key of PLACES, BUILT for a build folder with modules, or empty."""

    role: str
    path: str


def build_files(folder: str) -> Iterator[BuildFile]:
    """The files of a build in a folder. UnreadableError when it cannot be listed."""
    try:
        os.listdir(folder)
    except OSError as reason:
        raise UnreadableError(reason.strerror or str(reason), Location(folder)) from reason
    for role, places in PLACES.items():
        for place in places:
            taken = [BuildFile(role, path) for path in sorted(_found(folder, place)) if _fits(role, path)]
            yield from taken
            if taken and role not in _ALL_PLACES:
                break
    tree = ModuleTree(folder)
    if tree.of_a_build:
        if tree.files or os.path.lexists(os.path.join(folder, "modules.order")):
            yield BuildFile(BUILT, folder)
    elif any(os.path.lexists(os.path.join(folder, name)) for name in ("modules.order", "modules.dep", "kernel")):
        yield BuildFile("modules", folder)


def _found(folder: str, place: str) -> Iterator[str]:
    """The paths that match a place; `**/` matches any folder below, and links to folders are not followed."""
    top, deep, suffix = place.partition("/**/*")
    for path in glob.iglob(glob.escape(folder) + "/" + top, include_hidden=True):
        if not deep:
            yield path
            continue
        for below, _, names in os.walk(path):
            yield from (os.path.join(below, name) for name in names if name.endswith(suffix))


def _fits(role: str, path: str) -> bool:
    if role == "modules":
        return os.path.isdir(path)
    # A device, a FIFO or a broken link is reported when it is opened.
    if os.path.isdir(path) or path.endswith((".cmd", ".o", ".elf")):
        return False
    return role != "System.map" or not os.path.isfile(path) or Source(path).head(len(_STUB)) != _STUB


def opened(piece: BuildFile) -> Artifact:
    """The artifact in a file of a build; without a role, by its first bytes. Raises as `open_artifact` does."""
    if not os.path.isdir(piece.path) and not Source(piece.path).size:
        raise MalformedError("empty file", Location(piece.path))
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
    return open_artifact(piece.path)
