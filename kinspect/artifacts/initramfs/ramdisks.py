"""The ramdisks in containers of boot loaders that are an initramfs."""

from collections.abc import Iterable, Iterator

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.boot.parts import BootContainer, BootPart
from kinspect.artifacts.compression.magics import LONGEST_MAGIC, compression_of
from kinspect.artifacts.initramfs.beginning import is_initramfs, refuse_others
from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.errors import KinspectError
from kinspect.source import Source

RAMDISK = "ramdisk"


def ramdisks_of(artifacts: Iterable[Artifact]) -> Iterator[Initramfs]:
    """Each initramfs among the parts of containers; its path ends in the name of the part: `boot.img:ramdisk`.

    A part named ramdisk counts when it is broken, but not when it is a file system. What cannot be listed is left to
    the checks of the container.
    """
    for container in artifacts:
        if isinstance(container, BootContainer):
            try:
                parts = container.separate_parts
            except KinspectError:
                continue
            for part in parts:
                source = container.source_of(part)
                source.path = f"{container.path}:{part.name}"
                if _is_ramdisk(source, part):
                    yield Initramfs(source)


def _is_ramdisk(source: Source, part: BootPart) -> bool:
    head = source.head(LONGEST_MAGIC)
    if not part.name.startswith(RAMDISK):
        return head.startswith(b"07070") and is_initramfs(source)
    if not head.startswith(b"07070") and not compression_of(head):
        return False
    try:
        refuse_others(source)
    except KinspectError:
        return False
    return True
