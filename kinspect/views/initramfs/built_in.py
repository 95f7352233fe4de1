"""The initramfs that is built into a kernel: CONFIG_INITRAMFS_SOURCE, or the few entries that every kernel has.

Source: usr/initramfs_data.S and usr/default_cpio_list; include/asm-generic/vmlinux.lds.h, INIT_RAM_FS.
"""

import re
from collections.abc import Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.compression.magics import LONGEST_MAGIC, compression_of
from kinspect.artifacts.compression.streams import COMPRESSIONS
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.artifacts.initramfs.member import Member
from kinspect.artifacts.initramfs.unpacking import Blocks
from kinspect.errors import KinspectError, UnsupportedError
from kinspect.schemas.cpio import CRC, NEWC
from kinspect.source import Source, Window

START, SIZE = "__initramfs_start", "__initramfs_size"
_WORD = 8
_MOST_PLACES, _MOST_DECODED = 4096, 64
_LARGEST = 1 << 30
_MAGICS = (
    NEWC,
    CRC,
    b"\x1f\x8b\x08",
    b"BZh",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"\x02\x21\x4c\x18",
    b"\x89LZO",
    b"\x5d\0\0",
)
_LZMA = re.compile(rb"\x5d\0\0..\xff{8}", re.S)
"""What lzma writes when it does not know the size; the magic number alone is in every kernel."""


class BuiltIn(Initramfs):
    """An initramfs in a kernel; it is `start` bytes into the Image or vmlinux."""

    def __init__(self, kernel: Image | Vmlinux, start: int, size: int) -> None:
        source = Window(kernel.source, start, size)
        source.path = f"{kernel.path}:initramfs"
        super().__init__(source)
        self.kernel, self.start = kernel, start


def built_in_initramfs(kernel: Image | Vmlinux) -> BuiltIn:
    """The initramfs in a kernel, whose path is that of the kernel and `:initramfs`.

    UnsupportedError when there is none: CONFIG_BLK_DEV_INITRD is off, or the symbols are not in a vmlinux.
    """
    found = _in_vmlinux(kernel) if isinstance(kernel, Vmlinux) else _in_image(kernel)
    if found is None:
        raise UnsupportedError("no built-in initramfs: the kernel was built without CONFIG_BLK_DEV_INITRD", kernel.at())
    return BuiltIn(kernel, *found)


def _in_vmlinux(vmlinux: Vmlinux) -> tuple[int, int] | None:
    start, word = vmlinux.symbols.values_of((START, SIZE)).values()
    if start is None or word is None:
        return None
    size = int.from_bytes(vmlinux.read_address(word, _WORD), "little")
    section = vmlinux.section_at(start)
    if section is None or not section.in_file or start + size > section.end:
        raise UnsupportedError("the built-in initramfs is not in the file", vmlinux.at(START))
    return section.offset + start - section.address, size


def _in_image(image: Image) -> tuple[int, int] | None:
    """Where the archive is that is followed by its own size, 8-aligned, as the linker places it."""
    decoded = 0
    for start in sorted(_places(image)):
        decoded += 1
        if decoded > _MOST_DECODED:
            break
        try:
            size = _size_at(image.source, start, image.searched)
        except KinspectError:
            continue
        if size:
            return start, size
    return None


def _places(image: Image) -> Iterator[int]:
    """Where an archive may begin: the linker aligns it to 4."""
    for magic in _MAGICS:
        for number, place in enumerate(image.source.find(magic, 0, image.searched)):
            if number >= _MOST_PLACES and magic[:1] != b"\x5d":
                break
            if place % 4:
                continue
            if magic[:1] == b"\x5d" and not _LZMA.match(image.source.read(place, min(13, image.size - place))):
                continue
            if magic in (NEWC, CRC) or _unpacks_to_archive(image.source, place):
                yield place


def _unpacks_to_archive(source: Source, place: int) -> bool:
    compression = compression_of(source.read(place, min(LONGEST_MAGIC, source.size - place)))
    try:
        return compression in COMPRESSIONS and Blocks(source, place, compression).read(6) in (NEWC, CRC)
    except KinspectError:
        return False


def _size_at(source: Source, start: int, end: int) -> int:
    """The size that follows an archive at `start`, of which it is the size; 0 when there is none."""
    if source.read(start, 2) == b"07":
        ends = _ends_of_plain(source, start, end)
    else:
        blocks = Blocks(source, start, compression_of(source.read(start, min(LONGEST_MAGIC, source.size - start))))
        while blocks.some(1 << 20):
            pass
        ends = iter((blocks.end,))
    for last in ends:
        for place in range(-(-last // _WORD) * _WORD, min(last + 520, end - _WORD), _WORD):
            size = int.from_bytes(source.read(place, _WORD), "little")
            if last <= start + size <= place < start + size + _WORD:
                return size
    return 0


def _ends_of_plain(source: Source, start: int, end: int) -> Iterator[int]:
    """Where the archives that begin at `start` end, each after the zeros that pad it."""
    found = Initramfs(Window(source, start, min(end - start, _LARGEST)))
    found.read(_ignored)
    if found.parts and found.parts[0].compression == "none":
        yield start + found.parts[0].offset + found.parts[0].size


def _ignored(member: Member) -> None:
    return None
