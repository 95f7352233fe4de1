"""Files that are written whole or not at all."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator

from kinspect.errors import Location, UnsupportedError, UnwritableError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_whole(path: str, pieces: Iterable[bytes], inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Write a file that the user names, whole or not at all. Raises UnwritableError, UnsupportedError.

    A link is followed. What exists and is not a regular file is left alone, and so is a file that is one of `inputs`.
    """
    with _named(path):
        _write_whole(path, pieces, inputs)


def _write_whole(path: str, pieces: Iterable[bytes], inputs: Iterable[str | os.PathLike[str]]) -> None:
    place = os.path.realpath(path)
    if os.path.exists(place):
        if not stat.S_ISREG(os.stat(place).st_mode):
            raise UnsupportedError("is not a regular file: it is not written to", Location(path or "''"))
        if any(os.path.exists(other) and os.path.samefile(place, other) for other in inputs):
            raise UnsupportedError("is the input: it is not written to", Location(path or "''"))
    _write(os.path.dirname(place), os.path.basename(place), pieces)


def write_in_folder(folder: str, name: str, pieces: Iterable[bytes]) -> None:
    """Write a file in a folder, whole or not at all. Raises UnwritableError.

    Nothing that is in the folder is opened or followed: a link of that name is replaced, as depmod does. Writers at the
    same time leave the file of one of them.
    """
    with _named(os.path.join(folder, name)):
        _write(folder, name, pieces)


def make_folder(path: str) -> None:
    """Make a folder, and those above it, unless it is there. Raises UnwritableError."""
    with _named(path):
        os.makedirs(path, exist_ok=True)


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Name the file that the user asked for: what the system refused may be a temporary name."""
    try:
        yield
    except OSError as reason:
        problem = f"cannot write: {reason.strerror or reason}"
        if isinstance(reason, FileNotFoundError):
            problem = "cannot write: no such folder"
        elif isinstance(reason, FileExistsError | NotADirectoryError):
            problem = "cannot write: a file is where a folder should be"
        raise UnwritableError(problem, Location(path or "''")) from reason


def _write(folder: str, name: str, pieces: Iterable[bytes]) -> None:
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # Nobody can have put a link or a FIFO where the name is not known before.
    temporary = f".kinspect-{os.urandom(12).hex()}"
    try:
        with os.fdopen(os.open(temporary, _NEW, 0o644, dir_fd=inside), "wb") as file:
            file.writelines(pieces)
            file.flush()
            _sync(file.fileno())
        os.rename(temporary, name, src_dir_fd=inside, dst_dir_fd=inside)
    except BaseException:
        _remove(temporary, inside)
        raise
    finally:
        os.close(inside)


def _sync(unit: int) -> None:
    """Without it, a crash of the machine after the rename could leave an empty file."""
    try:
        os.fsync(unit)
    except OSError as reason:
        if reason.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def _remove(temporary: str, inside: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=inside)
