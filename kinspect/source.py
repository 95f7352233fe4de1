"""The bytes of a file. The only module that opens files.

Reads use pread, never mmap: when a mapped file is truncated, its reader dies of SIGBUS; a short read is an ordinary
error. Every range is checked against the size of the file before it is read.
"""

import errno
import os
import stat
from collections.abc import Iterator

from kinspect.errors import KinspectError, Location, TruncatedError, UnreadableError, UnsupportedError

STDIN = "/dev/stdin"
"""The path of standard input, which has no name of its own."""
WINDOW = 128 * 1024
"""Bytes of one bulk read: fits the second-level cache, where comparing and searching are fastest."""
LARGEST_READ = 1 << 30
"""Limit of one read in bytes. A table in a kernel takes some megabytes."""
_LARGEST_SIZELESS = 64 << 20


class Source:
    """A regular file, opened on first use; or bytes unpacked from one, with its path. Offsets and sizes in bytes."""

    __slots__ = ("__weakref__", "_held", "_status", "_unit", "path")
    # Kept here because a source may outlive the module `os` when the interpreter exits.
    _close = staticmethod(os.close)

    def __init__(self, path: str | os.PathLike[str], held: bytes | bytearray | None = None) -> None:
        self.path = os.fsdecode(path)
        self._unit = -1
        self._held = held
        self._status: os.stat_result | None = None

    @property
    def _file(self) -> int:
        if self._unit < 0:
            try:
                # Non-blocking: opening a FIFO without a writer would hang.
                unit = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            except (OSError, ValueError) as reason:
                raise self._unreadable(reason) from reason
            self._unit, self._status = unit, os.fstat(unit)
            if not stat.S_ISREG(self._status.st_mode):
                self.close()
                kind = _kind_of_mode(self._status.st_mode)
                raise UnreadableError(f"is a {kind}", Location(self.path), expected="a regular file", actual=kind)
            if self._status.st_size == 0:
                try:
                    self._held = self._sizeless()
                except KinspectError:
                    self.close()
                    raise
        return self._unit

    def _sizeless(self) -> bytes:
        """The contents of a file that reports size 0: those in /proc and /sys are not empty."""
        parts, total = [], 0
        while part := self._pread(total, WINDOW):
            parts.append(part)
            total += len(part)
            if total > _LARGEST_SIZELESS:
                raise UnsupportedError("a file that reports size 0 is too long", Location(self.path))
        return b"".join(parts)

    def _unreadable(self, reason: OSError | ValueError) -> UnreadableError:
        return UnreadableError(getattr(reason, "strerror", None) or str(reason), Location(self.path or "''"))

    @property
    def size(self) -> int:
        """The size of the file when it was opened. UnreadableError when it cannot be opened."""
        unit = self._file if self._held is None else -1
        if self._held is not None:
            return len(self._held)
        assert self._status is not None, unit
        return self._status.st_size

    @property
    def mode(self) -> int:
        """The file's mode, as stat returns it."""
        unit = self._file
        assert self._status is not None, unit
        return self._status.st_mode

    def read(self, offset: int, size: int, part: str = "") -> bytes:
        """Exactly `size` bytes from `offset`; `part` names them in the error.

        TruncatedError when the file is too short, UnreadableError when it cannot be read, UnsupportedError over 1 GiB.
        """
        self._check(offset, size, part)
        if size > LARGEST_READ:
            raise UnsupportedError(
                "too large to hold in memory",
                Location(self.path, part, offset),
                expected=f"at most {LARGEST_READ:,} bytes",
                actual=f"{size:,}",
            )
        if self._held is not None:
            return bytes(memoryview(self._held)[offset : offset + size])
        data = self._pread(offset, size)
        if len(data) == size:
            return data
        whole = bytearray(size)
        whole[: len(data)] = data
        self.read_into(offset + len(data), memoryview(whole)[len(data) :])
        return bytes(whole)

    def head(self, size: int) -> bytes:
        """The first `size` bytes, or fewer when the file is shorter."""
        return self.read(0, min(size, self.size))

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`, without allocating. Raises as `read` does."""
        self._check(offset, len(buffer), "")
        if self._held is not None:
            buffer[:] = memoryview(self._held)[offset : offset + len(buffer)]
            return
        done = 0
        while done < len(buffer):
            try:
                got = os.preadv(self._file, [buffer[done:]], offset + done)
            except OSError as reason:
                raise self._unreadable(reason) from reason
            if got == 0:
                raise UnreadableError("the file changed while it was read", Location(self.path, "", offset + done))
            done += got

    def find(self, pattern: bytes, start: int = 0, end: int | None = None) -> Iterator[int]:
        """The offsets of `pattern` between `start` and `end`, ascending, overlapping matches included."""
        end = self.size if end is None else end
        if self._held is not None:
            hit = self._held.find(pattern, start, end)
            while hit >= 0:
                yield hit
                hit = self._held.find(pattern, hit + 1, end)
            return
        keep = len(pattern) - 1
        buffer = bytearray(keep + WINDOW)
        view = memoryview(buffer)
        blank = bytes(keep + WINDOW) if pattern.strip(b"\0") else b""
        held = 0
        while start < end:
            size = min(WINDOW, end - start)
            self.read_into(start, view[held : held + size])
            # Comparing zeros is ten times as fast as searching them, and a hole need not be read at all.
            if buffer == blank and (data := self._data_from(start + size)) > start + size:
                start, held = data - keep, 0
                continue
            hit = -1 if buffer == blank else buffer.find(pattern, 0, held + size)
            while hit >= 0:
                yield start - held + hit
                hit = buffer.find(pattern, hit + 1, held + size)
            start += size
            tail = min(keep, held + size)
            view[:tail] = bytes(view[held + size - tail : held + size])
            held = tail

    def _data_from(self, offset: int) -> int:
        """The first offset from `offset` on that is not in a hole of a sparse file; its size when there is none."""
        try:
            return os.lseek(self._file, offset, os.SEEK_DATA)
        except OSError as reason:
            return self.size if reason.errno == errno.ENXIO else offset

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._unit >= 0:
            self._close(self._unit)
            self._unit = -1

    def __del__(self) -> None:
        self.close()

    def _pread(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._file, size, offset)
        except OSError as reason:
            raise self._unreadable(reason) from reason

    def _check(self, offset: int, size: int, part: str) -> None:
        if offset >= 0 and size >= 0 and offset + size <= self.size:
            return
        at = Location(self.path, part, offset)
        if self.size == 0:
            raise TruncatedError("empty file", at._replace(offset=None))
        have = max(0, self.size - max(offset, 0))
        raise TruncatedError("the file is too short", at, expected=f"{size:,} bytes", actual=f"{have:,}")


class Window(Source):
    """A part of another source, which is read through it: nothing is copied. Offsets are those in the part."""

    __slots__ = ("_length", "_start", "_whole")

    def __init__(self, whole: Source, start: int, length: int) -> None:
        super().__init__(whole.path)
        self._whole, self._start, self._length = whole, start, length

    @property
    def size(self) -> int:
        """The size of the part. It may end past the file: whoever makes a part checks that."""
        return self._length

    @property
    def mode(self) -> int:
        """The file's mode."""
        return self._whole.mode

    def read(self, offset: int, size: int, part: str = "") -> bytes:
        """Exactly `size` bytes from `offset`. Raises as `Source.read` does."""
        self._check(offset, size, part)
        return self._whole.read(self._start + offset, size, part)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`."""
        self._check(offset, len(buffer), "")
        self._whole.read_into(self._start + offset, buffer)

    def find(self, pattern: bytes, start: int = 0, end: int | None = None) -> Iterator[int]:
        """The offsets of `pattern` between `start` and `end`, ascending."""
        last = self._start + (self._length if end is None else end)
        return (hit - self._start for hit in self._whole.find(pattern, self._start + start, last))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._whole.close()

    def __del__(self) -> None:
        """The file belongs to the whole."""


def _kind_of_mode(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "directory",
        stat.S_IFIFO: "FIFO",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "character device",
        stat.S_IFBLK: "block device",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")
