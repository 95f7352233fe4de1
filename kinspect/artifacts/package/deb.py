"""Debian packages: an ar archive of debian-binary, control.tar and data.tar. Source: deb(5)."""

import hashlib
import os
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
_LARGEST_CONTROL = 16 << 20
"""Bytes of a file: md5sums has a line for each file of the package."""


class Deb:
    """A Debian package."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def description(self) -> Description:
        """What its control file says. Raises MalformedError, UnsupportedError."""
        text = self._control("control")
        if text is None:
            raise MalformedError("the package has no control file", Location(self._source.path, "control.tar"))
        return described_by_control(text)

    def verify(self) -> None:
        """Compare the files with the sums in the package, if they are not compressed: a compressed stream has its own.

        Raises MalformedError when one is another.
        """
        if self._member("data.tar").name != "data.tar" or not (text := self._control("md5sums")):
            return
        expected = {path: digest for digest, _, path in (line.partition(b"  ") for line in text.splitlines())}
        stream = self.stream()
        for entry in self.entries(stream):
            member = entry.member
            wanted = expected.get(os.fsencode(member.path)) if member.kind == "file" and not entry.extents else None
            if wanted is None:
                continue
            at, digest = stream.position, hashlib.md5(usedforsecurity=False)
            for block in stream.blocks(entry.stored, member.path):
                digest.update(block)
            if digest.hexdigest() != wanted.decode("ascii", "replace").lower():
                place, sum_ = stream.place(at, member.path), f"MD5 {wanted.decode('ascii', 'replace')}"
                raise MalformedError("the file is damaged", place, expected=sum_, actual=digest.hexdigest())

    def _control(self, name: str) -> bytes | None:
        """A file of control.tar; None when there is none."""
        stream = self._stream("control.tar")
        for entry in TarArchive(stream).entries():
            if entry.member.path == name and entry.member.kind == "file":
                if entry.stored > _LARGEST_CONTROL:
                    at = stream.place(stream.position, name)
                    raise UnsupportedError("too long", at, expected=f"at most {_LARGEST_CONTROL:,} bytes")
                return stream.exactly(entry.stored, name)
        return None

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
            raise UnsupportedError("unsupported format version", at, expected="2.0", actual=version)
        found = next((member for member in members if member.name.startswith(name)), None)
        if found is None:
            raise MalformedError(f"the package has no {name}", Location(self._source.path, "", self._source.size))
        return found
