"""Checks of an Image against the vmlinux that it is made from."""

from collections.abc import Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Evidence, Severity, check
from kinspect.views.diff.comparison import compare


@check(Severity.ERROR)
def image_is_objcopy_of_vmlinux(vmlinux: Vmlinux, image: Image) -> Iterator[Evidence]:
    """The Image is, byte for byte, `objcopy -O binary` of vmlinux.

    The flags are those that the build recorded in `.Image.cmd` next to the Image, or else those of the kernel's
    Makefile. If the Image differs, the two come from different builds, or one was changed after the link: symbols, line
    numbers and crash addresses taken from this vmlinux are then wrong for this Image. A signed Image differs too. Take
    both files from one build; `kinspect diff` shows where and why they differ.
    Source: arch/arm64/boot/Makefile, OBJCOPYFLAGS_Image.
    """
    comparison = compare(vmlinux, image)
    if comparison.same:
        return
    from kinspect.views.diff.cause import cause_of
    from kinspect.views.diff.explanation import differences

    message = f"the Image is not what objcopy makes of {vmlinux.path}: {cause_of(vmlinux, image).message}"
    first = next(differences(vmlinux, image, most=1), None)
    if first:
        at = image.at(f"{first.section} {first.place}", first.offset)
        yield Evidence(message, (at, vmlinux.at()), expected=first.expected, actual=first.actual)
    else:
        expected, actual = f"{comparison.flat.size:,} bytes", f"{image.size:,}"
        yield Evidence(message, (image.at(), vmlinux.at()), expected=expected, actual=actual)
