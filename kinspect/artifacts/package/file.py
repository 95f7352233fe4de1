"""Packages of distributions: what they are, and their files unpacked to a folder."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol

from kinspect.artifacts.package.description import Description
from kinspect.artifacts.package.folder import MemberFolder
from kinspect.artifacts.package.formats import package_format
from kinspect.artifacts.package.member import LARGEST_MEMBER, PackageEntry, PackageMember
from kinspect.artifacts.package.stream import PackageStream
from kinspect.artifacts.raw.limits import HEAD, unpacked_limit
from kinspect.errors import Location, UnsupportedError, WrongKindError
from kinspect.source import Source

Wanted = Callable[[PackageMember], bool]


class PackageReader(Protocol):
    """What reads a format."""

    def description(self) -> Description:
        """What the package says of itself."""
        ...

    def stream(self) -> PackageStream:
        """The archive of its files."""
        ...

    def entries(self, stream: PackageStream) -> Iterator[PackageEntry]:
        """Its members."""
        ...


class Package:
    """A package of a distribution, or a tar archive: `with` nothing in memory but a block.

    `format` is what `package_format` returns. Reading standard input takes `kinspect.source.STDIN`, once it is a file:
    commands see to that. Raises WrongKindError for other files, UnsupportedError for a format that is not read.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        found = package_format(source.head(HEAD))
        if found is None:
            raise WrongKindError("not a package", Location(source.path))
        self.format = found

    @property
    def name(self) -> str:
        """Its name; empty when it has none. Raises as `unpack` does."""
        return self._description.name

    @property
    def version(self) -> str:
        """Its version, with that of the distribution; empty when it has none. Raises as `unpack` does."""
        return self._description.version

    @property
    def architecture(self) -> str:
        """Its architecture as the distribution writes it; empty when it has none. Raises as `unpack` does."""
        return self._description.architecture

    @cached_property
    def _description(self) -> Description:
        return self._reader.description()

    @cached_property
    def _reader(self) -> PackageReader:
        from kinspect.artifacts.package.deb import Deb

        return Deb(self.source)

    def unpack(self, folder: Path, wanted: Wanted) -> list[PackageMember]:
        """Write the members for which `wanted` is true to a folder, and return those that were written, in order.

        The package is read once, from start to end, in blocks. `wanted` is called with every member, "folder" and
        "other" too: folders above a file are made without being asked for, and devices are never written. Nothing is
        written outside of the folder, which is best a new one for each package. Symbolic links lead to what has their
        target's path in the folder, as if it were `/`; `PackageMember.target` is what the package says. Files have the
        times of the package, and are readable to the user only.

        Raises TruncatedError and MalformedError for a broken package, and for one with members that would be outside of
        the folder; UnsupportedError over a limit, for a hard link to a member that is not wanted, or a format that is
        not read; UnwritableError. What was written until then stays.
        """
        stream, target = self._reader.stream(), MemberFolder(folder, self.source.path)
        written, largest = [], unpacked_limit(self.source.size, LARGEST_MEMBER)
        for entry in self._reader.entries(stream):
            member = entry.member
            if not wanted(member) or member.kind == "other":
                continue
            if member.size > largest:
                at = Location(self.source.path, member.path)
                raise UnsupportedError("too large", at, expected=f"at most {largest:,} bytes (--limit)")
            match member.kind:
                case "file":
                    target.write_file(member, stream.blocks(entry.stored, member.path))
                case "folder":
                    target.make_folder(member.path)
                case "symlink":
                    target.write_link(member)
                case "hardlink":
                    target.write_hard_link(member.path, member.target)
            written.append(member)
        stream.finish()
        return written
