"""A kernel at an address: the memory that it needs there, and whether it can start there.

Source: Documentation/arch/arm64/booting.rst, "Call the kernel image".
"""

import re
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.errors import KinspectError
from kinspect.views.kernel.config import embedded_config
from kinspect.views.kernel.image_symbols import ALIGNMENT, image_symbols

OLD_TEXT_OFFSET = 0x80000
"""The offset of kernels whose header has no image_size: before 3.17."""
_VA_BITS = re.compile(rb"^CONFIG_ARM64_VA_BITS=(\d+)$", re.M)
_PA_BITS = re.compile(rb"^CONFIG_ARM64_PA_BITS=(\d+)$", re.M)
_MOST_PA_BITS = 52
"""Of a kernel whose .config is not known. Source: arch/arm64/Kconfig, ARM64_PA_BITS."""


class PlacementFacts(NamedTuple):
    """A kernel whose first byte is at `address`, and whose last byte of memory is before `end`. All in bytes.

    `base` is the 2 MiB aligned address that it is `text_offset` above; None when there is none, and then `nearest` are
    the addresses below and above that fit. `sized` is false when the header has no image_size, and `memory` is the size
    of the file. `physical_bits` limits addresses. `virtual_bits` are the possible sizes of virtual addresses, none when
    unknown; `virtual_from` says how they are known.
    """

    path: str
    address: int
    text_offset: int
    memory: int
    sized: bool
    end: int
    base: int | None
    nearest: tuple[int, ...]
    anywhere: bool
    page_size: int | None
    physical_bits: int
    virtual_bits: tuple[int, ...]
    virtual_from: str

    @property
    def fits(self) -> bool:
        """Whether it ends below the highest address that there can be."""
        return self.end <= 1 << self.physical_bits


def placement_facts(image: Image, address: int) -> PlacementFacts:
    """What a kernel needs at an address. Raises as `Image.header` does."""
    header = image.header
    text_offset = header.text_offset if header.image_size else OLD_TEXT_OFFSET
    memory = header.image_size or image.size
    over = (address - text_offset) % ALIGNMENT
    base = address - text_offset if not over and address >= text_offset else None
    nearest = tuple(found for found in (address - over, address - over + ALIGNMENT) if found >= text_offset)
    config = embedded_config(image)
    text = config.text if config else b""
    stated = _PA_BITS.search(text)
    most = int(stated[1]) if stated else _MOST_PA_BITS
    return PlacementFacts(
        image.path,
        address,
        text_offset,
        memory,
        bool(header.image_size),
        address + memory,
        base,
        () if base is not None else nearest,
        header.anywhere,
        header.page_size,
        most,
        *_virtual_bits(image, text),
    )


def _virtual_bits(image: Image, config: bytes) -> tuple[tuple[int, ...], str]:
    """The possible sizes of virtual addresses in bits, and where they are from: the .config, or the address of `_text`.

    The kernel is linked into the upper half of its addresses: above 2^64 - 2^(bits - 1) since 5.4, and with 52 bits as
    with 48; before, above 2^64 - 2^bits. Source: arch/arm64/include/asm/memory.h, KIMAGE_VADDR, VA_BITS_MIN.
    """
    found = _VA_BITS.search(config)
    if found:
        return (int(found[1]),), "CONFIG_ARM64_VA_BITS"
    try:
        start = image_symbols(image).start
    except KinspectError:
        return (), ""
    bits = 64 if start is None else ((1 << 64) - start - 1).bit_length()
    return _POSSIBLE.get(bits, ()), "the address of _text"


_POSSIBLE = {47: (48, 52), 48: (48,), 38: (39,), 39: (39,), 41: (42,), 42: (42,), 46: (47,), 35: (36,), 36: (36,)}
"""By the bits of the distance from _text to 2^64. 16K pages with 47 bits, before 5.4, look like 48."""
