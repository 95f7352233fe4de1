"""Checks of how the images of a FIT configuration are loaded: where, and unpacked how."""

from collections.abc import Iterator
from itertools import combinations

from kinspect.artifacts.compression.magics import compression_of
from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.dtb.fit import configurations, fit_images
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.views.dtb.fit_memory import LoadedImage, address_of, loaded_images, source_of, text_of

_COMPRESSIONS = ("gzip", "bzip2", "lzma", "lzo", "lz4", "zstd")
"""What U-Boot unpacks. Source: U-Boot, boot/image.c, uimage_comp."""


def _pairs(dtb: Dtb) -> Iterator[tuple[LoadedImage, LoadedImage]]:
    """The images of which two are loaded together, each pair once; a kernel comes first."""
    seen = set()
    for configuration in configurations(dtb):
        for pair in combinations(loaded_images(dtb, configuration), 2):
            key = frozenset(image.node.offset for image in pair)
            if key not in seen and len(key) > 1:
                seen.add(key)
                yield pair


def _overwritten(image: LoadedImage) -> list[tuple[int, int]]:
    """The ranges that loading an image overwrites."""
    return [(image.start, image.end), *([image.reserved] if image.moved else [])]


def _overlap(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The first range that two lists share."""
    for start, end in one:
        for first, last in other:
            if max(start, first) < min(end, last):
                return max(start, first), min(end, last)
    return None


@check(Severity.ERROR)
def fit_images_are_loaded_apart(dtb: Dtb) -> Iterator[Evidence]:
    """The images that a FIT configuration loads do not overwrite each other.

    U-Boot first copies the ramdisk and device tree to their load addresses, and then unpacks the kernel to its own: if
    they overlap, the kernel boots without them or not at all. The check uses the decompressed sizes, and the address to
    which U-Boot moves an arm64 Image that is not loaded at a multiple of 2 MiB plus text_offset. Choose other load
    addresses.
    Source: U-Boot, boot/image-fit.c, fit_image_load(); boot/bootm.c, bootm_load_os(); arch/arm/lib/image.c.
    """

    def found() -> Iterator[Evidence]:
        for one, other in _pairs(dtb):
            shared = _overlap(_overwritten(one), _overwritten(other))
            if shared:
                at = (dtb.place(one.node, "load"), dtb.place(other.node, "load"))
                message = f"{one.role} and {other.role} overlap in memory"
                yield Evidence(message, at, actual=f"{shared[0]:#x} to {shared[1]:#x}")

    yield from capped(found(), "overlaps", dtb.at())


@check(Severity.WARNING)
def fit_kernel_has_room_for_its_bss(dtb: Dtb) -> Iterator[Evidence]:
    """A FIT image loads nothing into the memory of the kernel's .bss and first page tables.

    That memory follows the kernel, up to the image_size in its header, and the kernel overwrites it. U-Boot usually
    moves the ramdisk and device tree out of the way first, but not if fdt_high or initrd_high forbid it. Choose other
    load addresses.
    Source: Documentation/arch/arm64/booting.rst, "Call the kernel image".
    """

    def found() -> Iterator[Evidence]:
        for one, other in _pairs(dtb):
            if _overlap(_overwritten(one), _overwritten(other)):
                continue
            shared = _overlap([one.reserved], [other.reserved])
            if shared:
                at = (dtb.place(one.node, "load"), dtb.place(other.node, "load"))
                first, second = (one, other) if one.reserved[1] > one.end else (other, one)
                message = f"{second.role} is loaded where {first.role} has .bss"
                yield Evidence(message, at, actual=f"{shared[0]:#x} to {shared[1]:#x}")

    yield from capped(found(), "overlaps", dtb.at())


@check(Severity.WARNING)
def fit_entry_is_in_the_kernel(dtb: Dtb) -> Iterator[Evidence]:
    """The entry address of a kernel in a FIT image lies within the kernel.

    U-Boot ignores it for an arm64 Linux kernel, which it starts at the first byte; other loaders do not. Set `entry` to
    the load address.
    Source: the Flat Image Tree specification, "'/images' node"; U-Boot, boot/bootm.c, bootm_load_os().
    """

    def found() -> Iterator[Evidence]:
        seen = set()
        for configuration in configurations(dtb):
            for image in loaded_images(dtb, configuration):
                entry = address_of(image.node, "entry")
                if image.role != "kernel" or entry is None or image.node.offset in seen or image.start == image.end:
                    continue
                seen.add(image.node.offset)
                if not image.start <= entry < image.end:
                    at, expected = (dtb.place(image.node, "entry"),), f"{image.start:#x} to {image.end - 1:#x}"
                    yield Evidence("the entry address is outside of the kernel", at, expected, f"{entry:#x}")

    yield from capped(found(), "kernels", dtb.at())


@check(Severity.ERROR)
def fit_compression_is_right(dtb: Dtb) -> Iterator[Evidence]:
    """The kernels in a FIT image are compressed as their nodes say.

    U-Boot chooses the decompressor by the property `compression`, and stops with an error when the data has another
    format. Correct it in the image source file. Ramdisks are not checked: the kernel detects their format itself.
    Source: U-Boot, boot/bootm.c, bootm_load_os(); boot/image.c, image_decomp().
    """

    def found() -> Iterator[Evidence]:
        kernels = {name for one in configurations(dtb) for role, name in one.images if role == "kernel"}
        for image in fit_images(dtb):
            named = text_of(image.node, "compression")
            source = source_of(dtb, image) if image.node.name in kernels and named in _COMPRESSIONS else None
            if source is None or image.node.property("data-size-unciphered"):
                continue
            actual = compression_of(source.head(16))
            # lzma has no magic number: with unusual parameters it is not recognised.
            if actual != named and (actual or named != "lzma"):
                at = (dtb.place(image.node, "compression"),)
                message = "the kernel is not compressed as its node says"
                yield Evidence(message, at, named, actual or "no compression")

    yield from capped(found(), "kernels", dtb.at())
