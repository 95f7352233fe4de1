"""rpm packages: a lead, a header with signatures, a header, and the files as a compressed cpio archive.

Source: rpm, docs/manual/format_v4.md; lib/rpmlead.c, lib/header.c.
"""

import hashlib
import stat
from collections.abc import Collection, Iterator
from functools import cached_property

from kinspect.artifacts.compression.magics import compression_of, has_checksum
from kinspect.artifacts.compression.streams import COMPRESSIONS
from kinspect.artifacts.package.description import Description
from kinspect.artifacts.package.member import PackageEntry, PackageMember, member_path
from kinspect.artifacts.package.rpm.header import RpmTags
from kinspect.artifacts.package.rpm.payload import RpmArchive
from kinspect.artifacts.package.stream import PackageStream
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.schemas.package import rpm
from kinspect.schemas.package.rpm import RpmLead
from kinspect.schemas.record import size_of
from kinspect.source import Source

_ALIGNMENT = 8
_SHA256 = 8
_BLOCK = 1 << 18
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink"}
_PLAIN = b"07070"


class Rpm:
    """An rpm package."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @cached_property
    def _signatures(self) -> RpmTags:
        return RpmTags(self._source, size_of(RpmLead), "signature header")

    @cached_property
    def _tags(self) -> RpmTags:
        end = self._signatures.end
        return RpmTags(self._source, end + -end % _ALIGNMENT, "header")

    def description(self) -> Description:
        """What its header says; the version with its epoch, if it has one, and release."""
        tags = self._tags
        epoch = tags.numbers(rpm.EPOCH)
        version = "-".join(part for part in (tags.string(rpm.VERSION), tags.string(rpm.RELEASE)) if part)
        return Description(tags.string(rpm.NAME), f"{epoch[0]}:{version}" if epoch else version, tags.string(rpm.ARCH))

    def stream(self) -> PackageStream:
        """The payload. Raises MalformedError when its digest in the header is another one, UnsupportedError."""
        tags, source = self._tags, self._source
        form, start = tags.string(rpm.PAYLOADFORMAT), tags.end
        if form not in ("", "cpio"):
            raise UnsupportedError(
                "the payload is not a cpio archive", Location(source.path, "payload", start), actual=form
            )
        head = source.read(start, min(16, source.size - start))
        compression = compression_of(head)
        if not head.startswith(_PLAIN) and compression not in COMPRESSIONS:
            found = tags.string(rpm.PAYLOADCOMPRESSOR) or "unknown"
            at = Location(source.path, "payload", start)
            raise UnsupportedError("the compression of the payload is not supported", at, actual=found)
        return PackageStream(source, start, source.size, compression, "payload")

    def verify(self) -> Collection[str] | None:
        """Compare header and payload with the digests in the package. MalformedError when one is another.

        Nothing is covered where neither a digest nor the compression of the payload does it.
        """
        tags, size = self._tags, self._source.size
        self._compare("header", tags.offset, tags.end, self._signatures.string(rpm.SIGNATURE_SHA256))
        if tags.numbers(rpm.PAYLOADDIGESTALGO) in ((), (_SHA256,)):
            self._compare("payload", tags.end, size, tags.string(rpm.PAYLOADDIGEST))
            if tags.string(rpm.PAYLOADDIGEST):
                return None
        return None if has_checksum(self._source.read(tags.end, min(16, size - tags.end))) else ()

    def _compare(self, part: str, start: int, end: int, expected: str) -> None:
        if not expected:
            return
        digest = hashlib.sha256()
        for at in range(start, end, _BLOCK):
            digest.update(self._source.read(at, min(_BLOCK, end - at)))
        if digest.hexdigest() != expected.lower():
            place, actual = Location(self._source.path, part, start), digest.hexdigest()
            raise MalformedError(f"the {part} is damaged", place, expected=f"SHA-256 {expected}", actual=actual)

    def entries(self, stream: PackageStream) -> Iterator[PackageEntry]:
        """Its members. Raises MalformedError, TruncatedError, UnsupportedError."""
        return RpmArchive(stream, self._file).entries()

    def _place(self, offset: int) -> Location:
        return Location(self._source.path, "header", offset)

    @cached_property
    def _last_links(self) -> dict[tuple[int, int], tuple[int, int]]:
        """How many files there are of an inode that has several, and the number of the last, which has the data."""
        tags = self._tags
        found: dict[tuple[int, int], tuple[int, int]] = {}
        inodes = zip(tags.numbers(rpm.FILEDEVICES), tags.numbers(rpm.FILEINODES), strict=False)
        for number, (group, mode) in enumerate(zip(inodes, tags.numbers(rpm.FILEMODES), strict=False)):
            if stat.S_ISREG(mode):
                found[group] = found.get(group, (0, 0))[0] + 1, number
        return {group: links for group, links in found.items() if links[0] > 1}

    def _file(self, number: int) -> PackageEntry | None:
        """What the header says of a file, for an archive that has only its number."""
        tags = self._tags
        sizes = tags.numbers(rpm.LONGFILESIZES) or tags.numbers(rpm.FILESIZES)
        modes, folders = tags.numbers(rpm.FILEMODES), tags.numbers(rpm.DIRINDEXES)
        names, paths, times = tags.names(rpm.BASENAMES), tags.names(rpm.DIRNAMES), tags.numbers(rpm.FILEMTIMES)
        count = min(map(len, (sizes, modes, folders, names, times)))
        if number >= count or folders[number] >= len(paths):
            return None
        mode = modes[number]
        path = member_path(paths[folders[number]] + names[number], self._place, tags.end)
        kind = _KINDS.get(stat.S_IFMT(mode), "other")
        stored = sizes[number] if kind in ("file", "symlink") else 0
        member = PackageMember(path, kind, stored, mode & 0o7777, "", times[number])
        devices, inodes = tags.numbers(rpm.FILEDEVICES), tags.numbers(rpm.FILEINODES)
        group = (devices[number], inodes[number]) if number < min(len(devices), len(inodes)) else None
        if kind != "file" or group not in self._last_links:
            return PackageEntry(member, stored)
        return PackageEntry(member, stored if number == self._last_links[group][1] else 0, None, group)
