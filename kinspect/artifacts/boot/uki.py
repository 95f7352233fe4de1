"""Unified kernel images: an EFI program whose sections are a kernel and what it boots with."""

from functools import cached_property

from kinspect.artifacts.boot.efi import EfiProgram
from kinspect.artifacts.boot.parts import KERNEL, BootContainer, BootPart
from kinspect.errors import Location, MalformedError

PE_OFFSET_AT = 0x3C
SECTIONS = {
    ".linux": KERNEL,
    ".initrd": "ramdisk",
    ".cmdline": "cmdline",
    ".osrel": "osrel",
    ".uname": "uname",
    ".dtb": "dtb",
    ".dtbauto": "dtbauto",
    ".hwids": "hwids",
    ".efifw": "efifw",
    ".ucode": "ucode",
    ".splash": "splash",
    ".profile": "profile",
    ".pcrsig": "pcrsig",
    ".pcrpkey": "pcrpkey",
    ".sbat": "sbat",
}
"""The sections of a unified kernel image, and the names of the parts.

Source: the UAPI group's specification of unified kernel images, "UKI Components".
"""
LONGEST_TEXT = 64 << 10


class Uki(BootContainer, EfiProgram):
    """A unified kernel image. Source: the UAPI group's specification; systemd-stub(7)."""

    kind = "a unified kernel image (UKI)"
    program = "UKI"

    @cached_property
    def pe_offset(self) -> int:
        """The offset of the PE/COFF header. TruncatedError when the file is shorter."""
        return int.from_bytes(self.source.read(PE_OFFSET_AT, 4, "offset of the PE header"), "little")

    @property
    def pe_offset_at(self) -> Location:
        """The location of the field with that offset."""
        return self.at("offset of the PE header", PE_OFFSET_AT)

    @cached_property
    def listed(self) -> tuple[BootPart, ...]:
        """The sections that are parts. MalformedError when the PE header is broken."""
        pe = self.pe
        if pe is None:
            raise MalformedError("no PE header", self.pe_offset_at, expected="an offset", actual=0)
        found: list[BootPart] = []
        for section in pe.sections:
            name = SECTIONS.get(section.title)
            if name:
                # The rest of the section in the file is padding.
                size = min(section.virtual_size or section.raw_data_size, section.raw_data_size)
                more = sum(part.title == section.title for part in found)
                found.append(BootPart(f"{name}-{more + 1}" if more else name, section.data_addr, size, section.title))
        return tuple(found)

    @property
    def contents_end(self) -> int:
        """The end of the file: checks of its PE header say what follows its sections."""
        return self.size

    def text(self, name: str) -> str | None:
        """A part that is a text, without the newline and zeros at its end; None without that part."""
        part = self.part(name)
        if part is None:
            return None
        data = self.source.read(part.start, min(part.size, LONGEST_TEXT), name)
        return data.decode("utf-8", "backslashreplace").rstrip("\n\0")
