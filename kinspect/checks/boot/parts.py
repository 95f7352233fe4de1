"""Checks of every container of a boot loader."""

from collections.abc import Iterator
from itertools import pairwise

from kinspect.artifacts.boot.parts import BootContainer
from kinspect.checks.boot.ending import trailing
from kinspect.checks.check import Evidence, Severity, check

_STEP = 1 << 20
_PADDING = (b"\0", b"\xff")


@check(Severity.WARNING)
def nothing_follows_the_parts(container: BootContainer) -> Iterator[Evidence]:
    """Nothing but padding follows the parts of a boot loader's container.

    A container is padded with zeros to the end of a page, and a copy of a partition has zeros, or the 0xff of erased
    flash memory, up to its end. Other bytes are covered by none of its checksums, and boot loaders ignore them. Find
    out what they are, or remove them.
    Source: U-Boot, include/image.h; Android, system/tools/mkbootimg.
    """
    start, end = container.contents_end, container.size
    for at in range(start, end, _STEP):
        data = container.source.read(at, min(_STEP, end - at))
        if all(data.strip(padding) for padding in _PADDING):
            text = trailing(container.source, start, end)
            yield Evidence(f"{text} follow the parts", (container.at("", start),))
            return


@check(Severity.WARNING)
def parts_do_not_overlap(container: BootContainer) -> Iterator[Evidence]:
    """The parts of a boot loader's container lie one after the other.

    Where two overlap, one was written over the other, or an offset is wrong. Build the container again.
    Source: Android, system/tools/mkbootimg, include/bootimg/bootimg.h; Microsoft's PE format.
    """
    parts = sorted((part for part in container.separate_parts if part.size), key=lambda part: (part.start, part.end))
    for before, after in pairwise(parts):
        if after.start < before.end:
            at = (container.place(after), container.place(before))
            yield Evidence(f"the {after.name} begins inside the {before.name}", at, f"from {before.end:#x} on")
