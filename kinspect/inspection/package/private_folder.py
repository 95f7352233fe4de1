"""A temporary folder that nobody else can read, and that is gone on every way out of the program but SIGKILL."""

import contextlib
import errno
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from types import FrameType

from kinspect.errors import Location, UnwritableError

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)
_NO_PLACE = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def private_folder() -> Iterator[str]:
    """The path of a new folder in TMPDIR. Raises UnwritableError."""
    # None of these may end the program between making the folder and knowing how to remove it.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, *_ENDINGS))
    try:
        path = tempfile.mkdtemp(prefix="kinspect-")
        replaced = _replace_handlers(path)
    except OSError as reason:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        raise _unwritable(reason) from reason
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        yield path
    finally:
        _remove(path)
        for number, before in replaced.items():
            signal.signal(number, before)


class _Ending:
    """A signal handler that removes a folder, and those of the handlers that it replaced, before the program ends."""

    def __init__(self, path: str, before: "_Ending | signal.Handlers") -> None:
        self._path, self._before, self._owner = path, before, os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        # A process that was forked has the handler, but not the folder.
        if os.getpid() == self._owner:
            shutil.rmtree(self._path, ignore_errors=True)
        if isinstance(self._before, _Ending):
            self._before(number, frame)
            return
        # As without a handler: the caller sees the signal.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _replace_handlers(path: str) -> "dict[signal.Signals, _Ending | signal.Handlers]":
    """Let the folder be removed before a signal ends the program: the handlers that were replaced."""
    replaced: dict[signal.Signals, _Ending | signal.Handlers] = {}
    # Only the main thread may have handlers, and a handler of the caller is its own.
    if threading.current_thread() is threading.main_thread():
        for number in _ENDINGS:
            before = signal.getsignal(number)
            if before is signal.SIG_DFL or isinstance(before, _Ending):
                replaced[number] = before
                signal.signal(number, _Ending(path, before))
    return replaced


def _remove(path: str) -> None:
    """Remove the folder, also when Ctrl-C is pressed meanwhile."""
    try:
        shutil.rmtree(path, ignore_errors=True)
    except KeyboardInterrupt:
        _remove(path)
        raise


class PrivateFile:
    """A file in a private folder, written in blocks. It is closed when the next one is opened."""

    def __init__(self, unit: int) -> None:
        self._unit = unit

    @classmethod
    def below(cls, folder: str, path: str) -> "PrivateFile | None":
        """A new file, and the folders above it; None where there cannot be one: a file is where a folder should be.

        Raises UnwritableError.
        """
        whole = os.path.join(folder, path)
        with writing():
            try:
                os.makedirs(os.path.dirname(whole), exist_ok=True)
                return cls(os.open(whole, _NEW, 0o600))
            except OSError as reason:
                if reason.errno in _NO_PLACE:
                    return None
                raise

    def write(self, data: bytes) -> None:
        """Write a block. Raises UnwritableError."""
        with writing():
            view = memoryview(data)
            while view:
                view = view[os.write(self._unit, view) :]

    def close(self) -> None:
        """Close it."""
        if self._unit >= 0:
            os.close(self._unit)
            self._unit = -1


def link(folder: str, path: str, other: str) -> None:
    """Let a path in a private folder be that of another file in it. Raises UnwritableError."""
    with writing():
        os.unlink(os.path.join(folder, other))
        os.link(os.path.join(folder, path), os.path.join(folder, other))


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Raise what the system refuses as UnwritableError."""
    try:
        yield
    except OSError as reason:
        raise _unwritable(reason) from reason


def _unwritable(reason: OSError) -> UnwritableError:
    problem = f"cannot write: {reason.strerror or reason} (set TMPDIR to another folder)"
    return UnwritableError(problem, Location(tempfile.gettempdir()))
