"""Whether a file is an initramfs, by its first bytes, compressed or not."""

from kinspect.artifacts.compression.magics import LONGEST_MAGIC, compression_of
from kinspect.artifacts.compression.streams import COMPRESSIONS
from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.artifacts.initramfs.unpacking import Blocks
from kinspect.artifacts.kinds import advice, description, kind_of
from kinspect.artifacts.raw.limits import HEAD
from kinspect.errors import KinspectError, Location, UnsupportedError, WrongKindError
from kinspect.schemas.cpio import CRC, NEWC
from kinspect.source import Source


def is_initramfs(source: Source) -> bool:
    """Whether a file begins with a cpio archive, plain or compressed. False when it cannot be read or unpacked."""
    try:
        head = source.head(LONGEST_MAGIC)
        if head.startswith((NEWC, CRC)):
            return True
        compression = compression_of(head)
        return compression in COMPRESSIONS and Blocks(source, 0, compression).read(6) in (NEWC, CRC)
    except KinspectError:
        return False


def holds_kernel(source: Source) -> bool:
    """Whether a file begins as a kernel, compressed or not, or as a container of a boot loader."""
    try:
        head = source.head(HEAD)
        compression = compression_of(head)
        if compression in COMPRESSIONS:
            head = Blocks(source, 0, compression).read(HEAD)
    except KinspectError:
        return False
    kind = kind_of(head) if head else None
    return kind is not None and kind.reader.startswith(("boot.", "elf.", "dtb.")) and not compression_of(head)


def holds_container(source: Source) -> bool:
    """Whether a file begins as a container of a boot loader, which may have a ramdisk."""
    kind = kind_of(source.head(HEAD))
    return kind is not None and kind.reader.startswith(("boot.uki", "boot.uimage", "boot.android", "dtb."))


def refuse_others(source: Source) -> None:
    """Raise WrongKindError for a file that begins with neither an archive nor a compressed stream of one."""
    head = source.head(HEAD)
    if head.startswith(b"07070") or not head.strip(b"\0") or is_initramfs(source):
        return
    compression = compression_of(head)
    if not compression:
        problem = f"wrong kind of file{advice(head)}"
        raise WrongKindError(problem, Location(source.path), expected=Initramfs.kind, actual=description(head))
    if compression not in COMPRESSIONS:
        raise UnsupportedError(f"{compression} is not supported", Location(source.path))
    inside = Blocks(source, 0, compression).read(HEAD)
    if inside.startswith(b"07070") or not inside.strip(b"\0"):
        return
    problem = f"wrong kind of file inside {compression}"
    raise WrongKindError(problem, Location(source.path), expected=Initramfs.kind, actual=description(inside))
