"""The header of a member of a cpio archive, in the formats newc and crc."""

from struct import Struct
from typing import Annotated, NamedTuple

from kinspect.schemas.record import Raw

NEWC, CRC = b"070701", b"070702"
OLD_ASCII = b"070707"
"""The magic number of the format odc, which the kernel refuses."""
TRAILER = b"TRAILER!!!"
"""The name of the last member of an archive."""
Hex = Annotated[bytes, Raw(8)]
_NUMBERS = Struct(">13I")


class CpioHeader(NamedTuple):
    """The 110 bytes before a member's name; every number is 8 hexadecimal digits.

    Source: Documentation/driver-api/early-userspace/buffer-format.rst.
    """

    c_magic: Annotated[bytes, Raw(6)]
    c_ino: Hex
    c_mode: Hex
    c_uid: Hex
    c_gid: Hex
    c_nlink: Hex
    c_mtime: Hex
    c_filesize: Hex
    c_maj: Hex
    c_min: Hex
    c_rmaj: Hex
    c_rmin: Hex
    c_namesize: Hex
    c_chksum: Hex

    @property
    def numbers(self) -> tuple[int, ...] | None:
        """The numbers; None when a field is not hexadecimal."""
        digits = b"".join(self[1:])
        # fromhex() skips blanks.
        if not digits.isalnum():
            return None
        try:
            return _NUMBERS.unpack(bytes.fromhex(digits.decode("ascii")))
        except ValueError:
            return None
