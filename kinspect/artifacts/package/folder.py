"""A folder that members are written to, and nothing outside of it."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from kinspect.artifacts.package.member import MOST_MEMBERS, PackageMember
from kinspect.errors import Location, MalformedError, UnsupportedError, UnwritableError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
Extents = Iterable[tuple[int, int]]
Blocks = Iterable[bytes | memoryview]


class MemberFolder:
    """A folder on disk for members: private to the user, with the times that the package gives them.

    The path of a member never passes through a symbolic link. A link whose target is absolute, or goes up out of the
    folder, leads to what has that path in the folder, as if the folder were `/`: reading through it stays inside.
    """

    def __init__(self, folder: Path, package: str) -> None:
        self._folder, self._package = os.fspath(folder), package
        self._folders = {""}
        """Those that are certainly folders."""
        self._files: set[str] = set()
        self._links: dict[str, str] = {}
        """The symbolic links, and the targets that the package gives them."""

    def make_folder(self, path: str) -> None:
        """Make a folder, and those above it. Raises MalformedError where a file is, UnwritableError."""
        if path in self._folders:
            return
        above = path.rpartition("/")[0]
        self.make_folder(above)
        if len(self._folders) > MOST_MEMBERS:
            raise UnsupportedError("too many folders", self._at(path), expected=f"at most {MOST_MEMBERS:,}")
        whole = self._whole(path)
        with self._writing(path):
            try:
                os.mkdir(whole, 0o700)
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(whole).st_mode):
                    problem = "a member would be written through a file or symbolic link"
                    raise MalformedError(problem, self._at(path), expected="a folder") from None
        self._folders.add(path)

    def write_file(self, member: PackageMember, blocks: Blocks) -> None:
        """Write a file, instead of the one that has its path. Raises as `make_folder` does."""
        unit = self._created(member.path)
        try:
            for block in blocks:
                with self._writing(member.path):
                    _write(unit, block)
            with self._writing(member.path):
                os.utime(unit, (member.modified, member.modified))
        finally:
            os.close(unit)

    def write_sparse_file(self, member: PackageMember, extents: Extents, blocks: Blocks) -> None:
        """Write a file with holes, of which the parts at some offsets are given. Raises as `make_folder` does."""
        unit = self._created(member.path)
        left, rest = iter(extents), 0
        try:
            for block in blocks:
                view = memoryview(block)
                with self._writing(member.path):
                    while view:
                        while not rest:
                            offset, rest = next(left)
                            os.lseek(unit, offset, os.SEEK_SET)
                        _write(unit, view[:rest])
                        done = min(rest, len(view))
                        view, rest = view[done:], rest - done
            with self._writing(member.path):
                os.truncate(unit, member.size)
                os.utime(unit, (member.modified, member.modified))
        finally:
            os.close(unit)

    def _created(self, path: str) -> int:
        whole = self._whole(path)
        self.make_folder(path.rpartition("/")[0])
        try:
            unit = os.open(whole, _NEW, 0o600)
        except OSError:
            self._make_room(path)
            with self._writing(path):
                unit = os.open(whole, _NEW, 0o600)
        self._files.add(path)
        return unit

    def write_link(self, member: PackageMember) -> None:
        """Write a symbolic link. Raises as `make_folder` does."""
        if not member.target or "\0" in member.target:
            problem = "the target of a symbolic link is empty, or has a NUL"
            raise MalformedError(problem, self._at(member.path))
        self._symlink(member.path, member.target)

    def _symlink(self, path: str, target: str) -> None:
        self._make_room(path)
        with self._writing(path):
            os.symlink(_inside(path, target), self._whole(path))
        self._links[path] = target

    def has(self, path: str) -> bool:
        """Whether a file or symbolic link was written to a path."""
        return path in self._files or path in self._links

    def write_hard_link(self, path: str, other: str) -> None:
        """Let a path be another name of what was written to another one. Raises as `make_folder` does."""
        if path == other:
            return
        if other in self._links:
            # Its target is relative to where it is.
            self._symlink(path, self._links[other])
            return
        self._make_room(path)
        with self._writing(path):
            os.link(self._whole(other), self._whole(path), follow_symlinks=False)
        self._files.add(path)

    def _make_room(self, path: str) -> None:
        """Make the folders above a member, and remove the file or link that has its path."""
        self.make_folder(path.rpartition("/")[0])
        if path in self._folders:
            raise MalformedError("a member is a folder and a file", self._at(path))
        self._files.discard(path)
        self._links.pop(path, None)
        with self._writing(path), contextlib.suppress(FileNotFoundError):
            os.unlink(self._whole(path))

    def _whole(self, path: str) -> str:
        return f"{self._folder}/{path}"

    def _at(self, path: str) -> Location:
        return Location(self._package, path)

    @contextlib.contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        """Raise what the system refuses as one of our errors."""
        try:
            yield
        except IsADirectoryError as reason:
            raise MalformedError("a member is a folder and a file", self._at(path)) from reason
        except OSError as reason:
            if reason.errno == errno.ENAMETOOLONG:
                raise UnsupportedError("the name of a member is too long", self._at(path)) from reason
            problem = f"cannot write: {reason.strerror or reason}"
            raise UnwritableError(problem, Location(self._whole(path))) from reason


def _write(unit: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(unit, view) :]


def _inside(path: str, target: str) -> str:
    """The target of a symbolic link at a path, so that it does not lead out of the folder; most do not."""
    depth = path.count("/")
    named = [part for part in target.split("/") if part not in ("", ".")]
    up = next((number for number, part in enumerate(named) if part != ".."), len(named))
    # A `..` after a name goes up from where a link of that name may lead.
    if target and not target.startswith("/") and up <= depth and ".." not in named[up:]:
        return target
    parts = [] if target.startswith("/") else path.split("/")[:-1]
    for part in named:
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return "../" * depth + "/".join(parts) or "."
