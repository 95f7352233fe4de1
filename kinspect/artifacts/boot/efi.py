"""The common part of Image and zboot image: a PE/COFF header, which lets EFI firmware start them."""

from functools import cached_property
from typing import TYPE_CHECKING

from kinspect.artifacts.artifact import Artifact
from kinspect.errors import Location, MalformedError

# Not needed to compare an Image with a vmlinux.
if TYPE_CHECKING:
    from kinspect.artifacts.boot.pe import Pe


class EfiProgram(Artifact):
    """A file whose header has the offset of a PE/COFF header."""

    kind = "an EFI program (an arm64 Image, a zboot image)"

    @property
    def pe_offset(self) -> int:
        """The offset of the PE/COFF header; 0 when there is none. Raises as `header` does."""
        raise NotImplementedError

    @property
    def pe_offset_at(self) -> Location:
        """The location of the field with that offset."""
        raise NotImplementedError

    @cached_property
    def pe(self) -> "Pe | None":
        """The PE/COFF header; None when the kernel is not an EFI application. MalformedError when it is broken."""
        from kinspect.artifacts.boot.pe import Pe

        return Pe.of(self.source, self.pe_offset) if self.pe_offset else None

    @property
    def signature(self) -> str:
        """`none` or `present`: whether its PE header names a certificate table."""
        return self.readable_pe.signature if self.readable_pe else "none"

    @property
    def readable_pe(self) -> "Pe | None":
        """The PE/COFF header; None also when it is broken, which a check reports."""
        try:
            return self.pe
        except MalformedError:
            return None
