"""Packages of distributions: what they are, and their files unpacked to a folder."""

from collections.abc import Collection, Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Protocol

from kinspect.artifacts.package.description import Description
from kinspect.artifacts.package.formats import APK_V3, DEB, RPM, format_of
from kinspect.artifacts.package.member import PackageEntry, PackageMember
from kinspect.artifacts.package.stream import PackageStream
from kinspect.artifacts.package.unpacking import Unpacking, Wanted
from kinspect.errors import Location, UnsupportedError, WrongKindError
from kinspect.source import Source


class PackageReader(Protocol):
    """What reads a format."""

    def description(self) -> Description:
        """What the package says of itself."""
        ...

    def verify(self) -> Collection[str] | None:
        """Raise MalformedError when a digest in the package is not that of its files as they are stored.

        Returns the paths of the files that a checksum covers, also one of a compressed stream; None when it is all.
        """
        ...

    def stream(self) -> PackageStream:
        """The archive of its files."""
        ...

    def entries(self, stream: PackageStream) -> Iterator[PackageEntry]:
        """Its members."""
        ...


class Package:
    """A package of a distribution, or a tar archive.

    `format` is what `package_format` returns. Standard input must be a file, which commands see to. Raises
    WrongKindError for other files, UnsupportedError for a format that is not read.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        found = format_of(source)
        if found is None:
            raise WrongKindError("not a package", Location(source.path))
        if found == APK_V3:
            problem = "version 3 of the apk format (ADB) is not supported"
            raise UnsupportedError(f"{problem}: `apk extract` unpacks it", Location(source.path))
        self.format = found
        self.uncovered: tuple[str, ...] = ()
        """The files that `unpack` wrote of which the package has no checksum: damage to their contents is not found."""

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
        if self.format == DEB:
            from kinspect.artifacts.package.deb import Deb

            return Deb(self.source)
        if self.format == RPM:
            from kinspect.artifacts.package.rpm.reader import Rpm

            return Rpm(self.source)
        from kinspect.artifacts.package.tarball import Tarball

        return Tarball(self.source, self.format)

    @property
    def has_control_sum(self) -> bool:
        """Whether damage to what the package says of itself is found, unless that is one of its files."""
        from kinspect.artifacts.package.deb import Deb

        return not isinstance(self._reader, Deb) or self._reader.has_control_sum()

    def unpack(self, folder: Path, wanted: Wanted) -> list[PackageMember]:
        """Write the members for which `wanted` is true to a folder, and return those that were written, in order.

        The package is read once, from start to end, in blocks; twice when a hard link is wanted and what it is another
        name of is not. `wanted` is called with every member, "folder" and "other" too: folders above a file are made
        without being asked for, and devices are never written. Nothing is written outside of the folder, which is best
        a new one for each package. Symbolic links lead to what has their target's path in the folder, as if it were
        `/`; `PackageMember.target` is what the package says. Files have the times of the package, and are readable to
        the user only.

        Raises TruncatedError and MalformedError for a broken package, and for one with members that would be outside of
        the folder; UnsupportedError over a limit, or for a format that is not read; UnwritableError. What was written
        until then stays.
        """
        reader = self._reader
        covered = reader.verify()
        unpacking = Unpacking(folder, self.source.path, self.source.size)
        with closing(reader.stream()) as stream:
            stream.read_ahead()
            unpacking.run(stream, reader.entries(stream), wanted)
        if unpacking.missing:
            with closing(reader.stream()) as stream:
                unpacking.find_missing(stream, reader.entries(stream))
        if covered is not None:
            files = (member.path for member in unpacking.written if member.kind == "file" and member.size)
            self.uncovered = tuple(path for path in files if path not in covered)
        return unpacking.written
