"""Checks of a device tree as a file: its size, its header, and the blocks that the header places."""

from collections.abc import Iterator
from itertools import combinations, pairwise

from kinspect.artifacts.dtb.blob import Block, Dtb, DtbKind
from kinspect.checks.boot.ending import trailing
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.errors import Location
from kinspect.schemas.fdt import COMPATIBLE_VERSION, VERSION, ReserveEntry
from kinspect.schemas.record import size_of

LARGEST = 2 << 20
_FIELDS = {"reservations": "off_mem_rsvmap", "structure": "off_dt_struct", "strings": "off_dt_strings"}


def _place(dtb: Dtb, block: Block) -> Location:
    """The header field with the offset of a block."""
    return dtb.field(_FIELDS.get(block.name, "magic"))


@check(Severity.ERROR)
def dtb_is_whole(dtb: Dtb) -> Iterator[Evidence]:
    """The file is at least as long as the totalsize in its header.

    A shorter file was truncated: readers take the memory after it for the rest of the tree. Copy or compile it again.
    Source: Devicetree Specification v0.4, 5.2 "Header".
    """
    if dtb.size < dtb.header.totalsize:
        at = (dtb.field("totalsize"),)
        yield Evidence("the file is truncated", at, expected=f"{dtb.header.totalsize:,} bytes", actual=f"{dtb.size:,}")


@check(Severity.WARNING)
def dtb_ends_with_its_file(dtb: Dtb) -> Iterator[Evidence]:
    """Nothing follows the device tree in its file.

    Readers ignore what was appended after totalsize. Padding does no harm. A second tree or an overlay has no effect
    there: pass it as a file of its own, or merge it with fdtoverlay. A FIT image may store its data there and is not
    reported.
    Source: Devicetree Specification v0.4, 5.2 "Header"; U-Boot, doc/usage/fit/source_file_format.rst, "External data".
    """
    more = dtb.size - dtb.header.totalsize
    if more > 0 and dtb.form != DtbKind.FIT:
        text = trailing(dtb.source, dtb.header.totalsize, dtb.size)
        yield Evidence(f"{text} after the end of the device tree", (dtb.at("", dtb.header.totalsize),))


@check(Severity.ERROR)
def dtb_fits_the_kernel(dtb: Dtb) -> Iterator[Evidence]:
    """The device tree is no larger than 2 MiB.

    An arm64 kernel maps no more than that, and does not boot with a larger tree. Compile it without symbols (dtc
    without -@), or remove nodes.
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

    Version 16 lacks the size of the structure block, and libfdt does not modify such a tree; later versions are not
    defined. Compile the tree with a current dtc.
    Source: Devicetree Specification v0.4, 5.1 "Versioning".
    """
    if dtb.header.version != VERSION:
        yield Evidence("unusual version", (dtb.field("version"),), expected=VERSION, actual=dtb.header.version)


@check(Severity.ERROR)
def dtb_is_compatible_with_version_16(dtb: Dtb) -> Iterator[Evidence]:
    """last_comp_version is 16 or lower.

    Readers refuse a tree whose last_comp_version is higher than the version that they support, or than the tree's own
    version. The header was damaged; compile the tree again. libfdt used to write 2 (so does `mkimage -f auto`), which
    does no harm.
    Source: Devicetree Specification v0.4, 5.2 "Header"; dtc, libfdt/fdt.c, fdt_check_header().
    """
    found = dtb.header.last_comp_version
    if found > COMPATIBLE_VERSION:
        at = (dtb.field("last_comp_version"),)
        yield Evidence("unexpected last_comp_version", at, f"at most {COMPATIBLE_VERSION}", found)


@check(Severity.ERROR)
def dtb_blocks_lie_inside(dtb: Dtb) -> Iterator[Evidence]:
    """Reservations, structure and strings lie between the header and totalsize.

    Otherwise readers refuse the tree, or read memory outside of it. The header was damaged or the file truncated;
    compile the tree again.
    Source: Devicetree Specification v0.4, 5.2 "Header".
    """
    first, last = dtb.header_size, dtb.header.totalsize
    for block in dtb.blocks:
        if block.name != "header" and not first <= block.offset <= block.end <= last:
            yield Evidence(
                f"the {block.name} block lies outside the device tree",
                (_place(dtb, block),),
                expected=f"within {first:#x} to {last:#x}",
                actual=f"{block.offset:#x} to {block.end:#x}",
            )


@check(Severity.ERROR)
def dtb_blocks_do_not_overlap(dtb: Dtb) -> Iterator[Evidence]:
    """No two blocks overlap.

    A tool that changes one block (U-Boot adds /chosen before it boots) may overwrite the other, and the kernel gets a
    corrupt tree. The header was damaged; compile the tree again.
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
    """Reservations, structure and strings are in this order.

    Readers accept any order, but no current tool writes a different one. There is nothing to fix, unless a tool fails
    on it.
    Source: Devicetree Specification v0.4, chapter 5.
    """
    for one, other in pairwise(dtb.blocks[1:]):
        if other.offset < one.offset:
            yield Evidence(f"the {other.name} block comes before the {one.name} block", (_place(dtb, other),))


@check(Severity.ERROR)
def dtb_blocks_are_aligned(dtb: Dtb) -> Iterator[Evidence]:
    """The reservations begin at a multiple of 8 bytes, the structure at a multiple of 4.

    They are read as 64-bit and 32-bit numbers early during boot, when an unaligned load may fault: the kernel then does
    not boot. Compile the tree again.
    Source: Devicetree Specification v0.4, 5.6 "Alignment".
    """
    for name, step in (("off_mem_rsvmap", 8), ("off_dt_struct", 4)):
        offset = getattr(dtb.header, name)
        if offset % step:
            yield Evidence(f"{name} is not aligned", (dtb.field(name),), f"a multiple of {step}", f"{offset:#x}")


@check(Severity.ERROR)
def dtb_reservations_end(dtb: Dtb) -> Iterator[Evidence]:
    """The memory reservations end with an entry whose address and size are 0.

    Without it, readers take what follows for further reservations, and reserve memory that should be usable. All
    readers stop at a size of 0, without looking at the address. Compile the tree again. kinspect reads at most 65,536
    entries.
    Source: Devicetree Specification v0.4, 5.3.2 "Format".
    """
    last = dtb.reservations.last
    if last is None:
        yield Evidence("the memory reservations have no last entry", (dtb.field("off_mem_rsvmap"),))
    elif last.address:
        at = (dtb.at("reservations block", dtb.blocks[1].end - size_of(ReserveEntry)),)
        yield Evidence("the address of the last memory reservation is not 0", at, "0", f"{last.address:#x}")


@check(Severity.ERROR)
def dtb_reservations_do_not_overlap(dtb: Dtb) -> Iterator[Evidence]:
    """The reserved memory regions do not overlap or wrap around.

    Overlapping reservations are usually a mistake in a size or address: part of the memory that should be reserved is
    not, and the kernel uses it. Correct the /memreserve/ entries in the source.
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
                yield Evidence(f"the reserved region at {entry.address:#x} extends past 64 bits", (at,))

    yield from capped(found(), "regions", at)
