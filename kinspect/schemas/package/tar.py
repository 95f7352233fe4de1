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
