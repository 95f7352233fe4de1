"""Debian packages: an ar archive of debian-binary, control.tar and data.tar. Source: deb(5)."""

import hashlib
import os
from collections.abc import Collection, Iterator

from kinspect.artifacts.compression.magics import has_checksum
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

    def has_control_sum(self) -> bool:
        """Whether a checksum covers the control file: that of a compressed stream. md5sums has no line for it."""
        data = self._member("control.tar")
        return has_checksum(self._source.read(data.offset, min(16, data.size)))

    def verify(self) -> Collection[str] | None:
        """Compare the files with md5sums of the package, unless they are in a compressed stream that has a sum itself.

        Raises MalformedError when one is another.
        """
        data = self._member("data.tar")
        if has_checksum(self._source.read(data.offset, min(16, data.size))):
            return None
        covered: set[str] = set()
        expected = dict(_sums(self._control("md5sums") or b""))
        lacking, stream = dict(expected), self.stream()
        for entry in self.entries(stream):
            path = entry.member.path
            lacking.pop(path, None)
            wanted = expected.get(path) if entry.member.kind == "file" and not entry.extents else None
            if wanted is None:
                continue
            at, digest = stream.position, hashlib.md5(usedforsecurity=False)
            for block in stream.blocks(entry.stored, path):
                digest.update(block)
            if digest.hexdigest() != wanted:
                place, actual = stream.place(at, path), digest.hexdigest()
                raise MalformedError("the file is damaged", place, expected=f"MD5 {wanted}", actual=actual)
            covered.add(path)
        if lacking:
            # Its name is damaged, there or in the archive: long ones are in no header that has a checksum.
            at_sums = Location(self._source.path, "md5sums")
            raise MalformedError("the package lacks a file of its md5sums", at_sums, expected=next(iter(lacking)))
        return covered

    def _control(self, name: str) -> bytes | None:
        """A file of control.tar; None when there is none."""
        stream, found = self._stream("control.tar"), None
        for entry in TarArchive(stream).entries():
            if entry.member.path == name and entry.member.kind == "file" and found is None:
                if entry.stored > _LARGEST_CONTROL:
                    at = stream.place(stream.position, name)
                    raise UnsupportedError("too long", at, expected=f"at most {_LARGEST_CONTROL:,} bytes")
                found = stream.exactly(entry.stored, name)
        stream.finish()
        return found

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


def _sums(text: bytes) -> Iterator[tuple[str, str]]:
    """The files in md5sums, and their sums. Names with a line feed or a backslash are escaped, and left out."""
    for line in text.split(b"\n"):
        digest, _, path = line.partition(b"  ")
        if path and not digest.startswith(b"\\"):
            yield os.fsdecode(path.removeprefix(b"./")), digest.decode("ascii", "replace").lower()
