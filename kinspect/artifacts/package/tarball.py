"""Tar archives, compressed or not, and the packages that are nothing else: of pacman and of apk.

Source: PKGBUILD(5) and makepkg; apk-tools, doc/apk-package.5.
"""

from collections.abc import Collection, Iterator

from kinspect.artifacts.compression.magics import compression_of, has_checksum
from kinspect.artifacts.package.description import Description, described_by_pkginfo
from kinspect.artifacts.package.formats import APK, TAR
from kinspect.artifacts.package.member import PackageEntry
from kinspect.artifacts.package.stream import PackageStream
from kinspect.artifacts.package.tar.archive import TarArchive
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.source import Source

_DESCRIPTION = ".PKGINFO"
_LARGEST_DESCRIPTION = 1 << 20
_FIRST_MEMBERS = 20


class Tarball:
    """A tar archive. An apk is several ones, each in a gzip stream: the signature, the description, the files."""

    def __init__(self, source: Source, form: str) -> None:
        self._source, self._form = source, form

    def description(self) -> Description:
        """What its .PKGINFO says, which is one of the first members. Raises MalformedError, UnsupportedError."""
        if self._form == TAR:
            return Description()
        stream = self.stream()
        for number, entry in enumerate(self.entries(stream)):
            if entry.member.path == _DESCRIPTION and entry.member.kind == "file":
                if entry.stored > _LARGEST_DESCRIPTION:
                    at = stream.place(stream.position, _DESCRIPTION)
                    raise UnsupportedError("too long", at, expected=f"at most {_LARGEST_DESCRIPTION:,} bytes")
                return described_by_pkginfo(stream.exactly(entry.stored, _DESCRIPTION))
            if number > _FIRST_MEMBERS:
                break
        raise MalformedError("the package has no .PKGINFO", Location(self._source.path))

    def verify(self) -> Collection[str] | None:
        """The format has no digest of what is stored; that of a compressed stream is compared as it is read."""
        return None if has_checksum(self._source.head(16)) else ()

    def stream(self) -> PackageStream:
        """The archive."""
        compression = compression_of(self._source.head(16))
        return PackageStream(self._source, 0, self._source.size, compression)

    def entries(self, stream: PackageStream) -> Iterator[PackageEntry]:
        """Its members. Raises MalformedError, TruncatedError, UnsupportedError."""
        return TarArchive(stream, joined=self._form == APK).entries()
