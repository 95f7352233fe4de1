"""Tar archives: ustar, pax, GNU tar and what came before them, read once from start to end.

Source: POSIX.1-2017, pax; GNU tar's manual, "Basic Tar Format".
"""

import os
from collections.abc import Iterator

from kinspect.artifacts.package.member import MOST_MEMBERS, PackageEntry, PackageMember, member_path
from kinspect.artifacts.package.stream import PackageStream
from kinspect.artifacts.package.tar.numbers import decimal, sum_is_right, tar_number, tar_seconds
from kinspect.artifacts.package.tar.sparse import SPARSE_FIELDS, is_sparse, old_sparse_map, sparse_map
from kinspect.errors import MalformedError, UnsupportedError
from kinspect.schemas.package import tar
from kinspect.schemas.package.tar import BLOCK, TarHeader
from kinspect.schemas.record import table_row

_KINDS = {
    tar.FILE: "file",
    tar.OLD_FILE: "file",
    tar.CONTIGUOUS: "file",
    tar.HARD_LINK: "hardlink",
    tar.SYMBOLIC_LINK: "symlink",
    tar.FOLDER: "folder",
}
_EXTRAS = (tar.LONG_NAME, tar.LONG_TARGET, tar.EXTENDED, tar.SOLARIS_EXTENDED, tar.GLOBAL)
_OF_MEMBERS = {"path", "linkpath", "size"}
_FIELDS = {name.encode("ascii") for name in (*_OF_MEMBERS, *SPARSE_FIELDS)}
_WITHOUT_DATA = (tar.HARD_LINK, tar.SYMBOLIC_LINK, tar.CHARACTER, tar.BLOCK_DEVICE, tar.FOLDER, tar.FIFO)
_ZEROS = bytes(BLOCK)
_LARGEST_EXTRA = 1 << 20
"""Bytes of one extended header or long name."""
_row = table_row(TarHeader)
Fields = dict[str, bytes]


class TarArchive:
    """The members of a tar archive.

    `joined`: archives may follow each other, of which only the last one needs an end, as in an apk.
    """

    def __init__(self, stream: PackageStream, joined: bool = False) -> None:
        self._stream, self._joined = stream, joined

    def entries(self) -> Iterator[PackageEntry]:
        """Each member; whoever takes it may read its `stored` bytes from the stream, or less, before the next one.

        Raises MalformedError, TruncatedError, UnsupportedError.
        """
        stream, count, ended = self._stream, 0, False
        fields: Fields = {}
        while True:
            at = stream.position
            block = stream.read(BLOCK, "a header")
            if not block:
                if ended:
                    return
                raise stream.cut("without its last block of zeros")
            if block == _ZEROS:
                ended = True
                if not self._joined:
                    return
                continue
            ended = False
            count += 1
            if count > MOST_MEMBERS:
                raise UnsupportedError("too many members", stream.place(at), expected=f"at most {MOST_MEMBERS:,}")
            header = TarHeader._make(_row.unpack(block))
            self._check(block, header, at)
            if header.typeflag in _EXTRAS:
                self._extra(header, fields, at)
                continue
            entry = self._entry(block, header, fields, at)
            if fields:
                fields = {}
            end = stream.position + entry.stored + -entry.stored % BLOCK
            if entry.member.path:
                yield entry
            stream.skip(end - stream.position, "a member")

    def _check(self, block: bytes, header: TarHeader, at: int) -> None:
        try:
            right = sum_is_right(block, header.chksum)
        except ValueError:
            right = False
        if not right:
            raise MalformedError("not a tar header: its checksum is wrong", self._stream.place(at))

    def _extra(self, header: TarHeader, fields: Fields, at: int) -> None:
        """Add what a header says of the next member to its fields."""
        stream, size = self._stream, self._number(header.size, "size", at)
        if size > _LARGEST_EXTRA:
            expected = f"at most {_LARGEST_EXTRA:,} bytes"
            raise UnsupportedError("an extended header is too long", stream.place(at), expected=expected)
        data = stream.exactly(size, "an extended header")
        stream.skip(-size % BLOCK, "an extended header")
        match header.typeflag:
            case tar.LONG_NAME:
                fields["path"] = data.split(b"\0", 1)[0]
            case tar.LONG_TARGET:
                fields["linkpath"] = data.split(b"\0", 1)[0]
            case tar.GLOBAL:
                if _OF_MEMBERS & self._records(data, at).keys():
                    raise UnsupportedError("a global header names or sizes members", stream.place(at))
            case _:
                fields |= self._records(data, at)

    def _records(self, data: bytes, at: int) -> Fields:
        """The records of an extended header: each is its length, a blank, `KEYWORD=VALUE` and a line feed."""
        found, start = Fields(), 0
        while start < len(data):
            digits, blank, _ = data[start : start + 20].partition(b" ")
            end = start + int(digits) if blank and digits.isdigit() else 0
            name, equals, value = data[start + len(digits) + 1 : end - 1].partition(b"=")
            if not start < end <= len(data) or not equals or data[end - 1 : end] != b"\n":
                raise MalformedError("an extended header is malformed", self._stream.place(at))
            # Others may be as many as the archive has room for.
            if name in _FIELDS:
                found[name.decode("ascii")] = value
            start = end
        return found

    def _entry(self, block: bytes, header: TarHeader, fields: Fields, at: int) -> PackageEntry:
        kind, name, place = _KINDS.get(header.typeflag, "other"), header.name.split(b"\0", 1)[0], self._stream.place
        # GNU tar has another magic number, and other fields in place of the prefix.
        if header.magic == tar.MAGIC and header.prefix[0]:
            name = header.prefix.split(b"\0", 1)[0] + b"/" + name
        stored, to = self._number(header.size, "size", at), ""
        if fields:
            name = fields.get("GNU.sparse.name") or fields.get("path", name)
            if "size" in fields:
                stored = self._decimal(fields["size"], at)
        path = member_path(name, place, at)
        if header.typeflag == tar.OLD_FILE and name.endswith(b"/"):
            kind = "folder"
        if header.typeflag in _WITHOUT_DATA:
            target = fields.get("linkpath") or header.linkname.split(b"\0", 1)[0]
            stored, to = 0, member_path(target, place, at) if kind == "hardlink" else os.fsdecode(target)
        mode, modified = self._number(header.mode, "mode", at) & 0o7777, tar_seconds(header.mtime)
        member = PackageMember(path, kind, stored, mode, to if kind in ("symlink", "hardlink") else "", modified)
        if header.typeflag == tar.OLD_SPARSE or (kind == "file" and is_sparse(fields)):
            return self._sparse(block, member, fields, at)
        return PackageEntry(member, stored)

    def _sparse(self, block: bytes, member: PackageMember, fields: Fields, at: int) -> PackageEntry:
        """A sparse file, after its map was read."""
        stream, before = self._stream, self._stream.position
        try:
            if fields and is_sparse(fields):
                size, extents = sparse_map(fields, stream)
                stored = member.size - (stream.position - before)
            else:
                size, extents = old_sparse_map(block, stream)
                stored = member.size
        except ValueError as reason:
            raise MalformedError(f"a sparse file's map is bad ({reason})", stream.place(at, member.path)) from reason
        if stored != sum(length for _, length in extents):
            raise MalformedError("a sparse file's map does not match its size", stream.place(at, member.path))
        return PackageEntry(member._replace(kind="file", size=size), stored, extents)

    def _number(self, field: bytes, name: str, at: int) -> int:
        """A number of a header; zero when it is empty."""
        try:
            return tar_number(field)
        except ValueError as reason:
            place = self._stream.place(at)
            raise MalformedError(f"{name} is not a number", place, expected="octal digits", actual=field) from reason

    def _decimal(self, value: bytes, at: int) -> int:
        try:
            return decimal(value)
        except ValueError as reason:
            place = self._stream.place(at)
            raise MalformedError("size is not a number", place, expected="digits", actual=value[:40]) from reason
