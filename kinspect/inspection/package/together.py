"""Packages, unpacked into one folder as a package manager would install them together."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kinspect.artifacts.build.tree import build_files
from kinspect.artifacts.package.file import Package
from kinspect.artifacts.package.formats import TAR
from kinspect.checks.wording import counted
from kinspect.errors import KinspectError, UnwritableError
from kinspect.inspection.package.naming import UnpackedFile
from kinspect.inspection.package.private_folder import writing
from kinspect.inspection.package.wanted import usual_place, wanted_members
from kinspect.source import Source
from kinspect.views.build.inventory import PackageFacts
from kinspect.workers import OnProgress

_STEP = 1 << 20
_Contents = tuple[PackageFacts, str, list[str], str]
"""A package, the folder that it was unpacked to, the paths of its files and links there, and which have no checksum."""


class Conflict(NamedTuple):
    """A path that two packages have, with other contents."""

    path: str
    package: str
    other: str


class InstalledPackages(NamedTuple):
    """Packages in one folder. `root` is where their files begin, `files` what was unpacked below `folder`.

    `errors` says why others could not be read. `uncovered` says which files of a package no checksum covers: `2 files`.
    """

    folder: str
    root: str
    packages: tuple[PackageFacts, ...]
    files: tuple[UnpackedFile, ...]
    conflicts: tuple[Conflict, ...]
    errors: tuple[KinspectError, ...]
    uncovered: tuple[tuple[str, str], ...]

    @property
    def unused(self) -> list[PackageFacts]:
        """The packages of which nothing is part of a kernel build."""
        used = {file.package for file in self.files}
        return [package for package in self.packages if package.path not in used]


def installed(paths: Sequence[str], folder: str, on_progress: OnProgress | None = None) -> InstalledPackages:
    """Unpack what kinspect uses of some packages, below a folder. Raises KinspectError when none can be read."""
    found: list[_Contents] = []
    errors: list[KinspectError] = []
    for number, path in enumerate(paths):
        if on_progress:
            on_progress(number, len(paths))
        try:
            found.append(_unpacked(path, os.path.join(folder, str(number))))
        except UnwritableError:
            raise
        except KinspectError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    target = os.path.join(folder, "all")
    with writing():
        os.mkdir(target, 0o700)
        files, conflicts = _merged(found, target)
    packages = tuple(facts for facts, *_ in found)
    uncovered = tuple((facts.path, files) for facts, _, _, files in found if files)
    return InstalledPackages(target, _top(target), packages, tuple(files), tuple(conflicts), tuple(errors), uncovered)


def _merged(found: Sequence[_Contents], target: str) -> tuple[list[UnpackedFile], list[Conflict]]:
    """Move the files of packages into one folder, and then the links: the first of each path; and which differ."""
    files: dict[str, UnpackedFile] = {}
    conflicts: list[Conflict] = []
    for links in (False, True):
        for package, path, name, place in _placed(found, links):
            known = files.get(place)
            if known and not links and not _same(path, os.path.join(target, place)):
                conflicts.append(Conflict(name, known.package, package))
            elif not known and _moved(path, target, place):
                files[place] = UnpackedFile(place, package, name)
    # One may have been inside until another was made.
    for place in [place for place in files if not _is_inside(target, place)]:
        os.unlink(os.path.join(target, place))
        del files[place]
    return list(files.values()), conflicts


def _placed(found: Sequence[_Contents], links: bool) -> Iterator[tuple[str, str, str, str]]:
    """The files, or the links: package, path on disk, path in the package, and where it is when it is installed."""
    merged = any(name.startswith("usr/lib/modules/") for _, _, names, _ in found for name in names)
    for facts, folder, names, _ in found:
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) is not links or (links and _leads_elsewhere(name, path)):
                continue
            place = name if links else usual_place(name)
            # With a merged /usr, lib is a link to usr/lib.
            yield facts.path, path, name, f"usr/{place}" if merged and place.startswith("lib/") else place


def _unpacked(path: str, folder: str) -> _Contents:
    """Unpack a package to a new folder. Raises KinspectError."""
    with writing():
        os.mkdir(folder, 0o700)
    package = Package(Source(path))
    members = package.unpack(Path(folder), wanted_members(package.format == TAR))
    names = dict.fromkeys(member.path for member in members)
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    facts = PackageFacts(path, package.format, package.name, package.version, package.architecture, size)
    there = [name for name in names if os.path.lexists(os.path.join(folder, name))]
    uncovered = [counted(len(package.uncovered), "file")] if package.uncovered else []
    uncovered += [] if package.has_control_sum else ["the control file"]
    return facts, folder, there, " and ".join(uncovered)


def _leads_elsewhere(name: str, path: str) -> bool:
    """Whether a link leads to a file that has another place here, and is found there."""
    target = os.path.normpath(os.path.join(os.path.dirname(name), os.readlink(path)))
    return usual_place(target) != target


def _moved(path: str, root: str, place: str) -> bool:
    """Whether a file or link could be moved to its place: where a folder is, or a file above it, it cannot."""
    target = os.path.join(root, place)
    try:
        os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        os.rename(path, target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return False
    # A link may lead out of the folder where it is now.
    if not _is_inside(root, place):
        os.unlink(target)
        return False
    return True


def _is_inside(root: str, place: str) -> bool:
    """Whether what is at a place is no link that leads out of a folder."""
    path = os.path.join(root, place)
    return not os.path.islink(path) or os.path.realpath(path).startswith(os.path.join(os.path.realpath(root), ""))


def _same(path: str, other: str) -> bool:
    sources = Source(path), Source(other)
    if sources[0].size != sources[1].size:
        return False
    return all(mine == theirs for mine, theirs in zip(*map(_pieces, sources), strict=True))


def _pieces(source: Source) -> Iterator[bytes]:
    for start in range(0, source.size, _STEP):
        yield source.read(start, min(_STEP, source.size - start))


def _top(folder: str) -> str:
    """The folder in which a build begins: an archive may have one of its own around everything."""
    names = os.listdir(folder)
    inside = os.path.join(folder, *names[:1])
    alone = len(names) == 1 and os.path.isdir(inside) and not os.path.islink(inside)
    return (
        _top(inside)
        if alone and next(build_files(folder), None) is None and next(build_files(inside), None)
        else folder
    )
