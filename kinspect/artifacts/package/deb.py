"""Debian packages: an ar archive of debian-binary, control.tar and data.tar. Source: deb(5)."""

from collections.abc import Iterator

from kinspect.artifacts.package.ar import ArMember, ar_members
from kinspect.artifacts.package.description import Description, described_by_control
from kinspect.artifacts.package.member import PackageEntry
from kinspect.artifacts.package.stream import PackageStream
from kinspect.artifacts.package.tar.archive import TarArchive
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.source import Source

_COMPRESSIONS = {
    "": "",
    ".gz": "gzip",
    ".xz": "xz",
    ".zst": "zstd",
    ".bz2": "bzip2",
    ".lzma": "lzma",
}
_LARGEST_CONTROL = 1 << 20


class Deb:
    """A Debian package."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def description(self) -> Description:
        """What its control file says. Raises MalformedError, UnsupportedError."""
        stream = self._stream("control.tar")
        for entry in TarArchive(stream).entries():
            if entry.member.path == "control" and entry.member.kind == "file":
                if entry.stored > _LARGEST_CONTROL:
                    at = stream.place(stream.position, "control")
                    raise UnsupportedError("too long", at, expected=f"at most {_LARGEST_CONTROL:,} bytes")
                return described_by_control(stream.read(entry.stored, "control"))
        raise MalformedError("the package has no control file", stream.place(stream.position))

    def verify(self) -> None:
        """The format has no digest of what is stored."""

    def stream(self) -> PackageStream:
        """The archive of its files. Raises MalformedError, TruncatedError, UnsupportedError."""
        return self._stream("data.tar")

    def entries(self, stream: PackageStream) -> Iterator[PackageEntry]:
        """Its members. Raises MalformedError, TruncatedError, UnsupportedError."""
        return TarArchive(stream).entries()

    def _stream(self, name: str) -> PackageStream:
        member = self._member(name)
        suffix = member.name.removeprefix(name)
        if suffix not in _COMPRESSIONS:
            raise UnsupportedError(f"{suffix} is not supported", Location(self._source.path, member.name))
        end = member.offset + member.size
        return PackageStream(self._source, member.offset, end, _COMPRESSIONS[suffix], member.name)

    def _member(self, name: str) -> ArMember:
        members = ar_members(self._source)
        if not members or members[0].name != "debian-binary":
            raise MalformedError("not a Debian package: debian-binary is not first", Location(self._source.path))
        version = self._source.read(members[0].offset, min(2, members[0].size))
        if version != b"2.":
            at = Location(self._source.path, "debian-binary", members[0].offset)
            raise UnsupportedError("the package has another format", at, expected="2.0", actual=version)
        found = next((member for member in members if member.name.startswith(name)), None)
        if found is None:
            raise MalformedError(f"the package has no {name}", Location(self._source.path, "", self._source.size))
        return found
