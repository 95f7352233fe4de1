"""Checks of the end of an Image, and of what follows a kernel in its file."""

from collections.abc import Iterator

from kinspect.artifacts.boot.ending import appended_trees, bss_start, model_of, relocations, trees_behind
from kinspect.artifacts.boot.image import Image
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted, summarized
from kinspect.source import Source

_LARGEST_PAGE = 1 << 16
_STEP = 1 << 20
_NAMED = 3


def trailing(source: Source, start: int, end: int) -> str:
    """What the bytes between two offsets are: `1,990 bytes`, with the device trees among them."""
    trees = list(appended_trees(source, start, end))
    text = counted(end - start, "byte")
    if not trees:
        return text
    # Only the first ones are named: to find a model the whole tree is read.
    named = [model_of(source, tree) or f"at {tree.offset:#x}" for tree in trees[:_NAMED]]
    models = summarized([*named, *(f"at {tree.offset:#x}" for tree in trees[_NAMED:])])
    return f"{text} ({counted(len(trees), 'device tree')}: {models})"


@check(Severity.ERROR)
def image_reaches_its_end(image: Image) -> Iterator[Evidence]:
    """An Image without a PE header is as long as its own code implies.

    A truncated file still has a header, and boots until the kernel uses what is missing. A PE header would say where
    the file ends. Without one, the end is derived from the code that clears .bss, which follows the file in memory, and
    from the relocations, which all lie in the file. Copy or build the file again. If less than a page is missing at the
    end, or if neither can be found in the kernel, the truncation is not detected.
    Source: arch/arm64/kernel/head.S, arch/arm64/kernel/pi/map_kernel.c; arch/arm64/kernel/vmlinux.lds.S.
    """
    if image.pe_offset:
        return
    end, table = image.cached(bss_start), image.cached(relocations)
    page = image.header.page_size or _LARGEST_PAGE
    if end is not None and end - page >= image.size:
        yield Evidence(
            "the file is truncated: .bss begins later", (image.at(),), f"about {end:,} bytes", f"{image.size:,}"
        )
    elif table and table.last > image.size:
        at, expected = image.at("relocations", table.start), f"at least {table.last:,} bytes"
        yield Evidence("the file is truncated: it is shorter than its relocations", (at,), expected, f"{image.size:,}")
    elif table and image.size - table.end < 24:
        at = image.at("relocations", table.start)
        yield Evidence("the file is truncated: it ends in the table of relocations", (at,))


@check(Severity.WARNING)
def nothing_follows_the_image(image: Image) -> Iterator[Evidence]:
    """In the file of an Image without a PE header, only zeros follow the Image.

    Some boot loaders look for a device tree there (an Image-dtb), but most ignore it, and the kernel overwrites the
    bytes when it clears .bss. Pass a device tree to the boot loader as a file of its own.
    Source: arch/arm64/kernel/head.S.
    """
    if image.pe_offset:
        return
    trees, end = image.cached(trees_behind), image.cached(bss_start)
    # The file may end up to a page before .bss, and a tree begin there.
    start = min([image.size if end is None else end, *(tree.offset for tree in trees)])
    for at in range(start, image.searched, _STEP):
        data = image.source.read(at, min(_STEP, image.searched - at))
        if data.strip(b"\0"):
            text = trailing(image.source, start, image.size)
            yield Evidence(f"{text} follow the kernel", (image.at("", start),))
            return
