"""The files of a kernel build, found in its folder (O=), in unpacked packages or in an installed system."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.build.kernel_config import KernelConfig, KernelRelease
from kinspect.artifacts.build.symvers import Symvers
from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.initramfs.beginning import is_initramfs
from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.artifacts.kinds import open_artifact
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.errors import Location, MalformedError, UnreadableError
from kinspect.source import Source

# Where each kind of file may be, below the folder. For each release, only the first place that has one counts.
PLACES: dict[str, tuple[str, ...]] = {
    "release": ("include/config/kernel.release",),
    "config": (".config", "boot/config-*", "config", "config-*", "lib/modules/*/config", "usr/lib/modules/*/config"),
    "vmlinux": (
        "vmlinux",
        "vmlinux.unstripped",
        "usr/lib/debug/boot/vmlinux-*",
        "usr/lib/debug/lib/modules/*/vmlinux",
        "boot/vmlinux-*",
        "vmlinux-*",
    ),
    "System.map": (
        "System.map",
        "usr/lib/debug/boot/System.map-*",
        "boot/System.map-*",
        "System.map-*",
        "lib/modules/*/System.map",
        "usr/lib/modules/*/System.map",
    ),
    "Image": (
        "arch/arm64/boot/Image",
        "Image",
        "boot/Image*",
        "boot/vmlinuz-*",
        "vmlinuz-*",
        "Image-*",
        "lib/modules/*/vmlinuz*",
        "usr/lib/modules/*/vmlinuz*",
        "vmlinuz",
        "boot/vmlinuz",
        "kernel8*.img",
        "boot/kernel8*.img",
        "boot/firmware/kernel8*.img",
        "boot/firmware/vmlinuz*",
    ),
    "packed Image": ("arch/arm64/boot/Image.*", "arch/arm64/boot/vmlinuz.efi", "Image.*", "vmlinuz.efi"),
    "Module.symvers": (
        "Module.symvers",
        "usr/src/linux-headers-*/Module.symvers",
        "boot/symvers-*",
        "symvers-*",
        "vmlinux.symvers",
        "lib/modules/*/symvers*",
        "usr/lib/modules/*/symvers*",
    ),
    "modules": ("lib/modules/*", "usr/lib/modules/*", "install/lib/modules/*"),
    "device tree": (
        "arch/arm64/boot/dts/**/*.dtb",
        "arch/arm64/boot/dts/**/*.dtbo",
        "usr/lib/linux-image-*/**/*.dtb",
        "usr/lib/linux-image-*/**/*.dtbo",
        "usr/lib/modules/*/dtb/**/*.dtb",
        "usr/lib/modules/*/dtb/**/*.dtbo",
        "lib/modules/*/dtb/**/*.dtb",
        "lib/modules/*/dtb/**/*.dtbo",
        "boot/dtbs/**/*.dtb",
        "boot/dtbs/**/*.dtbo",
        "dtbs/**/*.dtb",
        "dtbs/**/*.dtbo",
        "overlays/**/*.dtbo",
        "boot/firmware/**/*.dtb",
        "boot/firmware/**/*.dtbo",
    ),
    "initramfs": (
        "boot/initrd.img-*",
        "boot/initramfs-*",
        "boot/initrd-*",
        "initrd.img-*",
        "initramfs-*",
        "initrd-*",
        "lib/modules/*/initrd",
        "usr/lib/modules/*/initrd",
        "boot/initrd.img",
        "boot/initramfs.img",
        "boot/initrd",
        "initrd.img",
        "initramfs.img",
        "initrd",
        "boot/firmware/initrd.img",
        "boot/firmware/initramfs*",
    ),
}
BUILT = "built modules"
_ALL_PLACES = ("vmlinux", "packed Image", "modules", "device tree", "initramfs")
"""The kinds of which every place counts."""
_INSTALLED = "lib/modules"
_NOT_MODULES = ("build", "source", "dtb", "dtbs", "vdso")
"""Folders in lib/modules/RELEASE without modules, and links to where the kernel was built."""
_OBJECTS = ("built-in.a", "vmlinux.a", "vmlinux.o", ".vmlinux.cmd", "modules.order")
"""What a build leaves in its folder, and a package of kernel headers lacks, which may have a vmlinux and System.map."""
_MODULE_SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")
_RELEASE = re.compile(
    r"(?:^|/)(?:lib/modules/|linux-headers-|linux-image-|"
    r"(?:Image|System\.map|config|symvers|vmlinu[xz]|initrd\.img|initrd|initramfs)-(?=\d))"
    r"([^/]+?)(?:\.img)?(?:\.(?:gz|xz|zst))?(?=/|$)"
)
_STUB = b"ffffffffffffffff B The real System.map"
"""What Debian ships instead of a System.map."""


class BuildFile(NamedTuple):
    """A file or folder of a build. `role` is a key of PLACES, BUILT for a build folder with modules, or empty."""

    role: str
    path: str


def build_files(folder: str) -> Iterator[BuildFile]:
    """The files of a build in a folder, each once, even with links to it. UnreadableError when it cannot be listed."""
    try:
        names = os.listdir(folder)
    except OSError as reason:
        raise UnreadableError(reason.strerror or str(reason), Location(folder)) from reason
    known: set[str] = set()
    for role, places in PLACES.items():
        releases: set[str] = set()
        inside = _more_places(folder) if role == "modules" else []
        for place in (*places, *inside):
            taken = [path for path in sorted(_found(folder, place)) if _fits(role, path)]
            if role not in _ALL_PLACES:
                # A file whose path has no release is the one of this folder.
                taken = [] if "" in releases else [path for path in taken if release_in_path(path) not in releases]
                releases.update(map(release_in_path, taken))
            for path in taken:
                real = os.path.realpath(path)
                if real not in known:
                    known.add(real)
                    yield BuildFile(role, path)
    if os.path.isdir(os.path.join(folder, "include/config")):
        if os.path.lexists(os.path.join(folder, "modules.order")) or ModuleTree(folder).files:
            yield BuildFile(BUILT, folder)
    elif any(name in names for name in ("modules.order", "modules.dep", "kernel")) or _modules_in(names):
        yield BuildFile("modules", folder)


def _modules_in(names: Iterable[str]) -> bool:
    return any(name.endswith(_MODULE_SUFFIXES) for name in names)


def loose_files(folder: str, known: Iterable[BuildFile]) -> list[str]:
    """The other files of a folder, such as one to which a build was copied, and of its `boot`; none of an O= folder.

    Without what `known` has, what lies beside modules, and hidden files.
    """
    if os.path.isdir(os.path.join(folder, "include/config")):
        return []
    taken = {os.path.realpath(piece.path) for piece in known}
    modules = os.path.realpath(folder) in taken
    found = []
    for place in ("*", "boot/*"):
        for path in sorted(_found(folder, place)):
            name = os.path.basename(path)
            beside = modules and (name.startswith("modules.") or name.endswith(_MODULE_SUFFIXES))
            stub = name.startswith("System.map") and not _fits("System.map", path)
            if not (beside or stub or name.startswith(".") or os.path.isdir(path) or os.path.realpath(path) in taken):
                found.append(path)
    return found


def is_output_folder(folder: str) -> bool:
    """Whether a folder is that of a build (O=), and not one of kernel headers, which has as much as modules need."""
    if not os.path.isdir(os.path.join(folder, "include/config")):
        return False
    if not os.path.lexists(os.path.join(folder, "Module.symvers")):
        return True
    return any(os.path.lexists(os.path.join(folder, name)) for name in _OBJECTS) or any(
        next(glob.iglob(glob.escape(folder) + place, include_hidden=True), None)
        for place in ("/init/*.o", "/arch/arm64/boot/*Image*")
    )


def unbuilt_targets(folder: str) -> list[str]:
    """The images and device trees that an O= folder has a command of (`.NAME.cmd`), but not the file."""
    found = []
    for below, _, names in os.walk(os.path.join(folder, "arch/arm64/boot")):
        there = set(names)
        for name in names:
            target = name[1:].removesuffix(".cmd")
            image = target == "Image" or target.startswith("Image.") or target == "vmlinuz.efi"
            made = name.startswith(".") and name.endswith(".cmd") and (image or target.endswith((".dtb", ".dtbo")))
            if made and target not in there:
                found.append(os.path.relpath(os.path.join(below, target), folder))
    return sorted(found)


def release_in_path(path: str) -> str:
    """The release in a path such as boot/vmlinuz-RELEASE or lib/modules/RELEASE; empty without one."""
    found = _RELEASE.findall(os.path.abspath(path))
    return found[-1] if found else ""


def _more_places(folder: str) -> list[str]:
    """Places of modules in a folder `lib` or `lib/modules` itself, and in that of a build."""
    name = os.path.basename(os.path.abspath(folder))
    if name in ("lib", "modules"):
        return ["modules/*"] if name == "lib" else ["[0-9]*"]
    return _installed_inside(folder) if is_output_folder(folder) else []


def _installed_inside(folder: str) -> list[str]:
    """Places of modules that were installed to a folder inside that of the build (INSTALL_MOD_PATH)."""
    below = [name for name in _folders(folder) if name not in ("lib", "usr", "install")]
    deeper = [f"{name}/{inner}" for name in below for inner in _folders(os.path.join(folder, name)) if inner != "lib"]
    found = [name for name in (*below, *deeper) if os.path.isdir(os.path.join(folder, name, _INSTALLED))]
    return [f"{glob.escape(name)}/{_INSTALLED}/*" for name in found]


def _folders(folder: str) -> list[str]:
    """The folders in a folder, without links."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


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
        return os.path.isdir(path) and _may_hold_modules(path)
    # A device, a FIFO or a broken link is reported when it is opened.
    if os.path.isdir(path) or path.endswith((".cmd", ".o", ".elf")):
        return False
    if role == "initramfs":
        return is_initramfs(Source(path))
    return role != "System.map" or not os.path.isfile(path) or Source(path).head(len(_STUB)) != _STUB


def _may_hold_modules(folder: str) -> bool:
    """Whether lib/modules/RELEASE is one of modules: a package may have only a kernel there, or links to headers.

    An empty one counts: that it has no modules is reported when it is read.
    """
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError:
        return True  # which is reported when it is read
    of_modules = (
        entry.name.startswith("modules.")
        or entry.name.endswith(_MODULE_SUFFIXES)
        or (entry.name not in _NOT_MODULES and entry.is_dir())
        for entry in entries
    )
    return not entries or any(of_modules)


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
            tree = ModuleTree(piece.path)
            if piece.role == "modules" and not tree.files and not tree.facts.others:
                raise MalformedError("no modules are in this folder", Location(piece.path))
            return tree
        case "initramfs":
            return Initramfs(piece.path)
        case "Module.symvers" if not piece.path.endswith((".gz", ".xz", ".zst")):
            return Symvers(piece.path)
    return open_artifact(piece.path)
