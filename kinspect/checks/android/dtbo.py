"""Checks of Android's DTBO images."""

from collections.abc import Iterator

from kinspect.artifacts.android.dtbo import Dtbo
from kinspect.artifacts.boot.parts import FDT
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.errors import KinspectError, UnsupportedError
from kinspect.schemas.android import DtTableEntry, DtTableHeader
from kinspect.schemas.fdt import FdtHeader
from kinspect.schemas.record import parse_table, size_of

_LAST = 1
"""The newest version of the table."""


@check(Severity.ERROR)
def dtbo_table_is_sound(dtbo: Dtbo) -> Iterator[Evidence]:
    """The header of a DTBO image states the right structure sizes, and a total size within the file.

    Boot loaders find the entries by these fields and read as much of the partition as the total size says. The header
    was changed, or the file was truncated: make it again with mkdtboimg.
    Source: Android, system/libufdt, utils/src/mkdtboimg.py; dt_table.h.
    """
    header = dtbo.header
    table_end = header.dt_entries_offset + header.dt_entry_count * header.dt_entry_size
    for name, size in (("header_size", size_of(DtTableHeader)), ("dt_entry_size", size_of(DtTableEntry))):
        if getattr(header, name) != size:
            yield Evidence(f"unusual {name}", (dtbo.field(name),), size, getattr(header, name))
    if header.version > _LAST:
        yield Evidence("unknown version", (dtbo.field("version"),), f"at most {_LAST}", header.version)
    if not table_end <= header.total_size <= dtbo.size:
        expected = f"{table_end:,} to {dtbo.size:,}"
        yield Evidence("wrong total size", (dtbo.field("total_size"),), expected, f"{header.total_size:,}")


@check(Severity.ERROR)
def dtbo_entries_are_device_trees(dtbo: Dtbo) -> Iterator[Evidence]:
    """Every entry of a DTBO image is one complete device tree or overlay, compressed as its flags say.

    The boot loader reads the entry that it selects as a device tree. If its offset or size is wrong, the overlay is not
    applied or the device does not boot. Make the image again with mkdtboimg.
    Source: Android, system/libufdt, dt_table.h, struct dt_table_entry_v1.
    """

    def found() -> Iterator[Evidence]:
        for number, entry in enumerate(dtbo.entries, 1):
            at = (dtbo.entry_at(number, "dt_offset"),)
            if entry.dt_offset + entry.dt_size > dtbo.header.total_size:
                actual, most = f"{entry.dt_offset + entry.dt_size:,}", f"at most {dtbo.header.total_size:,}"
                yield Evidence(f"entry {number} ends past the total size", at, most, actual)
                continue
            try:
                source = dtbo.contents_of(number)
            except UnsupportedError:
                raise
            except KinspectError as error:
                yield Evidence(f"entry {number}: {error.problem}", (*at, error.at), error.expected, error.actual)
                continue
            head = source.head(size_of(FdtHeader))
            if len(head) < size_of(FdtHeader) or not head.startswith(FDT):
                yield Evidence(f"entry {number} is not a device tree", at, FDT, head[: len(FDT)])
            elif (total := parse_table(FdtHeader, head)[0].totalsize) > source.size:
                at = (dtbo.entry_at(number, "dt_size"),)
                yield Evidence(f"entry {number} is shorter than its tree", at, f"{total:,} bytes", f"{source.size:,}")

    yield from capped(found(), "entries", dtbo.at())
