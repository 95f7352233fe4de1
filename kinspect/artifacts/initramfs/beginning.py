"""Whether a file is an initramfs, by its first bytes, compressed or not."""

import os

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.parts import BootContainer
from kinspect.artifacts.boot.zboot import Zboot
from kinspect.artifacts.compression.magics import LONGEST_MAGIC, compression_of
from kinspect.artifacts.compression.streams import COMPRESSIONS
from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.artifacts.initramfs.unpacking import Blocks
from kinspect.artifacts.kinds import advice, description, kind_of
from kinspect.artifacts.raw.limits import HEAD
from kinspect.errors import KinspectError, Location, MalformedError, UnsupportedError, WrongKindError
from kinspect.schemas.cpio import CRC, NEWC
from kinspect.source import Source

_NAMES = ("initrd", "initramfs")


def is_initramfs(source: Source) -> bool:
    """Whether a file begins with a cpio archive, plain or compressed. False when it cannot be read or unpacked.

    A compressed stream that is broken at its beginning counts if the file has the name of an initramfs.
    """
    try:
        head = source.head(LONGEST_MAGIC)
        if head.startswith((NEWC, CRC)):
            return True
        compression = compression_of(head)
        return compression in COMPRESSIONS and Blocks(source, 0, compression).read(6) in (NEWC, CRC)
    except MalformedError:
        return os.path.basename(source.path).startswith(_NAMES)
    except KinspectError:
        return False


def what_holds_one(source: Source) -> type[Artifact] | None:
    """The class of a file that may have an initramfs in it: a kernel, compressed or not, or a boot loader's container.

    None for any other file. Reads no more than its first bytes.
    """
    try:
        head = source.head(HEAD)
        compression = compression_of(head)
        if compression in COMPRESSIONS:
            head = Blocks(source, 0, compression).read(HEAD)
    except KinspectError:
        return None
    kind = kind_of(head) if head else None
    if kind is None or not kind.reader:
        return None
    found = type(kind.read(source))
    if found is Dtb:
        return BootContainer  # a FIT image, perhaps
    return found if issubclass(found, BootContainer | Image | Zboot | Vmlinux) else None


def refuse_others(source: Source) -> None:
    """Raise WrongKindError for a file that begins with neither an archive nor a compressed stream of one.

    A compressed stream that is broken at its beginning may be one: a check reports that.
    """
    head = source.head(HEAD)
    if head.startswith(b"07070") or not head.strip(b"\0") or is_initramfs(source):
        return
    compression = compression_of(head)
    if not compression:
        problem = f"wrong kind of file{advice(head)}"
        raise WrongKindError(problem, Location(source.path), expected=Initramfs.kind, actual=description(head))
    if compression not in COMPRESSIONS:
        raise UnsupportedError(f"{compression} is not supported", Location(source.path))
    try:
        inside = Blocks(source, 0, compression).read(HEAD)
    except MalformedError:
        return
    if inside.startswith(b"07070") or not inside.strip(b"\0"):
        return
    problem = f"wrong kind of file inside {compression}"
    raise WrongKindError(problem, Location(source.path), expected=Initramfs.kind, actual=description(inside))
