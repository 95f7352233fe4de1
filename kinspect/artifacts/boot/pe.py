"""The PE/COFF headers inside an Image."""

from typing import NamedTuple

from kinspect.errors import Location, MalformedError
from kinspect.schemas.pe import (
    CERTIFICATE_DIRECTORY,
    MAGIC,
    PE32_PLUS,
    CertificateHeader,
    CoffHeader,
    DataDirectory,
    OptionalHeader,
    PeSectionHeader,
    WinCertificate,
)
from kinspect.schemas.record import offsets, parse, parse_table, size_of
from kinspect.source import Source

MOST_CERTIFICATES, LARGEST_CERTIFICATE = 64, 1 << 20
MOST_SECTIONS = 96
"""Source: Microsoft's PE format, NumberOfSections."""


class Pe(NamedTuple):
    """The headers of a PE file, decoded. Offsets are in the file, in bytes."""

    offset: int
    coff: CoffHeader
    optional: OptionalHeader
    directories: tuple[DataDirectory, ...]
    sections: tuple[PeSectionHeader, ...]

    @classmethod
    def of(cls, source: Source, offset: int) -> "Pe":
        """The headers at `offset`. MalformedError when they are not PE32+ headers or reach past the file."""
        magic = source.read(offset, len(MAGIC), "PE header")
        if magic != MAGIC:
            at = Location(source.path, "PE header", offset)
            raise MalformedError("no PE signature", at, expected=MAGIC, actual=magic)
        coff_at = offset + len(MAGIC)
        coff = parse(CoffHeader, source.read(coff_at, size_of(CoffHeader), "COFF header"))
        optional_at = coff_at + size_of(CoffHeader)
        fixed = size_of(OptionalHeader)
        optional_size = coff.opt_hdr_size
        optional = parse(OptionalHeader, source.read(optional_at, fixed, "PE optional header"))
        if optional.magic != PE32_PLUS:
            at = Location(source.path, "PE optional header magic", optional_at)
            raise MalformedError("not PE32+", at, expected=PE32_PLUS, actual=optional.magic)
        room = max(0, optional_size - fixed) // size_of(DataDirectory)
        if optional.data_dirs > room:
            at = Location(source.path, "NumberOfRvaAndSizes", optional_at + offsets(OptionalHeader)["data_dirs"])
            raise MalformedError(
                "the data directories do not fit the optional header",
                at,
                expected=f"at most {room}",
                actual=optional.data_dirs,
            )
        if coff.sections > MOST_SECTIONS:
            at = Location(source.path, "NumberOfSections", coff_at + offsets(CoffHeader)["sections"])
            raise MalformedError("too many sections", at, expected=f"at most {MOST_SECTIONS}", actual=coff.sections)
        directories = source.read(optional_at + fixed, optional.data_dirs * size_of(DataDirectory), "data directories")
        sections = source.read(
            optional_at + optional_size, coff.sections * size_of(PeSectionHeader), "PE section table"
        )
        return cls(
            offset,
            coff,
            optional,
            tuple(parse_table(DataDirectory, directories)),
            tuple(parse_table(PeSectionHeader, sections)),
        )

    @property
    def optional_at(self) -> int:
        """The offset of the optional header."""
        return self.offset + len(MAGIC) + size_of(CoffHeader)

    @property
    def checksum_at(self) -> int:
        """The offset of CheckSum, which a signer writes."""
        return self.optional_at + offsets(OptionalHeader)["csum"]

    @property
    def certificate_entry_at(self) -> int:
        """The offset of the certificate table's directory entry, if there is room for it; a signer writes it."""
        return self.optional_at + size_of(OptionalHeader) + CERTIFICATE_DIRECTORY * size_of(DataDirectory)

    @property
    def sections_at(self) -> int:
        """The offset of the section table."""
        return self.optional_at + self.coff.opt_hdr_size

    @property
    def sections_end(self) -> int:
        """The end of its sections in the file."""
        return max((section.data_addr + section.raw_data_size for section in self.sections), default=0)

    @property
    def end(self) -> int:
        """The end of the file that it describes: of the sections, and of the signatures after them."""
        table = self.certificate_table
        return max(self.sections_end, table.virtual_address + table.size if table else 0)

    @property
    def certificate_table(self) -> DataDirectory | None:
        """Offset in the file and size of the signatures; None when there are none."""
        if len(self.directories) <= CERTIFICATE_DIRECTORY:
            return None
        entry = self.directories[CERTIFICATE_DIRECTORY]
        return entry if entry.size or entry.virtual_address else None

    @property
    def signature(self) -> str:
        """`none` or `present`: whether the header names a certificate table."""
        return "present" if self.certificate_table else "none"

    def certificates(self, source: Source) -> list[WinCertificate]:
        """The signatures at the end of the file. MalformedError when one reaches past its table or the file."""
        table = self.certificate_table
        if table is None:
            return []
        found: list[WinCertificate] = []
        offset, end = table.virtual_address, table.virtual_address + table.size
        while offset < end:
            part = "certificate table"
            head = parse_table(CertificateHeader, source.read(offset, size_of(CertificateHeader), part))[0]
            size = (head.length + 7) & ~7
            fits = size_of(CertificateHeader) < size <= min(end - offset, LARGEST_CERTIFICATE)
            if not fits or len(found) == MOST_CERTIFICATES:
                raise MalformedError(
                    "a certificate does not fit its table",
                    Location(source.path, part, offset),
                    expected=f"9 to {end - offset:,} bytes",
                    actual=f"{head.length:,}",
                )
            found.append(parse(WinCertificate, source.read(offset, size, part)))
            offset += size
        return found
