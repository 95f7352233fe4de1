"""The header of a member of an ar archive."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import Raw

MAGIC = b"!<arch>\n"
END = b"`\n"


class ArHeader(NamedTuple):
    """The 60 bytes before a member's data; numbers are decimal digits. Source: ar(5); deb(5)."""

    ar_name: Annotated[bytes, Raw(16)]
    ar_date: Annotated[bytes, Raw(12)]
    ar_uid: Annotated[bytes, Raw(6)]
    ar_gid: Annotated[bytes, Raw(6)]
    ar_mode: Annotated[bytes, Raw(8)]
    ar_size: Annotated[bytes, Raw(10)]
    ar_fmag: Annotated[bytes, Raw(2)]
