"""Where U-Boot puts the images of a FIT configuration, and how much memory each takes there.

Source: U-Boot, boot/image-fit.c, fit_image_load(); boot/bootm.c, bootm_load_os(); arch/arm/lib/image.c, booti_setup().
"""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.dtb.fit import Configuration, FitImage, fit_images
from kinspect.artifacts.dtb.structure import Node
from kinspect.artifacts.raw.limits import LARGEST_KERNEL, unpacked_limit
from kinspect.errors import KinspectError
from kinspect.schemas.image import MAGIC, ImageHeader
from kinspect.schemas.record import parse_table, size_of
from kinspect.source import Source, Window

_ALIGNMENT = 2 << 20
"""U-Boot moves an Image to a multiple of this, plus text_offset."""
_LOADED = ("kernel", "fdt", "ramdisk", "loadables", "firmware", "standalone")
_NOT_LOADED = ("fpga", "script", "kernel_noload")
_PACKED = ("ramdisk",)
"""Types that U-Boot does not unpack."""


class LoadedImage(NamedTuple):
    """An image that is loaded: `start` to `end` in memory have its bytes, unpacked.

    `reserved` is the range that a kernel needs, with .bss, where U-Boot moves it; the same as start and end otherwise.
    `moved` says that the kernel is not loaded where it runs, and is copied.
    """

    role: str
    node: Node
    start: int
    end: int
    reserved: tuple[int, int]

    @property
    def moved(self) -> bool:
        """Whether U-Boot moves it before it starts it."""
        return self.reserved[0] != self.start


class _Contents(NamedTuple):
    """The size of an image in memory, and its header if it is an Image."""

    size: int
    header: ImageHeader | None


def address_of(node: Node, name: str) -> int | None:
    """An address in one or two cells; None without one."""
    found = node.property(name)
    return int.from_bytes(found.value, "big") if found and len(found.value) in (4, 8) else None


def text_of(node: Node, name: str) -> str:
    """The first string of a property; empty without one."""
    found = node.property(name)
    return found.texts[0] if found and found.texts else ""


def loaded_images(dtb: Dtb, configuration: Configuration) -> Iterator[LoadedImage]:
    """The images of a configuration that have load addresses, one of each role; of several device trees the base."""
    known = {image.node.name: image for image in fit_images(dtb)}
    seen: set[str] = set()
    for role, name in configuration.images:
        image = known.get(name)
        first = role not in seen or role == "loadables"
        seen.add(role)
        if image is None or not first or role not in _LOADED or text_of(image.node, "type") in _NOT_LOADED:
            continue
        start = address_of(image.node, "load")
        if start is None:
            continue
        size, header = dtb.cached(_contents, image.node.offset)
        reserved = (start, start + size)
        if header and role == "kernel":
            reserved = _run_at(start, size, header)
        yield LoadedImage(role, image.node, start, start + size, reserved)


def _run_at(start: int, size: int, header: ImageHeader) -> tuple[int, int]:
    """Where a kernel runs. One that must be near the start of memory is moved there, which is not in the file."""
    place = start
    if header.anywhere:
        place = -(-(start - header.text_offset) // _ALIGNMENT) * _ALIGNMENT + header.text_offset
    return place, place + max(size, header.image_size)


def _contents(dtb: Dtb, offset: int) -> _Contents:
    """What an image, named by the offset of its node, is in memory: unpacked, except for a ramdisk."""
    image = next(one for one in fit_images(dtb) if one.node.offset == offset)
    source = source_of(dtb, image)
    if source is None:
        return _Contents(0, None)
    compression = text_of(image.node, "compression") or "none"
    if compression == "none" or text_of(image.node, "type") in _PACKED:
        return _Contents(source.size, _header(source.head(size_of(ImageHeader))))
    head, size = b"", 0
    try:
        for piece in _unpacked(source, compression):
            head += piece[: max(0, size_of(ImageHeader) - len(head))]
            size += len(piece)
    except KinspectError:
        return _Contents(source.size, None)  # other checks say what is wrong with it
    return _Contents(size, _header(head))


def _unpacked(source: Source, compression: str) -> Iterator[bytes]:
    from kinspect.artifacts.compression.streams import COMPRESSIONS, pieces, too_large

    left = unpacked_limit(source.size, LARGEST_KERNEL)
    if compression in COMPRESSIONS:
        for piece, _ in pieces(source, 0, source.size, compression):
            left -= len(piece)
            if left < 0:
                raise too_large(source, unpacked_limit(source.size, LARGEST_KERNEL))
            yield piece
    else:
        yield source.read(0, source.size)


def _header(head: bytes) -> ImageHeader | None:
    if len(head) < size_of(ImageHeader):
        return None
    header = parse_table(ImageHeader, head)[0]
    return header if header.magic == MAGIC else None


def source_of(dtb: Dtb, image: FitImage) -> Source | None:
    """The data of an image; None without data, or when it ends past the file."""
    if image.data is not None:
        return Source(dtb.path, image.data)
    if image.external is None or image.external.start + image.external.size > dtb.size:
        return None
    return Window(dtb.source, image.external.start, image.external.size)
