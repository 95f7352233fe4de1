"""Checks of the exports in a raw Image: whether the kernel can find them, and whether they lie in the kernel."""

from collections.abc import Iterator
from itertools import pairwise

from kinspect.artifacts.boot.image import Image
from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import UnsupportedError
from kinspect.views.tables.raw_exports import image_exports, readable_exports


@check(Severity.ERROR)
def image_exports_are_sorted(image: Image) -> Iterator[Evidence]:
    """Each table of exports in the Image is sorted by name in the order of strcmp, and has no name twice.

    The kernel finds an export by binary search: one that is out of order is not found, and modules that need it are
    refused (`Unknown symbol`). The Image was changed after the link; build it again. Up to 5.10, the hypervisor's copy
    of an export may be next to it with the same name and CRC: the search finds either, and the check allows it.
    Source: kernel/module/main.c, find_exported_symbol_in_section.
    """
    try:
        exports = image_exports(image)
    except UnsupportedError:
        return  # a kernel without modules exports nothing
    for table in exports.tables:
        for index, (before, after) in enumerate(pairwise(table.exports), start=1):
            copied = before == after and table.targets[index - 1] != table.targets[index]
            if after.name <= before.name and not copied:
                at = (exports.row(table, index),)
                yield Evidence(f"the export {after.name} follows {before.name}: not in the order of strcmp", at)


@check(Severity.ERROR)
def image_exports_are_inside_the_kernel(image: Image) -> Iterator[Evidence]:
    """Every export in the Image points into the memory of the kernel.

    That memory extends to image_size and includes .bss. An export that points elsewhere was changed after the link, and
    a module that uses it crashes. Build the Image again.
    Source: arch/arm64/kernel/vmlinux.lds.S.
    """
    exports = readable_exports(image)
    end = max(image.header.image_size, image.size)
    for table in exports.tables:
        for index, target in enumerate(table.targets):
            if not 0 <= target < end:
                at = (exports.row(table, index),)
                name = table.exports[index].name
                expected, actual = f"an offset below {end:#x}", f"{target:#x}"
                yield Evidence(f"the export {name} points outside the kernel", at, expected, actual)
