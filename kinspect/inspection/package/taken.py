"""Packages taken for the folder, or the file, that a command works on."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from kinspect.artifacts.compression.magics import compression_of
from kinspect.artifacts.raw.limits import HEAD
from kinspect.errors import KinspectError, Location, MalformedError, UnsupportedError, WrongKindError
from kinspect.inspection.report import Path, Report
from kinspect.source import Source

if TYPE_CHECKING:
    from kinspect.inspection.package.naming import PackageNames, UnpackedFile
    from kinspect.inspection.package.together import InstalledPackages
    from kinspect.workers import OnProgress

KERNEL = ("Image", "packed Image", "vmlinux")
WITH_SYMBOLS = ("vmlinux", "Image", "packed Image")
"""The roles of kernels, in the order in which one is looked for."""
_BEGINNINGS = (b"!<arch>\n", b"\xed\xab\xee\xdb", b"ADB")
_CHECKSUM = slice(148, 156)
_ANY_TAR = b"0" * 512
_SUFFIXES = (".deb", ".rpm", ".apk", ".tar", ".tgz")
"""What the names of packages in a folder end in; other files there are not opened."""
_COMPRESSIONS = ("gzip", "bzip2", "xz", "zstd")
"""Those of packages. To look into an lz4 stream would take as long as to unpack a kernel."""

P = TypeVar("P", Path, "Path | None")
R = TypeVar("R")


class Packages:
    """The packages that a command was given, unpacked where they are used: to be used in a `with` statement.

    When it ends, the unpacked files are gone, and errors name files as reports do: `linux-image.deb:boot/vmlinuz-6.1`.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._known: dict[tuple[str, ...], InstalledPackages] = {}
        self._names: list[PackageNames] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stack.close()
        if isinstance(error, KinspectError) and self._names:
            from kinspect.inspection.package.naming import renamed_error

            raise renamed_error(error, self.name) from error

    def folder(self, path: Path) -> Path:
        """The folder of a package, or of those in a folder; any other path as it is. Raises KinspectError."""
        inside = [os.fsdecode(path)] if is_package(path) else packages_in(path)
        if not inside:
            return path
        whole = self._whole(inside, title=os.fsdecode(path))
        for error in whole.errors:
            raise error
        return whole.root

    def file(self, path: P, *roles: str) -> P:
        """The file with the first of some roles in a package; any other path as it is, also None.

        Raises WrongKindError when there is none, UnsupportedError when there are several.
        """
        if path is None or not is_package(path):
            return path
        from kinspect.artifacts.build.tree import build_files

        given = os.fsdecode(path)
        whole = self._whole([given])
        pieces = list(build_files(whole.root))
        for role in roles:
            found = [piece.path for piece in pieces if piece.role == role]
            if len(found) > 1:
                problem, names = f"more than one {role}: unpack the package and name one of them", ", ".join(found)
                raise UnsupportedError(problem, Location(given), actual=self.name(names))
            if found:
                return found[0]
        problem = f"the package has no {' or '.join(role for role in roles if role != 'packed Image')}"
        others = ", ".join(dict.fromkeys(piece.role for piece in pieces))
        raise WrongKindError(problem, Location(given), actual=others or None)

    def together(self, paths: Sequence[str], on_progress: "OnProgress | None" = None) -> "InstalledPackages | None":
        """Some packages as one build; None without packages. Raises KinspectError."""
        return self._whole(paths, on_progress) if paths else None

    def new_folder(self) -> str:
        """A new temporary folder, which is gone with the others. UnwritableError when there is no place for it."""
        from kinspect.inspection.package.private_folder import private_folder

        return self._stack.enter_context(private_folder())

    def add_names(self, folder: str, files: "Sequence[UnpackedFile]", title: str) -> None:
        """Name what was unpacked to a folder by the packages that it is from; the folder itself by a title."""
        from kinspect.inspection.package.naming import PackageNames

        self._names.append(PackageNames(folder, files, title))

    def name(self, text: str) -> str:
        """A text with the names of files in packages for paths in temporary folders."""
        for names in self._names:
            text = names(text)
        return text

    def named(self, found: R) -> R:
        """A report or another value with those names."""
        if not self._names:
            return found
        from kinspect.inspection.package.naming import renamed

        if isinstance(found, Report):
            return found.replaced(**renamed(vars(found), self.name))  # type: ignore[return-value]
        return renamed(found, self.name)

    def _whole(
        self, paths: Sequence[str], on_progress: "OnProgress | None" = None, title: str = ""
    ) -> "InstalledPackages":
        key = tuple(paths)
        if key not in self._known:
            from kinspect.inspection.package.together import installed

            whole = installed(paths, self.new_folder(), on_progress)
            several = f"{len(paths)} packages" if len(paths) > 1 else paths[0]
            self.add_names(whole.folder, whole.files, title or several)
            self._known[key] = whole
            if not whole.files and not whole.errors:
                raise nothing_inside(paths[0])
        return self._known[key]


def nothing_inside(path: str) -> MalformedError:
    """The error for a package without any part of a kernel's build."""
    expected = "a kernel, modules, Module.symvers, System.map or a .config"
    return MalformedError("the package has no files of a kernel build", Location(path), expected=expected)


def packages_in(folder: Path) -> list[str]:
    """The packages in a folder that has no build; none for any other path."""
    try:
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    except OSError:
        return []  # which is reported when the folder is read
    paths = [os.path.join(os.fsdecode(folder), os.fsdecode(name)) for name in names]
    found = [path for path in paths if path.endswith(_SUFFIXES) or ".tar." in path]
    if not found:
        return []
    from kinspect.artifacts.build.tree import build_files

    return [] if next(build_files(os.fsdecode(folder)), None) else list(filter(is_package, found))


def is_package(path: Path) -> bool:
    """Whether a file is a package, by its first bytes; not when it cannot be read."""
    if os.path.isdir(path):
        return False
    source = Source(path)
    try:
        head = source.head(HEAD)
        # The readers of packages are imported only for what looks like one: most files are kernels.
        if not (head.startswith(_BEGINNINGS) or _may_be_tar(_first_block(head))):
            return False
        from kinspect.artifacts.package.formats import format_of

        return format_of(source) is not None
    except KinspectError:
        return False  # which is reported when it is opened


def _first_block(head: bytes) -> bytes:
    """The first bytes of a file, decompressed."""
    compression = compression_of(head)
    if not compression:
        return head
    if compression not in _COMPRESSIONS:
        return b""
    from kinspect.artifacts.compression.streams import pieces

    found = b""
    try:
        for piece, _ in pieces(Source("", head), 0, len(head), compression):
            found += piece
    except KinspectError:
        pass  # it goes on after this
    # A block of bzip2 may be longer.
    return found or _ANY_TAR


def _may_be_tar(block: bytes) -> bool:
    """Whether the checksum in the header of a tar archive is there, right or wrong."""
    found = block[_CHECKSUM].strip(b" \0")
    return bool(found) and not found.strip(b"01234567")
