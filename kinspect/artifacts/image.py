"""The decompressed kernel image that a boot loader starts."""

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.artifact import Artifact, described
from kinspect.errors import Location, MalformedError, TruncatedError
from kinspect.schemas.image import MAGIC, ImageHeader
from kinspect.schemas.record import offsets, parse, size_of

# Whether an Image is objcopy of a vmlinux is told without these.
if TYPE_CHECKING:
    from kinspect.artifacts.pe import Pe

LARGEST_KERNEL = 1 << 30
"""How far an Image is searched, in bytes: no kernel is larger, and a sparse file may be a thousand times that."""


class ImageFacts(NamedTuple):
    """What an Image says of itself. Sizes and offsets are in bytes; text without its final newline."""

    path: str
    size: int
    header: ImageHeader
    banner: str | None
    build_id: str | None
    pe: "Pe | None"
    signature: str


class Image(Artifact):
    """An arm64 `Image`, as `objcopy -O binary` leaves it.

    Source: Documentation/arch/arm64/booting.rst.
    """

    kind = "an arm64 Image"

    @cached_property
    def header(self) -> ImageHeader:
        """The 64-byte header. TruncatedError when the file is shorter, MalformedError when it is no arm64 Image."""
        if 0 < self.size < size_of(ImageHeader):
            raise TruncatedError(
                f"need {size_of(ImageHeader)} bytes for an Image header, have {self.size}",
                Location(self.path),
            )
        data = self.source.read(0, size_of(ImageHeader), "Image header")
        header = parse(ImageHeader, data)
        if header.magic != MAGIC:
            raise MalformedError(
                f"no arm64 Image ({described(data)})",
                self.field("magic"),
                expected=MAGIC,
                actual=header.magic,
            )
        return header

    def field(self, name: str) -> Location:
        """The place of one field of the header."""
        return self.at(name, offsets(ImageHeader)[name])

    @cached_property
    def pe(self) -> "Pe | None":
        """The PE/COFF header; None when the kernel is no EFI application. MalformedError when it is broken."""
        from kinspect.artifacts.pe import Pe

        return Pe.of(self.source, self.header.res5) if self.header.res5 else None

    @property
    def readable_pe(self) -> "Pe | None":
        """The PE/COFF header where it can be read; why it cannot is for a check to say."""
        try:
            return self.pe
        except MalformedError:
            return None

    @cached_property
    def banner(self) -> str | None:
        """The `Linux version` line that the kernel prints first.

        It is the one with a build number; a weak string without it often lies before.
        """
        from kinspect.artifacts.raw_bytes import banner_in

        return banner_in(self.source, 0, min(self.size, LARGEST_KERNEL))

    @cached_property
    def build_id(self) -> bytes | None:
        """The GNU build id in the raw bytes; the vDSO images that lie inside have others of their own."""
        from kinspect.artifacts.raw_bytes import build_id_in

        return build_id_in(self.source, 0, min(self.size, LARGEST_KERNEL))

    @property
    def facts(self) -> ImageFacts:
        """All of the above. A PE header that is broken is left to the checks."""
        pe = self.readable_pe
        return ImageFacts(
            self.path,
            self.size,
            self.header,
            self.banner,
            self.build_id.hex() if self.build_id else None,
            pe,
            pe.signature if pe else "none",
        )
