"""Android's boot images and vendor boot images."""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple, TypeVar

from kinspect.artifacts.android.verified import Verified
from kinspect.artifacts.boot.parts import KERNEL, BootPart
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.schemas.android import (
    PAGE,
    VERSION_AT,
    BootHeader,
    BootHeaderV4,
    VendorBootHeader,
    VendorRamdisk,
)
from kinspect.schemas.record import offsets, parse_table, size_of

H = TypeVar("H", bound=NamedTuple)
_FIRST_V3, _LAST = 3, 4
_PAGES = tuple(1 << bits for bits in range(9, 21))
_MOST_RAMDISKS = 256


class _Paged(Verified):
    """Parts one after the other, each at the start of a page."""

    @property
    def version(self) -> int:
        """The version of the header."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        """The name and the version of the header."""
        return f"{self.program} v{self.version}"

    @property
    def paged_parts(self) -> tuple[BootPart, ...]:
        """The parts of which each begins a page."""
        raise NotImplementedError

    @property
    def page_size(self) -> int:
        """The page size in bytes. MalformedError when the header has none."""
        raise NotImplementedError

    def _page_size(self, size: int, at: Location) -> int:
        if size not in _PAGES:
            expected = f"a power of two from {_PAGES[0]} to {_PAGES[-1]:,}"
            raise MalformedError("not a page size", at, expected=expected, actual=size)
        return size

    def _up(self, offset: int) -> int:
        """The start of the next page."""
        return -(-offset // self.page_size) * self.page_size

    def _laid_out(self, header_size: int, *sizes: tuple[str, int]) -> Iterator[BootPart]:
        """The parts behind the header, of those that are not empty."""
        at = self._up(header_size)
        for name, size in sizes:
            if size:
                yield BootPart(name, at, size)
            at = self._up(at + size)

    def _header(self, record: type[H], size: int) -> H:
        """A header, of which the first `size` bytes are of its version; the rest is zero."""
        data = self.source.read(0, size, "header")
        return parse_table(record, data.ljust(size_of(record), b"\0"))[0]

    def _text(self, name: str, record: type[NamedTuple], field: str, value: bytes) -> Iterator[BootPart]:
        """A field with a NUL-terminated text as a part, unless it is empty."""
        size = len(value.split(b"\0", 1)[0])
        if size:
            yield BootPart(name, offsets(record)[field], size)

    @property
    def contents_end(self) -> int:
        """The end of the last page."""
        end = max((part.end for part in self.paged_parts), default=0)
        return max(self._up(end), *(part.end for part in self.parts)) if self.parts else self._up(end)


class AndroidBoot(_Paged):
    """A boot, recovery or init_boot image, of version 0 to 4.

    Source: Android, system/tools/mkbootimg, include/bootimg/bootimg.h.
    """

    kind = "an Android boot image"
    program = "Android boot image"

    @cached_property
    def stated_version(self) -> int:
        """What the header has as its version."""
        return int.from_bytes(self.source.read(VERSION_AT, 4, "header_version"), "little")

    @property
    def version(self) -> int:
        """The version of the header; 0 where the size of a device tree is in its place."""
        return self.stated_version if self.stated_version <= _LAST else 0

    @cached_property
    def header(self) -> BootHeader:
        """The header up to version 2. TruncatedError when the file is shorter."""
        last = "recovery_dtbo_size" if self.version == 0 else "dtb_size"
        size = size_of(BootHeader) if self.version == 2 else offsets(BootHeader)[last]
        return self._header(BootHeader, size)

    @cached_property
    def header_v4(self) -> BootHeaderV4:
        """The header of version 3 or 4. TruncatedError when the file is shorter."""
        size = offsets(BootHeaderV4)["signature_size"] if self.version == _FIRST_V3 else size_of(BootHeaderV4)
        return self._header(BootHeaderV4, size)

    @property
    def page_size(self) -> int:
        """The page size in bytes. MalformedError when the header has none."""
        if self.version >= _FIRST_V3:
            return PAGE
        return self._page_size(self.header.page_size, self.at("page_size", offsets(BootHeader)["page_size"]))

    @cached_property
    def paged_parts(self) -> tuple[BootPart, ...]:
        """The parts of which each begins a page."""
        if self.version >= _FIRST_V3:
            new = self.header_v4
            sizes = ((KERNEL, new.kernel_size), ("ramdisk", new.ramdisk_size), ("signature", new.signature_size))
            return tuple(self._laid_out(1, *sizes))
        header = self.header
        tree = self.stated_version if self.stated_version > _LAST else 0
        return tuple(
            self._laid_out(
                1,
                (KERNEL, header.kernel_size),
                ("ramdisk", header.ramdisk_size),
                ("second", header.second_size),
                ("recovery_dtbo", header.recovery_dtbo_size),
                ("dtb", header.dtb_size or tree),
            )
        )

    @property
    def listed(self) -> tuple[BootPart, ...]:
        """The command line, and what follows the header."""
        return (*self._texts(), *self.paged_parts, *self.verified_parts())

    def _texts(self) -> Iterator[BootPart]:
        if self.version >= _FIRST_V3:
            yield from self._text("cmdline", BootHeaderV4, "cmdline", self.header_v4.cmdline)
        else:
            yield from self._text("cmdline", BootHeader, "cmdline", self.header.cmdline)
            yield from self._text("extra_cmdline", BootHeader, "extra_cmdline", self.header.extra_cmdline)


class VendorBoot(_Paged):
    """A vendor boot image, of version 3 or 4. Source: bootimg.h, vendor_boot_img_hdr_v4."""

    kind = "an Android vendor boot image"
    program = "Android vendor boot image"

    @cached_property
    def header(self) -> VendorBootHeader:
        """The header. TruncatedError when the file is shorter, UnsupportedError for another version."""
        at = offsets(VendorBootHeader)
        version = int.from_bytes(self.source.read(at["header_version"], 4, "header_version"), "little")
        if version not in (_FIRST_V3, _LAST):
            place = self.at("header_version", at["header_version"])
            raise UnsupportedError("unsupported version", place, expected=f"{_FIRST_V3} or {_LAST}", actual=version)
        size = at["vendor_ramdisk_table_size"] if version == _FIRST_V3 else size_of(VendorBootHeader)
        return self._header(VendorBootHeader, size)

    @property
    def version(self) -> int:
        """The version of the header."""
        return self.header.header_version

    @property
    def page_size(self) -> int:
        """The page size in bytes. MalformedError when the header has none."""
        return self._page_size(self.header.page_size, self.at("page_size", offsets(VendorBootHeader)["page_size"]))

    @cached_property
    def paged_parts(self) -> tuple[BootPart, ...]:
        """The parts of which each begins a page."""
        header = self.header
        first = offsets(VendorBootHeader)["vendor_ramdisk_table_size"]
        return tuple(
            self._laid_out(
                first if self.version == _FIRST_V3 else size_of(VendorBootHeader),
                ("ramdisk", header.vendor_ramdisk_size),
                ("dtb", header.dtb_size),
                ("ramdisk-table", header.vendor_ramdisk_table_size),
                ("bootconfig", header.bootconfig_size),
            )
        )

    @property
    def listed(self) -> tuple[BootPart, ...]:
        """The command line, what follows the header, and each ramdisk of the table."""
        texts = self._text("cmdline", VendorBootHeader, "cmdline", self.header.cmdline)
        inner = (self.ramdisk_part(entry, number) for number, entry in enumerate(self.ramdisks, 1))
        return (*texts, *self.paged_parts, *inner, *self.verified_parts())

    @property
    def separate_parts(self) -> tuple[BootPart, ...]:
        """The parts without those inside the ramdisk section."""
        return tuple(part for part in self.parts if not part.name.startswith("ramdisk-") or part in self.paged_parts)

    def _paged_part(self, name: str) -> BootPart | None:
        return next((part for part in self.paged_parts if part.name == name), None)

    @cached_property
    def ramdisks(self) -> tuple[VendorRamdisk, ...]:
        """The entries of the table of ramdisks; empty without one.

        MalformedError when the table is smaller than its entries.
        """
        table = self._paged_part("ramdisk-table")
        count, size = self.header.vendor_ramdisk_table_entry_num, self.header.vendor_ramdisk_table_entry_size
        if table is None or not count:
            return ()
        least = size_of(VendorRamdisk)
        if size < least or count > _MOST_RAMDISKS or count * size > table.size:
            expected = f"at most {min(_MOST_RAMDISKS, table.size // max(size, least))} of at least {least} bytes"
            actual = f"{count:,} of {size:,}"
            problem = "the entries do not fit the table"
            raise MalformedError(problem, self.place(table), expected=expected, actual=actual)
        data = self.source.read(table.start, count * size, "table of ramdisks")
        rows = (data[at : at + least] for at in range(0, len(data), size))
        return tuple(parse_table(VendorRamdisk, b"".join(rows)))

    def ramdisk_part(self, entry: VendorRamdisk, number: int) -> BootPart:
        """The place of a ramdisk of the table, counted from 1."""
        section = self._paged_part("ramdisk") or BootPart("ramdisk", 0, 0)
        title = entry.ramdisk_name.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
        return BootPart(f"ramdisk-{number}", section.start + entry.ramdisk_offset, entry.ramdisk_size, title)
