"""What must hold of a device tree as a file: its size, its header, the blocks that the header places."""

from collections.abc import Iterator
from itertools import combinations, pairwise

from kinspect.artifacts.dtb.blob import Block, Dtb, DtbKind
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.errors import Location
from kinspect.schemas.fdt import COMPATIBLE_VERSION, VERSION, ReserveEntry
from kinspect.schemas.record import size_of

LARGEST = 2 << 20
_FIELDS = {"reservations": "off_mem_rsvmap", "structure": "off_dt_struct", "strings": "off_dt_strings"}


def _place(dtb: Dtb, block: Block) -> Location:
    """The field of the header that places a block."""
    return dtb.field(_FIELDS.get(block.name, "magic"))


@check(Severity.ERROR)
def dtb_is_whole(dtb: Dtb) -> Iterator[Evidence]:
    """The file has as many bytes as totalsize in its header says.

    A shorter one was cut. Whoever loads it takes what lies behind it in memory for the rest.
    Source: Devicetree Specification v0.4, 5.2 "Header".
    """
    if dtb.size < dtb.header.totalsize:
        at = (dtb.field("totalsize"),)
        yield Evidence("the file is cut", at, expected=f"{dtb.header.totalsize:,} bytes", actual=f"{dtb.size:,}")


@check(Severity.WARNING)
def dtb_ends_with_its_file(dtb: Dtb) -> Iterator[Evidence]:
    """Nothing follows the device tree in its file.

    What follows was appended or padded, and no reader of the tree sees it. A FIT image may keep its files there.
    Source: Devicetree Specification v0.4, 5.2 "Header"; U-Boot, doc/usage/fit/source_file_format.rst, "External data".
    """
    more = dtb.size - dtb.header.totalsize
    if more > 0 and dtb.form != DtbKind.FIT:
        yield Evidence(f"{more:,} bytes follow the device tree", (dtb.at("", dtb.header.totalsize),))


@check(Severity.ERROR)
def dtb_fits_the_kernel(dtb: Dtb) -> Iterator[Evidence]:
    """A device tree has at most 2 MiB.

    An arm64 kernel maps no more than that, and does not boot with a larger one.
    Source: Documentation/arch/arm64/booting.rst, "Setup the device tree".
    """
    if dtb.header.totalsize > LARGEST and dtb.form == DtbKind.TREE:
        at = (dtb.field("totalsize"),)
        yield Evidence(
            "too large for an arm64 kernel", at, expected=f"at most {LARGEST:,}", actual=dtb.header.totalsize
        )


@check(Severity.WARNING)
def dtb_version_is_17(dtb: Dtb) -> Iterator[Evidence]:
    """The version is 17.

    Version 16 does not say how large the structure block is; a later one is not defined.
    Source: Devicetree Specification v0.4, 5.1 "Versioning".
    """
    if dtb.header.version != VERSION:
        yield Evidence("an unusual version", (dtb.field("version"),), expected=VERSION, actual=dtb.header.version)


@check(Severity.ERROR)
def dtb_is_compatible_with_version_16(dtb: Dtb) -> Iterator[Evidence]:
    """last_comp_version is 16.

    Readers refuse a tree whose last_comp_version is above the version that they know, or above its own.
    Source: Devicetree Specification v0.4, 5.2 "Header".
    """
    found = dtb.header.last_comp_version
    if found != COMPATIBLE_VERSION:
        at = (dtb.field("last_comp_version"),)
        yield Evidence("compatible with another version", at, expected=COMPATIBLE_VERSION, actual=found)


@check(Severity.ERROR)
def dtb_blocks_lie_inside(dtb: Dtb) -> Iterator[Evidence]:
    """Reservations, structure and strings lie between the header and totalsize.

    Source: Devicetree Specification v0.4, 5.2 "Header".
    """
    first, last = dtb.header_size, dtb.header.totalsize
    for block in dtb.blocks:
        if block.name != "header" and not first <= block.offset <= block.end <= last:
            yield Evidence(
                f"the {block.name} block leaves the device tree",
                (_place(dtb, block),),
                expected=f"within {first:#x} to {last:#x}",
                actual=f"{block.offset:#x} to {block.end:#x}",
            )


@check(Severity.ERROR)
def dtb_blocks_do_not_overlap(dtb: Dtb) -> Iterator[Evidence]:
    """No byte belongs to two blocks.

    Source: Devicetree Specification v0.4, chapter 5, figure "Devicetree .dtb Structure".
    """
    for one, other in combinations(sorted(dtb.blocks, key=lambda block: block.offset), 2):
        if one.size and other.size and other.offset < one.end:
            message = (
                f"the {one.name} and the {other.name} block overlap"
                if one.offset
                else (f"the {other.name} block lies in the header")
            )
            yield Evidence(message, (_place(dtb, other),), f"from {one.end:#x} on", f"{other.offset:#x}")


@check(Severity.INFO)
def dtb_blocks_are_in_order(dtb: Dtb) -> Iterator[Evidence]:
    """Reservations, structure and strings follow each other.

    Another order is legal for readers, and no tool of today writes it.
    Source: Devicetree Specification v0.4, chapter 5.
    """
    for one, other in pairwise(dtb.blocks[1:]):
        if other.offset < one.offset:
            yield Evidence(f"the {other.name} block lies before the {one.name} block", (_place(dtb, other),))


@check(Severity.ERROR)
def dtb_blocks_are_aligned(dtb: Dtb) -> Iterator[Evidence]:
    """The reservations begin at a multiple of 8, the structure at one of 4.

    They are read as 64-bit and as 32-bit numbers, early in the boot, where a load that is not aligned may fault.
    Source: Devicetree Specification v0.4, 5.6 "Alignment".
    """
    for name, step in (("off_mem_rsvmap", 8), ("off_dt_struct", 4)):
        offset = getattr(dtb.header, name)
        if offset % step:
            yield Evidence(f"{name} is not aligned", (dtb.field(name),), f"a multiple of {step}", f"{offset:#x}")


@check(Severity.ERROR)
def dtb_reservations_end(dtb: Dtb) -> Iterator[Evidence]:
    """The memory reservations end with an entry whose address and size are 0.

    Without it readers go on into whatever follows. All of them take a size of 0 for the end. Of more than
    65,536 entries the rest is not read.
    Source: Devicetree Specification v0.4, 5.3.2 "Format".
    """
    last = dtb.reservations.last
    if last is None:
        yield Evidence("the memory reservations do not end", (dtb.field("off_mem_rsvmap"),))
    elif last.address:
        at = (dtb.at("reservations block", dtb.blocks[1].end - size_of(ReserveEntry)),)
        yield Evidence("the last entry has an address", at, "0", f"{last.address:#x}")


@check(Severity.ERROR)
def dtb_reservations_do_not_overlap(dtb: Dtb) -> Iterator[Evidence]:
    """The reserved regions of memory do not overlap, nor do they wrap around.

    Source: Devicetree Specification v0.4, 5.3.2 "Format".
    """
    at = dtb.field("off_mem_rsvmap")

    def found() -> Iterator[Evidence]:
        entries = sorted(dtb.reservations.entries)
        for one, other in pairwise(entries):
            if other.address < one.end:
                yield Evidence("two reserved regions overlap", (at,), f"from {one.end:#x} on", f"{other.address:#x}")
        for entry in entries:
            if entry.end > 1 << 64:
                yield Evidence("a reserved region ends above 64 bits", (at,), None, f"{entry.address:#x}")

    yield from capped(found(), "regions", at)
