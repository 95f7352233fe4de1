"""The headers of an rpm package. Numbers are big-endian."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import B16, B32, U8, Raw

MAGIC = b"\xed\xab\xee\xdb"
HEADER_MAGIC = b"\x8e\xad\xe8\x01"
BINARY, SOURCE = 0, 1
"""Values of RpmLead.type."""
NAME, VERSION, RELEASE, EPOCH, ARCH = 1000, 1001, 1002, 1003, 1022
FILESIZES, FILEMODES, FILEMTIMES, FILELINKTOS, FILEDEVICES, FILEINODES = 1028, 1030, 1034, 1036, 1095, 1096
DIRINDEXES, BASENAMES, DIRNAMES, PAYLOADFORMAT, PAYLOADCOMPRESSOR = 1116, 1117, 1118, 1124, 1125
LONGFILESIZES, PAYLOADDIGEST, PAYLOADDIGESTALGO = 5008, 5092, 5093
"""Tags of the header. Source: rpm, include/rpm/rpmtag.h."""
SIGNATURE_SHA256 = 273
"""In the signature header: the digest of the header. Source: rpm, include/rpm/rpmtag.h, RPMSIGTAG_SHA256."""
INT16, INT32, INT64, STRING, STRING_ARRAY, I18N_STRING = 3, 4, 5, 6, 8, 9
"""Types of a value. Source: rpm, include/rpm/rpmtag.h, rpmTagType."""


class RpmLead(NamedTuple):
    """The first 96 bytes, of which only the magic number counts today. Source: rpm, lib/rpmlead.c."""

    magic: Annotated[bytes, Raw(4)]
    major: U8
    minor: U8
    type: B16
    archnum: B16
    name: Annotated[bytes, Raw(66)]
    osnum: B16
    signature_type: B16
    reserved: Annotated[bytes, Raw(16)]


class RpmHeader(NamedTuple):
    """What begins a header: `nindex` entries and `hsize` bytes of values follow. Source: rpm, lib/header.c."""

    magic: Annotated[bytes, Raw(4)]
    reserved: Annotated[bytes, Raw(4)]
    nindex: B32
    hsize: B32


class RpmEntry(NamedTuple):
    """A tag of a header: where its values are, and how many. Source: rpm, lib/header.c, struct entryInfo_s."""

    tag: B32
    type: B32
    offset: B32
    values: B32
