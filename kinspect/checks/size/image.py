"""Checks of the sizes of an Image against those of the vmlinux that it is made from."""

from collections.abc import Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Evidence, Severity, check
from kinspect.views.size.account import sizes


@check(Severity.ERROR)
def sections_sum_to_image_size(vmlinux: Vmlinux, image: Image) -> Iterator[Evidence]:
    """The sections, page tables and gaps of vmlinux add up to image_size.

    The linker sets image_size to `_end - _text`: if the sum differs, the two files come from different builds, and the
    sizes and symbols of this vmlinux are wrong for this Image. Take both from one build.
    Source: arch/arm64/kernel/image.h.
    """
    total = sizes(vmlinux, image).memory_size
    if image.header.image_size and image.header.image_size != total:
        yield Evidence(
            "image_size differs from the memory that vmlinux occupies",
            (image.field("image_size"), vmlinux.at()),
            expected=total,
            actual=image.header.image_size,
        )


@check(Severity.ERROR)
def sections_sum_to_file_size(vmlinux: Vmlinux, image: Image) -> Iterator[Evidence]:
    """The sections with contents, page tables and gaps of vmlinux add up to the size of the Image.

    A longer Image was padded or signed; a shorter one was truncated and will not boot; or the two come from different
    builds. Take both from one build.
    Source: arch/arm64/boot/Makefile.
    """
    total = sizes(vmlinux, image).file_size
    if image.size != total:
        yield Evidence(
            "the size of the Image is not that of its parts in vmlinux",
            (image.at(), vmlinux.at()),
            expected=total,
            actual=image.size,
        )
