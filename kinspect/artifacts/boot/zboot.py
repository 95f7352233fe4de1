"""EFI zboot images (vmlinuz.efi): a small EFI program with a compressed Image inside."""

from functools import cached_property

from kinspect.artifacts.boot.container import Stream, Wrapping
from kinspect.artifacts.boot.efi import EfiProgram
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.compression.magics import compression_of
from kinspect.artifacts.kinds import IMAGE, kind_of
from kinspect.artifacts.raw.limits import HEAD
from kinspect.errors import Location, TruncatedError
from kinspect.schemas.record import offsets, parse, size_of
from kinspect.schemas.zboot import ZbootHeader
from kinspect.source import Source


class Zboot(Wrapping, EfiProgram):
    """A small EFI program with a compressed Image inside.

    Source: drivers/firmware/efi/libstub/zboot-header.S and Makefile.zboot.
    """

    kind = "an EFI zboot image"
    hint = "`kinspect image` shows it"
    program = "EFI zboot"

    @cached_property
    def header(self) -> ZbootHeader:
        """The header. TruncatedError when the file ends inside it or inside the payload."""
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
    def pe_offset(self) -> int:
        """The offset of the PE/COFF header. Raises as `header` does."""
        return self.header.pe_offset

    @property
    def pe_offset_at(self) -> Location:
        """The location of the field with that offset."""
        return self.field("pe_offset")

    @cached_property
    def stream(self) -> Stream:
        """The payload, compressed as its first bytes say, even if the header says otherwise. Raises like `header`."""
        start, size = self.header.payload_offset, self.header.payload_size
        found = compression_of(self.source.read(start, min(size, HEAD), "payload"))
        return Stream(start, start + size, found or self.header.compression_name)

    def padding_in(self, data: bytearray) -> int:
        """How many zeros the build appended to the Image before compressing it, up to its size in memory.

        The Image itself ends with its last PE section, or with its certificates.
        """
        image = Image(Source(self.path, data))
        if kind_of(bytes(data[:HEAD])) != IMAGE or image.header.image_size != image.size or not image.readable_pe:
            return 0
        padding = image.size - image.readable_pe.end
        return padding if 0 < padding < image.size and data.endswith(bytes(padding)) else 0

    def field(self, name: str) -> Location:
        """The location of a field of the header."""
        return self.at(name, offsets(ZbootHeader)[name])
