"""What an Image and a zboot image have in common: EFI firmware may start them, by the PE/COFF header inside."""

from functools import cached_property
from typing import TYPE_CHECKING

from kinspect.artifacts.artifact import Artifact
from kinspect.errors import Location, MalformedError

# Whether an Image is objcopy of a vmlinux is told without these.
if TYPE_CHECKING:
    from kinspect.artifacts.boot.pe import Pe


class EfiProgram(Artifact):
    """A file whose header says where a PE/COFF header lies."""

    kind = "an EFI program (an arm64 Image, a zboot image)"

    @property
    def pe_offset(self) -> int:
        """Where the PE/COFF header begins; 0 when there is none."""
        raise NotImplementedError

    @property
    def pe_offset_at(self) -> Location:
        """The field that says so."""
        raise NotImplementedError

    @cached_property
    def pe(self) -> "Pe | None":
        """The PE/COFF header; None when the kernel is no EFI application. MalformedError when it is broken."""
        from kinspect.artifacts.boot.pe import Pe

        return Pe.of(self.source, self.pe_offset) if self.pe_offset else None

    @property
    def readable_pe(self) -> "Pe | None":
        """The PE/COFF header where it can be read; why it cannot is for a check to say."""
        try:
            return self.pe
        except MalformedError:
            return None
