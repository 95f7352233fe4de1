"""The module files below a folder, found as depmod finds them.

They are in the order of readdir(), because depmod's choice between two modules of the same name depends
on it. Symbolic links are followed, but not in a cycle and not without limit.
Source: kmod, tools/depmod.c, depmod_modules_search_dir().
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

from kinspect.artifacts.depmod.modules_dep import EXTENSIONS
from kinspect.errors import Location, UnreadableError, UnsupportedError

NOT_SCANNED = ("build", "source")
"""Entries that depmod skips at every level: links to where the kernel was built."""
_MOST_ENTRIES, _DEEPEST = 1_000_000, 100
_MOST_VISITS = 4
"""Paths to a folder that are followed. depmod follows all, which takes for ever when links fan out."""


class ModuleFile(NamedTuple):
    """A module's file: its path below the tree's folder, size in bytes, mtime in nanoseconds."""

    path: str
    size: int
    modified: int

    @property
    def name(self) -> str:
        """The module's name as modprobe uses it."""
        return module_name(self.path)


class ScanFault(NamedTuple):
    """An entry of the folder that cannot be followed or is not a file."""

    path: str
    problem: str


def module_name(path: str) -> str:
    """The name of the module in a file: the file's name up to the first dot, with `_` for `-`."""
    return path.rsplit("/", 1)[-1].split(".", 1)[0].replace("-", "_")


def scan(root: str, excluded: Collection[str] = ()) -> Iterator[ModuleFile | ScanFault]:
    """The modules below a folder; entries with a name in `excluded` are skipped too.

    Raises UnreadableError when the folder cannot be listed, UnsupportedError over a million entries.
    """
    try:
        pending = [("", iter(_entries(root)), _identity(root))]
    except OSError as reason:
        raise UnreadableError(reason.strerror or str(reason), Location(root)) from reason
    above, seen = {pending[0][2]}, 0
    visits: Counter[tuple[int, int]] = Counter()
    while pending:
        folder, entries, identity = pending[-1]
        entry = next(entries, None)
        if entry is None:
            pending.pop()
            above.discard(identity)
            continue
        if entry.name in NOT_SCANNED or entry.name in excluded:
            continue
        seen += 1
        if seen > _MOST_ENTRIES:
            raise UnsupportedError("too many entries", Location(root), expected=f"at most {_MOST_ENTRIES:,}")
        path = folder + entry.name
        try:
            if not entry.is_dir():
                yield from _file(entry, path)
                continue
            inside = _identity(entry.path)
            if problem := _unfollowed(inside in above, visits[inside], len(pending)):
                yield ScanFault(path, problem)
            else:
                pending.append((path + "/", iter(_entries(entry.path)), inside))
                above.add(inside)
                visits[inside] += 1
        except OSError as reason:
            yield ScanFault(path, reason.strerror or str(reason))


def _unfollowed(cycle: bool, visits: int, depth: int) -> str:
    """Why a folder is not followed; empty when it is."""
    if cycle:
        return "a symbolic link to a folder above it"
    if visits >= _MOST_VISITS:
        return f"a folder that {_MOST_VISITS} paths lead to already"
    return f"more than {_DEEPEST} folders deep" if depth > _DEEPEST else ""


def _file(entry: "os.DirEntry[str]", path: str) -> Iterator[ModuleFile | ScanFault]:
    if not entry.name.endswith(EXTENSIONS) or entry.name in EXTENSIONS:
        return
    if entry.is_file():
        status = entry.stat()
        yield ModuleFile(path, status.st_size, status.st_mtime_ns)
    else:
        yield ScanFault(path, "a broken symbolic link" if entry.is_symlink() else "neither a file nor a folder")


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        return list(entries)


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
