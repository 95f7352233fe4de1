"""The decompressed kernel image that a boot loader starts."""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact, described
from kinspect.artifacts.build_id import build_id_of
from kinspect.artifacts.pe import Pe
from kinspect.errors import Location, MalformedError, TruncatedError
from kinspect.schemas import elf
from kinspect.schemas.image import MAGIC, ImageHeader
from kinspect.schemas.record import offsets, parse, parse_table, size_of
from kinspect.source import Source

BANNER = b"Linux version "
_NUMBERED = re.compile(rb"Linux version [^\0\n]{1,1000}? #\d[^\0\n]{0,400}\n")
_GNU_BUILD_ID = b"\x03\0\0\0GNU"


class ImageFacts(NamedTuple):
    """What an Image says of itself. Sizes and offsets are in bytes; text without its final newline."""

    path: str
    size: int
    header: ImageHeader
    banner: str | None
    build_id: str | None
    pe: Pe | None
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
    def pe(self) -> Pe | None:
        """The PE/COFF header; None when the kernel is no EFI application. MalformedError when it is broken."""
        return Pe.of(self.source, self.header.res5) if self.header.res5 else None

    @property
    def readable_pe(self) -> Pe | None:
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
        return banner_in(self.source, 0, self.size)

    @cached_property
    def build_id(self) -> bytes | None:
        """The GNU build id in the raw bytes; the vDSO images that lie inside have others of their own."""
        for offset in self.source.find(_GNU_BUILD_ID):
            start = offset - 8
            if start < 0 or start % 4 or self._inside_an_elf(start):
                continue
            found = build_id_of(self.source.read(start, min(128, self.size - start)))
            if found and len(found) <= 64:
                return found
        return None

    def _inside_an_elf(self, offset: int) -> bool:
        return any(start <= offset < end for start, end in self._elves(offset))

    def _elves(self, offset: int) -> Iterator[tuple[int, int]]:
        """Page-aligned ELF files embedded in the 64 KiB before `offset`: the vDSOs."""
        for start in range(offset & ~0xFFF, max(-1, offset - 0x10000), -0x1000):
            head = self.source.read(start, min(size_of(elf.ElfHeader), self.size - start))
            if head.startswith(elf.MAGIC) and len(head) == size_of(elf.ElfHeader):
                if head[4] == elf.CLASS_64:
                    header = parse_table(elf.ElfHeader, head)[0]
                    end = header.e_shoff + header.e_shnum * header.e_shentsize
                else:
                    end = int.from_bytes(head[32:36], "little") + 40 * int.from_bytes(head[48:50], "little")
                yield start, start + end

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


def banner_in(source: Source, start: int, end: int) -> str | None:
    """The first `Linux version` line with a build number in a range of a file, without its newline."""
    for offset in source.find(BANNER, start, end):
        line = source.read(offset, min(1500, end - offset))
        if found := _NUMBERED.match(line):
            return found.group().rstrip(b"\n").decode("utf-8", "backslashreplace")
    return None
