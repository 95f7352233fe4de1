"""What an initramfs contains: the parts of the file, where the bytes go, modules by release, firmware, drivers."""

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kinspect.artifacts.initramfs.file import ArchiveFault, Initramfs, Part
from kinspect.artifacts.initramfs.member import Member
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.errors import Location, UnsupportedError
from kinspect.views.depmod.tree import depmod_of
from kinspect.views.initramfs.built_in import BuiltIn

_TREE = re.compile(r"((?:.*/)?lib/modules/[^/]+)/")
_FIRMWARE = re.compile(r"(?:.*/)?lib/firmware/(.+)")
_SUFFIXES = (".xz", ".zst")
_COMPRESSED = re.compile(r"\.(?:gz|xz|zst)$")
_CLASSES = (
    ("block", re.compile(r"kernel/drivers/(?:block|nvme|ata|scsi|mmc|md|mtd|ufs|nvdimm|usb/storage|message|target)/")),
    ("file systems", re.compile(r"kernel/fs/")),
    ("network", re.compile(r"kernel/(?:drivers/net|net)/")),
)
_DEFAULT = {"dev", "dev/console", "root"}
"""Source: usr/default_cpio_list."""
_MOST_MODULES, _MOST_FOLDERS, _MOST_NAMES = 20_000, 50, 1000


class FolderSize(NamedTuple):
    """A kind of contents, the number of files, and their bytes."""

    name: str
    files: int
    size: int


class ModulesInside(NamedTuple):
    """The modules of one release. `root` is the folder's path in the initramfs; `drivers` are names by class."""

    root: str
    release: str
    modules: int
    size: int
    drivers: tuple[tuple[str, tuple[str, ...]], ...]


class LeftOut(NamedTuple):
    """A module that others name in `depends`, and that is neither inside nor built in."""

    name: str
    users: tuple[str, ...]
    at: Location


class MissingFirmware(NamedTuple):
    """A firmware file that is not there, and the modules that ask for it."""

    name: str
    users: tuple[str, ...]


class InitramfsFacts(NamedTuple):
    """An initramfs. Sizes in bytes. `unsafe` are names that lead out of the folder to unpack to.

    `built_in` says that it is in a kernel, `default` that it has only what every kernel has.
    """

    path: str
    size: int
    parts: tuple[Part, ...]
    faults: tuple[ArchiveFault, ...]
    bad_sums: tuple[str, ...]
    unsafe: tuple[str, ...]
    members: int
    unpacked: int
    folders: tuple[FolderSize, ...]
    init: bool
    releases: tuple[ModulesInside, ...]
    left_out: tuple[LeftOut, ...] = ()
    firmware: int = 0
    missing_firmware: tuple[MissingFirmware, ...] = ()
    built_in: bool = False
    default: bool = False

    @property
    def modules(self) -> int:
        """The number of all modules."""
        return sum(release.modules for release in self.releases)


class Inventory:
    """What is kept of the members while they are read, one after the other: counts and names, but no data."""

    def __init__(self) -> None:
        self._files: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._modules: dict[str, dict[str, int]] = {}
        self._firmware: set[str] = set()
        self._unsafe: list[str] = []
        self._members, self._size, self._init = 0, 0, False
        self._first: list[str] = []

    def add(self, member: Member) -> str | None:
        """Count a member: the path below which it is to be unpacked, when the modules need its data."""
        path, size = member.path, member.numbers.filesize
        self._members += 1
        self._size += size
        if self._members <= len(_DEFAULT):
            self._first.append(path)
        self._init = self._init or path in ("init", "linuxrc")
        inside = "/" not in path or ".." not in path.split("/")
        if not inside:
            if len(self._unsafe) < _MOST_NAMES:
                self._unsafe.append(path)
            return None
        if found := _FIRMWARE.fullmatch(path):
            self._firmware.add(found[1])
        if not member.is_file:
            return None
        self._count(path, size)
        root = _root_of(path)
        if root is None:
            return None
        name = path[len(root) + 1 :]
        if is_module(path):
            modules = self._modules.setdefault(root, {})
            modules[name] = size
            if len(modules) > _MOST_MODULES or len(self._modules) > _MOST_FOLDERS:
                problem = "too many modules, or folders with modules"
                expected = f"at most {_MOST_MODULES:,} in {_MOST_FOLDERS:,} folders"
                raise UnsupportedError(problem, Location(path), expected=expected)
        elif not name.startswith("modules.") or "/" in name:
            return None
        return path

    def _count(self, path: str, size: int) -> None:
        kind = _kind_of(path)
        self._files[kind] += 1
        self._bytes[kind] += size

    @property
    def roots(self) -> tuple[str, ...]:
        """The folders with modules."""
        return tuple(sorted(self._modules))

    def facts(
        self,
        initramfs: Initramfs,
        trees: Sequence[ModuleTree] = (),
        firmware: Iterable[str] = (),
        built_in: Iterable[str] = (),
    ) -> InitramfsFacts:
        """The facts of the initramfs that was read, with what its modules lack.

        `firmware` are folders outside it, `built_in` the names of the firmware in the kernel.
        """
        folders = (FolderSize(name, self._files[name], size) for name, size in self._bytes.most_common())
        missing, asked = _missing_firmware(trees, self._firmware | set(built_in), tuple(firmware))
        return InitramfsFacts(
            initramfs.path,
            initramfs.size,
            tuple(initramfs.parts),
            tuple(initramfs.faults),
            tuple(initramfs.bad_sums),
            tuple(self._unsafe),
            self._members,
            self._size,
            tuple(folders),
            self._init,
            tuple(_inside(root, self._modules[root]) for root in self.roots),
            tuple(one for tree in trees for one in _left_out(tree)),
            asked,
            missing,
            isinstance(initramfs, BuiltIn),
            self._members == len(_DEFAULT) and set(self._first) == _DEFAULT,
        )


def is_module(path: str) -> bool:
    """Whether a path is that of a module, compressed or not."""
    return _COMPRESSED.sub("", path).endswith(".ko")


def _root_of(path: str) -> str | None:
    """The folder of the modules that a file belongs to: that of a release, or else the file's own."""
    found = _TREE.match(path)
    if found:
        return found[1]
    return os.path.dirname(path) if is_module(path) or path.rpartition("/")[2].startswith("modules.") else None


def _kind_of(path: str) -> str:
    if is_module(path):
        return "modules"
    if _TREE.match(path):
        return "files beside modules"
    parts = path.split("/")
    if "firmware" in parts[:-1]:
        return "microcode" if "microcode" in parts else "firmware"
    if parts[:1] == ["usr"] and len(parts) > 2:
        parts = parts[1:]
    return f"{parts[0]}/" if len(parts) > 1 else "/"


def _inside(root: str, modules: dict[str, int]) -> ModulesInside:
    drivers = []
    for title, pattern in _CLASSES:
        names = sorted(module_name(path) for path in modules if pattern.match(path))
        drivers.append((title, tuple(names)))
    name = root.rpartition("/")[2]
    release = name if _TREE.match(f"{root}/") else ""
    return ModulesInside(root, release, len(modules), sum(modules.values()), tuple(drivers))


def _left_out(tree: ModuleTree) -> list[LeftOut]:
    """What the modules of a release depend on and is not there, unless its modules.dep names it: a check says so."""
    depmod = depmod_of(tree)
    known = {module.name for module in depmod.modules} | set(depmod.builtin)
    if tree.dep:
        known |= {module_name(path) for row in tree.dep.rows for path in (row.path, *row.needs)}
    users: dict[str, list[ModuleSummary]] = {}
    for module in depmod.modules:
        for value in module.values("depends"):
            for name in value.split(","):
                if name and name.replace("-", "_") not in known:
                    users.setdefault(name.replace("-", "_"), []).append(module)
    return [
        LeftOut(name, tuple(module.name for module in modules), tree.location(modules[0].path))
        for name, modules in sorted(users.items())
    ]


def _missing_firmware(
    trees: Sequence[ModuleTree], there: set[str], folders: Sequence[str]
) -> tuple[tuple[MissingFirmware, ...], int]:
    """The firmware that modules ask for and that is nowhere, and the number of all files that they ask for.

    Source: drivers/base/firmware_loader/main.c, fw_path and fw_get_filesystem_firmware().
    """
    users: dict[str, list[str]] = {}
    for tree in trees:
        for module in depmod_of(tree).modules:
            for name in module.values("firmware"):
                users.setdefault(name, []).append(module.name)
    known = [f"{release}/" for release in {tree.release for tree in trees} if release]
    places = ("", "updates/", *(prefix + release for release in known for prefix in ("", "updates/")))
    bare = {_bare(name, places) for name in there}
    missing = []
    for name, names in sorted(users.items()):
        if any(letter in name for letter in "*?["):
            found = any(fnmatch.fnmatchcase(one, name) for one in bare)
        else:
            found = name in bare or any(_outside(folder, name) for folder in folders)
        if not found:
            missing.append(MissingFirmware(name, tuple(dict.fromkeys(names))))
    return tuple(missing), len(users)


def _bare(name: str, places: Sequence[str]) -> str:
    """The name of a firmware file as drivers ask for it."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return next((name[len(place) :] for place in sorted(places, key=len, reverse=True) if name.startswith(place)), name)


def _outside(folder: str, name: str) -> bool:
    if ".." in name.split("/"):
        return False
    path = os.path.join(folder, name.lstrip("/"))
    return any(os.path.isfile(path + suffix) for suffix in ("", *_SUFFIXES))
