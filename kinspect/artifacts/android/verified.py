"""Partitions of Android Verified Boot: an image, its metadata behind it, and a footer at the end."""

from collections.abc import Iterator
from functools import cached_property

from kinspect.artifacts.android.metadata import Metadata
from kinspect.artifacts.boot.parts import BootContainer, BootPart
from kinspect.schemas.android import FOOTER_MAGIC, AvbFooter
from kinspect.schemas.record import size_of
from kinspect.source import Window

METADATA, FOOTER = "vbmeta", "avb-footer"
"""The names of the parts."""


class Verified(BootContainer):
    """An image that may have metadata of Android Verified Boot. Source: external/avb, README.md."""

    kind = "an Android image"

    @cached_property
    def footer(self) -> AvbFooter | None:
        """The footer in the last 64 bytes; None without one."""
        size = size_of(AvbFooter)
        if self.size < size:
            return None
        found = self.record(AvbFooter, self.size - size, "AVB footer")
        return found if found.magic == FOOTER_MAGIC else None

    @cached_property
    def metadata(self) -> Metadata | None:
        """The metadata that the footer points to; None without a footer. TruncatedError when it is outside the file."""
        part = self.part(METADATA)
        return Metadata(Window(self.source, part.start, part.size), part.start) if part else None

    def verified_parts(self) -> Iterator[BootPart]:
        """The metadata and the footer, if there is one."""
        if self.footer:
            yield BootPart(METADATA, self.footer.vbmeta_offset, self.footer.vbmeta_size)
            yield BootPart(FOOTER, self.size - size_of(AvbFooter), size_of(AvbFooter))


class Vbmeta(Verified):
    """The image of a vbmeta partition: metadata alone, of other partitions."""

    kind = "an Android vbmeta image"
    program = "Android vbmeta image"

    @cached_property
    def metadata(self) -> Metadata:
        """The metadata."""
        return Metadata(self.source)

    @property
    def listed(self) -> tuple[BootPart, ...]:
        """The metadata; the rest of the file is padding, unless there is a footer."""
        return (BootPart(METADATA, 0, self.metadata.size), *(self.verified_parts() if self.footer else ()))
