"""The cpio archive in an rpm package: newc, or without the names and sizes that the package's header has.

Source: rpm, lib/cpio.c, rpmcpioHeaderRead(), and lib/rpmfi.c, iterReadArchiveNext().
"""

import os
import stat
from collections.abc import Callable, Iterator

from kinspect.artifacts.package.member import LONGEST_NAME, MOST_MEMBERS, PackageEntry, PackageMember, member_path
from kinspect.artifacts.package.stream import PackageStream
from kinspect.errors import MalformedError, UnsupportedError
from kinspect.schemas.cpio import CRC, NEWC, TRAILER, CpioHeader
from kinspect.schemas.record import offsets, parse_table, size_of

_STRIPPED = b"07070X"
"""rpm's own: the number of a file in the package's header follows."""
_NUMBER = 8
_MAGIC, _REST = offsets(CpioHeader)["c_ino"], size_of(CpioHeader) - offsets(CpioHeader)["c_ino"]
_LONGEST_TARGET = 4096
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink"}


class RpmArchive:
    """The members of a payload. `files` is what the package's header says of the file of a number."""

    def __init__(self, stream: PackageStream, files: Callable[[int], PackageEntry | None]) -> None:
        self._stream, self._files = stream, files

    def entries(self) -> Iterator[PackageEntry]:
        """Each member, as `TarArchive.entries` does."""
        stream = self._stream
        for count in range(MOST_MEMBERS + 1):
            at = stream.position
            if count == MOST_MEMBERS:
                raise UnsupportedError("too many members", stream.place(at), expected=f"at most {MOST_MEMBERS:,}")
            magic = stream.read(_MAGIC, "a header")
            if not magic:
                raise stream.cut("without its last member, TRAILER!!!")
            if magic == _STRIPPED:
                entry = self._numbered(at)
            elif magic in (NEWC, CRC):
                found = self._named(magic, at)
                if found is None:
                    return
                entry = found
            else:
                raise MalformedError("not a cpio header", stream.place(at), expected=NEWC, actual=magic)
            if entry.member.kind == "symlink" and not entry.member.target:
                entry = self._with_target(entry)
            end = stream.position + entry.stored
            if entry.member.path:
                yield entry
            stream.skip(end - stream.position, entry.member.path or "a member")
            self._pad()

    def _pad(self) -> None:
        self._stream.skip(-self._stream.position % 4, "the padding after a member")

    def _numbered(self, at: int) -> PackageEntry:
        stream = self._stream
        digits = stream.exactly(_NUMBER, "a header")
        self._pad()
        try:
            found = self._files(int.from_bytes(bytes.fromhex(digits.decode("ascii")), "big"))
        except ValueError:
            found = None
        if found is None:
            problem = "a member is not one of the files in the package's header"
            raise MalformedError(problem, stream.place(at), actual=digits)
        return found

    def _named(self, magic: bytes, at: int) -> PackageEntry | None:
        """A member with a header of its own; None for the archive's end."""
        stream = self._stream
        header = parse_table(CpioHeader, magic + stream.exactly(_REST, "a header"))[0]
        numbers = header.numbers
        if numbers is None:
            raise MalformedError("a field of a cpio header is not a number", stream.place(at))
        ino, mode, _, _, nlink, mtime, size, major, minor, _, _, name_size, _ = numbers
        if not 0 < name_size <= LONGEST_NAME:
            expected = f"1 to {LONGEST_NAME:,} bytes"
            raise UnsupportedError("the name of a member is too long", stream.place(at), expected=expected)
        name = stream.exactly(name_size, "a name").split(b"\0", 1)[0]
        self._pad()
        if name == TRAILER:
            return None
        kind = _KINDS.get(stat.S_IFMT(mode), "other")
        member = PackageMember(member_path(name, stream.place, at), kind, size, mode & 0o7777, "", mtime)
        group = (major << 32 | minor, ino) if nlink > 1 and kind == "file" else None
        return PackageEntry(member, size, None, group)

    def _with_target(self, entry: PackageEntry) -> PackageEntry:
        """A symbolic link, whose data is the target."""
        stream = self._stream
        if entry.stored > _LONGEST_TARGET:
            at = stream.place(stream.position, entry.member.path)
            raise UnsupportedError(
                "the target of a link is too long", at, expected=f"at most {_LONGEST_TARGET:,} bytes"
            )
        target = stream.exactly(entry.stored, "the target of a link")
        return entry._replace(member=entry.member._replace(target=os.fsdecode(target)), stored=0)
