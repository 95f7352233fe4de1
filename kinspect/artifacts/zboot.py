"""EFI zboot images (vmlinuz.efi): recognised and named."""

from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.errors import Location, TruncatedError
from kinspect.schemas.record import offsets, parse, size_of
from kinspect.schemas.zboot import ZbootHeader


class ZbootFacts(NamedTuple):
    """The header of a zboot image; offset and size of the payload in bytes."""

    path: str
    size: int
    compression: str
    payload_offset: int
    payload_size: int


class Zboot(Artifact):
    """A small EFI program with a compressed Image inside. kinspect does not look inside yet.

    Source: drivers/firmware/efi/libstub/zboot-header.S.
    """

    kind = "an EFI zboot image"
    wrapping = True
    hint = "an EFI zboot, not a raw Image: its payload is the compressed Image"

    @cached_property
    def header(self) -> ZbootHeader:
        """The header; TruncatedError when the file ends inside it or inside the payload."""
        header = parse(ZbootHeader, self.source.read(0, size_of(ZbootHeader), "zboot header"))
        room = self.size - header.payload_offset
        if room < 0:
            at, expected = self.field("payload_offset"), f"at most {self.size:,}"
            raise TruncatedError("the payload begins past the end", at, expected=expected, actual=header.payload_offset)
        if header.payload_size > room:
            at, expected = self.field("payload_size"), f"at most {room:,}"
            raise TruncatedError("the payload ends past the end", at, expected=expected, actual=header.payload_size)
        return header

    @property
    def facts(self) -> ZbootFacts:
        """Which compression it has, and where the payload lies."""
        header = self.header
        return ZbootFacts(self.path, self.size, header.compression_name, header.payload_offset, header.payload_size)

    def field(self, name: str) -> Location:
        """The place of one field of the header."""
        return self.at(name, offsets(ZbootHeader)[name])
