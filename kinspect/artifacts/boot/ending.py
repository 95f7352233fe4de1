"""Where the contents of a raw Image end, as its own code and tables say; and what follows a kernel in its file."""

from collections.abc import Iterator
from itertools import islice
from struct import unpack
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.errors import KinspectError
from kinspect.schemas.fdt import MAGIC as FDT_MAGIC
from kinspect.schemas.fdt import FdtHeader
from kinspect.schemas.record import parse_table, size_of
from kinspect.source import Source

_SUB_X2_X2_X0 = 0xCB000042
_WINDOW = 10
"""Instructions before the subtraction that load both addresses."""
_MOST_CANDIDATES = 20_000
_AFTER_BSS = 1 << 20
"""Limit of what follows .bss in memory: the initial page tables."""
_RELATIVE = (0x403).to_bytes(8, "little")
"""r_info of R_AARCH64_RELATIVE."""
_ROW, _RUN = 24, 4
_REGION = 1 << 27
"""The kernel's virtual address is a multiple of 128 MiB, plus text_offset."""
_MOST_TREES, _MOST_ENDS = 1 << 10, 64
_PADDING = 1 << 16
TREES_WITHIN = 16 << 20
"""How far before the end of the file the device trees behind an Image without a PE header may begin."""
_LARGEST_TREE = 2 << 20
"""Source: Documentation/arch/arm64/booting.rst, "Setup the device tree"."""


class Relocations(NamedTuple):
    """The table of relative relocations: its range in the file, and the end of the highest place that it changes.

    `base` is the address of the first byte of the Image.
    """

    start: int
    end: int
    last: int
    base: int


def bss_start(image: Image) -> int | None:
    """The offset of `__bss_start`, up to which the file reaches; None when it cannot be found.

    The kernel clears .bss with memset(__bss_start, 0, size), where the size is computed from two addresses in x0 and
    x2. Of all such code in the Image, only this one clears memory up to the page tables at the end of the kernel.
    Source: arch/arm64/kernel/head.S, __primary_switched; since v6.9 arch/arm64/kernel/pi/map_kernel.c.
    """
    total, found = image.header.image_size, set()
    pattern = _SUB_X2_X2_X0.to_bytes(4, "little")
    for offset in islice(image.source.find(pattern, 0, image.searched), _MOST_CANDIDATES):
        if offset % 4 == 0 and offset >= 4 * _WINDOW:
            first = offset - 4 * _WINDOW
            words = unpack(f"<{_WINDOW}I", image.source.read(first, 4 * _WINDOW))
            start, end = _addresses(words, first)
            # It is larger than what follows it; a structure that is cleared in .bss hardly is.
            if start and end and 64 <= start < end <= total <= end + min(_AFTER_BSS, end - start):
                found.add(start)
    return found.pop() if len(found) == 1 else None


def _addresses(words: tuple[int, ...], offset: int) -> tuple[int | None, int | None]:
    """What pairs of adrp and add put into x0 and x2. Places in the Image stand for addresses: it is page-aligned."""
    pages: dict[int, int] = {}
    whole: dict[int, int] = {}
    for index, word in enumerate(words):
        register, base = word & 31, word >> 5 & 31
        if word & 0x9F000000 == 0x90000000:
            pages_away = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
            pages_away -= (pages_away >> 20) << 21
            pages[register] = (offset + 4 * index & ~0xFFF) + (pages_away << 12)
            whole.pop(register, None)
        elif word & 0xFFC00000 == 0x91000000 and base in pages:
            whole[register] = pages[base] + (word >> 10 & 0xFFF)
    return whole.get(0), whole.get(2)


def relocations(image: Image) -> Relocations | None:
    """The relative relocations of a relocatable kernel (.rela.dyn); None when there is no such table.

    Source: arch/arm64/kernel/vmlinux.lds.S; ELF for the Arm 64-bit Architecture, R_AARCH64_RELATIVE.
    """
    end = 64
    for offset in islice(image.source.find(_RELATIVE, 0, image.searched), _MOST_CANDIDATES):
        start = offset - 8
        if start < end or start % 8 or not _is_run(image, start):
            continue
        end, low, high = start, 1 << 64, 0
        while end + _ROW <= image.searched:
            data = image.source.read(end, min(image.searched - end, 4096 * _ROW) // _ROW * _ROW)
            places = _places(data)
            low, high = min([low, *places]), max([high, *places])
            end += len(places) * _ROW
            if len(places) * _ROW < len(data):
                break
        base = (low & -_REGION) + image.header.text_offset
        # Places outside the kernel's memory are not relocations.
        if base <= low and high - base < image.header.image_size:
            return Relocations(start, end, high - base + 8, base)
    return None


def _is_run(image: Image, start: int) -> bool:
    size = _RUN * _ROW
    return start + size <= image.searched and len(_places(image.source.read(start, size))) == _RUN


def _places(data: bytes) -> list[int]:
    """The places (r_offset) of the rows up to the first of another type."""
    found = []
    for offset in range(0, len(data), _ROW):
        if data[offset + 8 : offset + 16] != _RELATIVE:
            break
        found.append(int.from_bytes(data[offset : offset + 8], "little"))
    return found


class AppendedTree(NamedTuple):
    """A device tree behind a kernel. Offset and size in bytes."""

    offset: int
    size: int


def trees_at_the_end(source: Source, start: int) -> list[AppendedTree]:
    """The device trees with which a file ends, of those that begin at `start` or later."""
    for offset in islice(source.find(FDT_MAGIC.to_bytes(4, "big"), start), _MOST_ENDS):
        trees = list(appended_trees(source, offset, source.size))
        if trees and trees[0].offset == offset and trees[-1].offset + trees[-1].size == source.size:
            return trees
    return []


def trees_behind(image: Image) -> list[AppendedTree]:
    """The device trees behind a raw Image in its file. KinspectError when its header cannot be read."""
    pe = image.readable_pe
    if pe and pe.sections:
        table = pe.certificate_table
        start = max(pe.sections_end, table.virtual_address + table.size if table else 0)
        return list(appended_trees(image.source, start, image.size)) if start < image.size else []
    return trees_at_the_end(image.source, max(64, image.size - TREES_WITHIN))


def appended_trees(source: Source, start: int, end: int) -> Iterator[AppendedTree]:
    """The device trees between two offsets: one after the other, with at most 64 KiB of anything before each."""
    magic, least = FDT_MAGIC.to_bytes(4, "big"), size_of(FdtHeader)
    for _ in range(_MOST_TREES):
        offset = next(source.find(magic, start, min(end, start + _PADDING)), -1)
        if offset < 0 or offset + least > end:
            return
        header = parse_table(FdtHeader, source.read(offset, least))[0]
        if not least <= header.totalsize <= end - offset:
            return
        yield AppendedTree(offset, header.totalsize)
        start = offset + header.totalsize


def model_of(source: Source, tree: AppendedTree) -> str:
    """The model of the machine that a tree describes; empty when it has none, or is larger than a kernel takes."""
    from kinspect.artifacts.dtb.blob import Dtb

    if tree.size > _LARGEST_TREE:
        return ""
    try:
        return Dtb(Source(source.path, source.read(tree.offset, tree.size))).facts.model or ""
    except KinspectError:
        return ""
