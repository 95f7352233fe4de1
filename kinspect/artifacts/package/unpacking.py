"""Members written to a folder, as they come."""

from collections.abc import Callable, Iterator
from pathlib import Path

from kinspect.artifacts.package.folder import MemberFolder
from kinspect.artifacts.package.member import LARGEST_MEMBER, PackageEntry, PackageMember
from kinspect.artifacts.package.stream import PackageStream
from kinspect.artifacts.raw.limits import unpacked_limit
from kinspect.errors import Location, MalformedError, UnsupportedError

Wanted = Callable[[PackageMember], bool]
Group = tuple[int, int]


class Unpacking:
    """Members written to a folder: `written`, in order.

    `missing` are hard links to members that were not, by the path of those: their data must be read again.
    """

    def __init__(self, folder: Path, path: str, packed: int) -> None:
        self.written: list[PackageMember] = []
        self.missing: dict[str, list[PackageMember]] = {}
        self._folder, self._path = MemberFolder(folder, path), path
        self._largest = unpacked_limit(packed, LARGEST_MEMBER)
        self._waiting: dict[Group, list[PackageMember]] = {}
        """Hard links of a cpio archive whose data has not come yet."""
        self._known: dict[Group, str] = {}
        """Those whose data was written, and where."""

    def run(self, stream: PackageStream, entries: Iterator[PackageEntry], wanted: Wanted) -> None:
        """Write the members that are wanted. Raises as `Package.unpack` does."""
        for entry in entries:
            if entry.group is not None:
                self._linked(stream, entry, entry.group, wanted(entry.member))
            elif wanted(entry.member):
                self._write(stream, entry)
        stream.finish()
        # Hard links of an empty file.
        for members in self._waiting.values():
            for member in members:
                self._write(stream, PackageEntry(member, 0))

    def find_missing(self, stream: PackageStream, entries: Iterator[PackageEntry]) -> None:
        """Write what is missing. Raises MalformedError when the package does not have it, and as `run` does."""
        for entry in entries:
            member = entry.member
            if member.path in self.missing and member.kind in ("file", "symlink"):
                first, *others = self.missing.pop(member.path)
                self._write(stream, entry._replace(member=member._replace(path=first.path)))
                for other in others:
                    self._link(other, first.path)
            if not self.missing:
                return
        target, (member, *_) = next(iter(self.missing.items()))
        raise MalformedError("a hard link to a missing file", Location(self._path, member.path), actual=target)

    def _write(self, stream: PackageStream, entry: PackageEntry) -> None:
        member, folder = entry.member, self._folder
        if member.size > self._largest:
            expected = f"at most {self._largest:,} bytes (--limit)"
            raise UnsupportedError("too large", Location(self._path, member.path), expected=expected)
        match member.kind:
            case "file":
                blocks = stream.blocks(entry.stored, member.path)
                if entry.extents is None:
                    folder.write_file(member, blocks)
                else:
                    folder.write_sparse_file(member, entry.extents, blocks)
            case "folder":
                folder.make_folder(member.path)
            case "symlink":
                folder.write_link(member)
            case "hardlink":
                if not folder.has(member.target):
                    self.missing.setdefault(member.target, []).append(member)
                    return
                folder.write_hard_link(member.path, member.target)
            case _:
                return
        self.written.append(member)

    def _linked(self, stream: PackageStream, entry: PackageEntry, group: Group, is_wanted: bool) -> None:
        """Write a member of which there are hard links: one of them has the data, usually the last."""
        member = entry.member
        if not entry.stored:
            if is_wanted and group in self._known:
                self._link(member, self._known[group])
            elif is_wanted:
                self._waiting.setdefault(group, []).append(member)
            return
        names = [*self._waiting.pop(group, []), *([member] if is_wanted else [])]
        for number, one in enumerate(names):
            if number:
                self._link(one._replace(size=member.size), names[0].path)
            else:
                self._write(stream, entry._replace(member=one._replace(size=member.size)))
                self._known[group] = one.path

    def _link(self, member: PackageMember, other: str) -> None:
        self._folder.write_hard_link(member.path, other)
        self.written.append(member)
