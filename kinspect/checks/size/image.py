"""Whether the sizes of an Image are those of its vmlinux."""

from collections.abc import Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Evidence, Severity, check
from kinspect.views.size.account import sizes


@check(Severity.ERROR)
def sections_sum_to_image_size(vmlinux: Vmlinux, image: Image) -> Iterator[Evidence]:
    """The sections, page tables and gaps of vmlinux take exactly image_size bytes of memory.

    The linker writes image_size as `_end - _text`. A different sum means that the two come from different builds: use
    the vmlinux and the Image of one build.
    Source: arch/arm64/kernel/image.h.
    """
    total = sizes(vmlinux, image).memory_size
    if image.header.image_size and image.header.image_size != total:
        yield Evidence(
            "image_size differs from the memory that vmlinux takes",
            (image.field("image_size"),),
            expected=total,
            actual=image.header.image_size,
        )


@check(Severity.ERROR)
def sections_sum_to_file_size(vmlinux: Vmlinux, image: Image) -> Iterator[Evidence]:
    """The sections with contents, page tables and gaps of vmlinux take exactly as many bytes as the Image file.

    A longer Image was padded or signed, a shorter one was truncated, or the two come from different builds: use the
    vmlinux and the Image of one build.
    Source: arch/arm64/boot/Makefile.
    """
    total = sizes(vmlinux, image).file_size
    if image.size != total:
        yield Evidence(
            "the size of the Image differs from that of its sections in vmlinux",
            (image.at(),),
            expected=total,
            actual=image.size,
        )
