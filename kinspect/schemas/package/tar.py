"""The header of a member of a tar archive."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import Raw

BLOCK = 512
"""Headers and data fill whole blocks."""
MAGIC = b"ustar\0"
FILE, OLD_FILE, CONTIGUOUS, OLD_SPARSE = b"0", b"\0", b"7", b"S"
HARD_LINK, SYMBOLIC_LINK, CHARACTER, BLOCK_DEVICE, FOLDER, FIFO = b"1", b"2", b"3", b"4", b"5", b"6"
LONG_NAME, LONG_TARGET = b"L", b"K"
"""GNU tar: the data is the name, or the target, of the next member."""
EXTENDED, SOLARIS_EXTENDED, GLOBAL = b"x", b"X", b"g"
"""pax: the data holds fields of the next member, or of all that follow."""


class TarHeader(NamedTuple):
    """The 512 bytes before a member's data. Numbers are octal digits, or base-256 where the first bit is set.

    Source: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar, src/tar.h.
    """

    name: Annotated[bytes, Raw(100)]
    mode: Annotated[bytes, Raw(8)]
    uid: Annotated[bytes, Raw(8)]
    gid: Annotated[bytes, Raw(8)]
    size: Annotated[bytes, Raw(12)]
    mtime: Annotated[bytes, Raw(12)]
    chksum: Annotated[bytes, Raw(8)]
    typeflag: Annotated[bytes, Raw(1)]
    linkname: Annotated[bytes, Raw(100)]
    magic: Annotated[bytes, Raw(6)]
    version: Annotated[bytes, Raw(2)]
    uname: Annotated[bytes, Raw(32)]
    gname: Annotated[bytes, Raw(32)]
    devmajor: Annotated[bytes, Raw(8)]
    devminor: Annotated[bytes, Raw(8)]
    prefix: Annotated[bytes, Raw(155)]
    rest: Annotated[bytes, Raw(12)]


class GnuSparseHeader(NamedTuple):
    """The header of a sparse file, as GNU tar's older format has it: offset and size of what is stored, 12 bytes each.

    Source: GNU tar, src/tar.h, struct oldgnu_header.
    """

    before: Annotated[bytes, Raw(386)]
    map: Annotated[bytes, Raw(96)]
    isextended: Annotated[bytes, Raw(1)]
    realsize: Annotated[bytes, Raw(12)]
    rest: Annotated[bytes, Raw(17)]


class GnuSparseExtension(NamedTuple):
    """A block with more of the map. Source: GNU tar, src/tar.h, struct sparse_header."""

    map: Annotated[bytes, Raw(504)]
    isextended: Annotated[bytes, Raw(1)]
    rest: Annotated[bytes, Raw(7)]
