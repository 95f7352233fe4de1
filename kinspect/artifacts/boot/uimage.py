"""U-Boot's legacy images."""

from functools import cached_property

from kinspect.artifacts.boot.parts import FDT, KERNEL, BootContainer, BootPart
from kinspect.errors import Location, MalformedError
from kinspect.schemas.record import offsets, size_of
from kinspect.schemas.uimage import (
    COMPRESSIONS,
    FLATDT,
    KERNEL_NOLOAD,
    MULTI,
    RAMDISK,
    SCRIPT,
    UimageHeader,
)
from kinspect.schemas.uimage import KERNEL as KERNEL_TYPE

_NAMES = {
    KERNEL_TYPE: KERNEL,
    KERNEL_NOLOAD: KERNEL,
    RAMDISK: "ramdisk",
    SCRIPT: "script",
    FLATDT: "dtb",
}
_OF_MULTI = (KERNEL, "ramdisk", "dtb")
_MOST_FILES = 64


class Uimage(BootContainer):
    """A U-Boot legacy image: one file, or several.

    Source: U-Boot, include/image.h and boot/image.c, image_multi_getimg().
    """

    kind = "a U-Boot uImage"
    program = "uImage"

    @cached_property
    def header(self) -> UimageHeader:
        """The header. TruncatedError when the file is shorter."""
        return self.record(UimageHeader, 0, "uImage header")

    def field(self, name: str) -> Location:
        """The location of a field of the header."""
        return self.at(name, offsets(UimageHeader)[name])

    @property
    def data(self) -> BootPart:
        """Everything after the header, as far as the header says."""
        name = _NAMES.get(self.header.ih_type, "data")
        title = self.header.ih_name.rstrip(b"\0").decode("utf-8", "backslashreplace")
        return BootPart(name, size_of(UimageHeader), self.header.ih_size, title)

    @property
    def contents_end(self) -> int:
        """The end of the data."""
        return self.data.end

    @property
    def listed(self) -> tuple[BootPart, ...]:
        """The data; of a multi-file image its files. MalformedError when their sizes do not fit the data."""
        if self.header.ih_type != MULTI or self.data.end > self.size:
            return (self.data,)
        return self._files()

    def _files(self) -> tuple[BootPart, ...]:
        """The files of a multi-file image: their sizes, then zero, then the files, each padded to four bytes."""
        start, _, title = self.data.start, *self.data[2:]
        room = min(self.data.size, 4 * (_MOST_FILES + 1)) // 4
        words = self.source.read(start, 4 * room, "sizes of the files")
        sizes = [int.from_bytes(words[at : at + 4], "big") for at in range(0, len(words), 4)]
        if 0 not in sizes:
            expected = f"at most {_MOST_FILES} sizes and a zero"
            raise MalformedError(
                "the list of files does not end", self.at("sizes of the files", start), expected=expected
            )
        del sizes[sizes.index(0) :]
        found: list[BootPart] = []
        at = start + 4 * (len(sizes) + 1)
        for number, size in enumerate(sizes):
            if at + size > self.data.end:
                place, most = self.at("sizes of the files", start + 4 * number), self.data.end - at
                raise MalformedError(
                    f"file {number + 1} ends past the data", place, expected=f"at most {most:,}", actual=f"{size:,}"
                )
            name = _OF_MULTI[number] if number < len(_OF_MULTI) else f"file-{number + 1}"
            # Some images have a device tree and no ramdisk.
            if self.source.read(at, min(len(FDT), size)) == FDT:
                taken = sum(part.name.startswith("dtb") for part in found)
                name = f"dtb-{taken + 1}" if taken else "dtb"
            found.append(BootPart(name, at, size, title if not number else ""))
            at += size + 3 & ~3
        return tuple(found)

    @property
    def compression(self) -> str:
        """The compression that the header names; empty when it is not a known one."""
        return COMPRESSIONS.get(self.header.ih_comp, "")
