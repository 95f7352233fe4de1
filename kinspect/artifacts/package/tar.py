"""Tar archives: ustar, pax, GNU tar and what came before them, read once from start to end.

Source: POSIX.1-2017, pax; GNU tar's manual, "Basic Tar Format".
"""

import os
import zlib
from collections.abc import Iterator

from kinspect.artifacts.package.member import MOST_MEMBERS, PackageEntry, PackageMember, member_path
from kinspect.artifacts.package.stream import PackageStream
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
_WITHOUT_DATA = (tar.HARD_LINK, tar.SYMBOLIC_LINK, tar.CHARACTER, tar.BLOCK_DEVICE, tar.FOLDER, tar.FIFO)
_ZEROS = bytes(BLOCK)
_LARGEST_EXTRA = 1 << 20
"""Bytes of one extended header or long name."""
_BLANK_SUM = 8 * 0x20
"""The sum of the checksum's own field, which counts as blanks."""
_ADLER = 65521
_MASK = 0xFFFF
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
                raise stream.cut("it: its last block of zeros is missing")
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
            self._check_sum(block, header.chksum, at)
            if header.typeflag in _EXTRAS:
                self._extra(header, fields, at)
                continue
            entry = self._entry(header, fields, at)
            if fields:
                fields = {}
            end = stream.position + entry.stored + -entry.stored % BLOCK
            if entry.member.path:
                yield entry
            stream.skip(end - stream.position, "a member")

    def _check_sum(self, block: bytes, chksum: bytes, at: int) -> None:
        # Adler-32 has the sum in its low half, modulo 65521, at the speed of C.
        total = (zlib.adler32(block) & _MASK) - 1 + _BLANK_SUM - sum(chksum)
        found = self._number(chksum, "chksum", at)
        if (total - found) % _ADLER:
            signed = total - 256 * sum(byte > 127 for byte in block.replace(chksum, b""))
            if (signed - found) % _ADLER:
                raise MalformedError("no header of a tar member is here: its checksum is wrong", self._stream.place(at))

    def _extra(self, header: TarHeader, fields: Fields, at: int) -> None:
        """Add what a header says of the next member to its fields."""
        stream, size = self._stream, self._number(header.size, "size", at)
        if size > _LARGEST_EXTRA:
            expected = f"at most {_LARGEST_EXTRA:,} bytes"
            raise UnsupportedError("an extended header is too long", stream.place(at), expected=expected)
        data = stream.read(size, "an extended header") if size else b""
        if len(data) < size:
            raise stream.cut("an extended header")
        stream.skip(-size % BLOCK, "an extended header")
        match header.typeflag:
            case tar.LONG_NAME:
                fields["path"] = data.split(b"\0", 1)[0]
            case tar.LONG_TARGET:
                fields["linkpath"] = data.split(b"\0", 1)[0]
            case tar.GLOBAL:
                if _UNREAD & self._records(data, at).keys():
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
                raise MalformedError("an extended header is broken", self._stream.place(at))
            found[name.decode("utf-8", "replace")] = value
            start = end
        return found

    def _entry(self, header: TarHeader, fields: Fields, at: int) -> PackageEntry:
        stream = self._stream
        kind = _KINDS.get(header.typeflag, "other")
        name, target = header.name.split(b"\0", 1)[0], b""
        # GNU tar has another magic number, and other fields in place of the prefix.
        if header.magic == tar.MAGIC and header.prefix[0]:
            name = header.prefix.split(b"\0", 1)[0] + b"/" + name
        size = self._number(header.size, "size", at)
        if fields:
            name = fields.get("path", name)
            if "size" in fields:
                size = self._decimal(fields["size"], at)
        if kind == "file" and header.typeflag == tar.OLD_FILE and name.endswith(b"/"):
            kind = "folder"
        if header.typeflag in _WITHOUT_DATA:
            size = 0
            target = fields.get("linkpath") or header.linkname.split(b"\0", 1)[0]
        path = member_path(name, stream.place(at))
        if kind == "hardlink":
            to = member_path(target, stream.place(at))
        else:
            to = os.fsdecode(target) if kind == "symlink" else ""
        mode, modified = self._number(header.mode, "mode", at), _seconds(header.mtime)
        return PackageEntry(PackageMember(path, kind, size, mode & 0o7777, to, modified), size)

    def _number(self, field: bytes, name: str, at: int) -> int:
        """A number of a header; zero when it is empty."""
        try:
            return _number(field)
        except ValueError as reason:
            place = self._stream.place(at)
            raise MalformedError(f"{name} is not a number", place, expected="octal digits", actual=field) from reason

    def _decimal(self, value: bytes, at: int) -> int:
        if not value.isdigit() or len(value) > 20:
            place = self._stream.place(at)
            raise MalformedError("size is not a number", place, expected="decimal digits", actual=value[:40])
        return int(value)


_EXTRAS = (tar.LONG_NAME, tar.LONG_TARGET, tar.EXTENDED, tar.SOLARIS_EXTENDED, tar.GLOBAL)
_UNREAD = {"path", "linkpath", "size"}


def _number(field: bytes) -> int:
    """ValueError when a field is not a number, or a negative one."""
    if field[0] & 0x80:
        # The first bit marks base-256; the second is the sign.
        if field[0] != 0x80:
            raise ValueError("negative, or too large")
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not digits:
        return 0
    # int() takes signs and underscores too.
    if not digits.isdigit():
        raise ValueError("no digits")
    return int(digits, 8)


def _seconds(field: bytes) -> int:
    """A time that is of no consequence when it is not a number."""
    try:
        return min(_number(field), 1 << 40)
    except ValueError:
        return 0
