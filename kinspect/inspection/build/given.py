"""The files that `kinspect check` was given, in an order of their own, and to which kernel each belongs."""

import glob
import os
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.build.tree import (
    PLACES,
    BuildFile,
    build_files,
    is_output_folder,
    loose_files,
    release_in_path,
)
from kinspect.artifacts.initramfs.beginning import is_initramfs
from kinspect.artifacts.kinds import kind_of
from kinspect.artifacts.raw.limits import HEAD
from kinspect.errors import KinspectError, Location, MalformedError
from kinspect.source import Source

_ROLES = {
    "boot.image:Image": "Image",
    "elf.vmlinux:Vmlinux": "vmlinux",
    "build.symvers:Symvers": "Module.symvers",
    "build.system_map:SystemMap": "System.map",
    "build.kernel_config:KernelConfig": "config",
    "dtb.blob:Dtb": "device tree",
    "boot.zboot:Zboot": "packed Image",
    "boot.compressed:Compressed": "packed Image",
}
"""The roles of files by the class that reads them."""
_ORDER = [*PLACES, "built modules", "file"]
_NOT_LOOSE = ("", "module.ko:Module")
_OF_VENDORS = ("*/*.dtb", "*/*.dtbo", "*/*/*.dtb", "*/*/*.dtbo")
_LAST = "packed Image"
"""Read after all others, with which it is compared."""


class GivenFile(NamedTuple):
    """A file or folder to check.

    `number` is its place in the order of the paths, `role` as in BuildFile, `loose` means that it only lies in a folder
    that was given. `group` is the release of its kernel when there are several; None when its contents decide.
    `unknown` says what it is when it cannot be checked.
    """

    number: int
    role: str
    path: str
    loose: bool
    group: str | None
    unknown: str


def given_files(paths: list[str]) -> tuple[list[GivenFile], list[KinspectError]]:
    """The files under some paths, each once, in the order in which they are read; and why a path cannot be listed."""
    found: dict[str, tuple[BuildFile, str, bool]] = {}
    errors: list[KinspectError] = []
    for path in paths:
        try:
            for piece, loose in _under(path):
                known = found.get(os.path.realpath(piece.path) + "/" * os.path.isdir(piece.path))
                if known is None or (known[0].role == "" and piece.role):
                    found[os.path.realpath(piece.path) + "/" * os.path.isdir(piece.path)] = piece, path, loose
        except KinspectError as error:
            errors.append(error)
    roles = {real: piece.role or _role_of(piece.path) for real, (piece, _, _) in found.items()}
    groups = _groups(found, roles)
    files = [
        GivenFile(number, piece.role, piece.path, loose, groups[real], _unknown(piece.path) if loose else "")
        for number, (real, (piece, _, loose)) in enumerate(found.items())
    ]
    ranks = {real: (_ORDER.index(role) + (role == _LAST) * len(_ORDER), real) for real, role in roles.items()}
    order = sorted(zip(found, files, strict=True), key=lambda entry: ranks[entry[0]])
    return [file for _, file in order], errors


def _under(path: str) -> list[tuple[BuildFile, bool]]:
    if not os.path.isdir(path):
        return [(BuildFile("initramfs" if is_initramfs(Source(path)) else "", path), False)]
    pieces = list(build_files(path)) or list(_of_vendors(path))
    if not pieces and not any(_unknown(name) == "" for name in loose_files(path, pieces)):
        expected = "the folder of a build, modules, device trees, or an unpacked package"
        raise MalformedError("no files of a kernel build are here", Location(path), expected=expected)
    return [(piece, False) for piece in pieces] + [(BuildFile("", name), True) for name in loose_files(path, pieces)]


def _of_vendors(folder: str) -> Iterator[BuildFile]:
    """The device trees in the folders of a folder, of which `make dtbs_install` makes one for each vendor."""
    start = glob.escape(folder)
    for path in sorted(path for place in _OF_VENDORS for path in glob.iglob(f"{start}/{place}")):
        if not os.path.isdir(path):
            yield BuildFile("device tree", path)


def _role_of(path: str) -> str:
    """The role of a file by its first bytes."""
    try:
        kind = kind_of(Source(path).head(HEAD))
    except KinspectError:
        return "file"  # which is reported when it is read
    return _ROLES.get(kind.reader, "file") if kind else "file"


def _unknown(path: str) -> str:
    """What a file is that is not checked: only a name may make it an object or a program of the kernel."""
    try:
        kind = kind_of(Source(path).head(HEAD))
    except KinspectError as error:
        return error.problem
    if kind is None:
        return "unknown kind"
    program = kind.reader == "elf.vmlinux:Vmlinux" and "vmlinux" not in os.path.basename(path)
    return kind.name if program or kind.reader in _NOT_LOOSE else ""


def _groups(found: dict[str, tuple[BuildFile, str, bool]], roles: dict[str, str]) -> dict[str, str | None]:
    """The release of each file's kernel; empty for all when nothing is there twice."""
    releases = {}
    by_role: dict[str, set[str]] = defaultdict(set)
    for real, (piece, path, _) in found.items():
        inside = os.path.isdir(path) and is_output_folder(path) and not piece.role.startswith("modules")
        releases[real] = "" if inside else release_in_path(piece.path)
        by_role[roles[real]].add(releases[real])
    if all(len(names - {""}) < 2 for names in by_role.values()):
        return dict.fromkeys(found, "")
    in_folder: dict[str, set[str]] = defaultdict(set)
    for real, (_, path, _) in found.items():
        in_folder[path].add(releases[real])
    groups: dict[str, str | None] = {}
    for real, (_, path, _) in found.items():
        others = in_folder[path] - {""}
        if releases[real]:
            groups[real] = releases[real]
        elif os.path.isdir(path) and is_output_folder(path):
            groups[real] = _release_in(path)
        elif len(others) == 1:
            groups[real] = next(iter(others))
        else:
            groups[real] = None
    return groups


def _release_in(folder: str) -> str:
    """The release of the build in an O= folder."""
    try:
        head = Source(os.path.join(folder, "include/config/kernel.release")).head(256)
    except KinspectError:
        return folder
    return head.decode("utf-8", "surrogateescape").strip() or folder
