"""Checks of the 64-byte header of an Image."""

from collections.abc import Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.checks.check import Evidence, Severity, check

_4_GIB = 1 << 32


@check(Severity.ERROR)
def image_fits_image_size(image: Image) -> Iterator[Evidence]:
    """The file is not larger than the image_size in its header.

    image_size is the memory that the kernel occupies from its first byte on: the file, then .bss and the initial page
    tables. A boot loader reserves that much. If the file is larger, bytes were appended or the header was changed: what
    the loader places after the kernel (a device tree, an initrd) may overwrite its end. Use the Image as the build left
    it.
    Source: Documentation/arch/arm64/booting.rst.
    """
    size = image.header.image_size
    if size and image.size > size:
        yield Evidence(
            "the file is larger than image_size",
            (image.field("image_size"),),
            expected=f"at least {image.size:,}",
            actual=size,
        )


@check(Severity.INFO)
def image_size_is_stated(image: Image) -> Iterator[Evidence]:
    """image_size is not zero.

    Kernels before v3.17 leave it zero. A boot loader then has to guess how much memory the kernel needs after the file
    (U-Boot reserves 16 MiB), and must assume a text_offset of 0x80000. There is nothing to fix in such a kernel; in a
    newer one, the header was overwritten.
    Source: Documentation/arch/arm64/booting.rst.
    """
    if not image.header.image_size:
        yield Evidence("image_size is 0, as in kernels before v3.17", (image.field("image_size"),))


@check(Severity.ERROR)
def image_size_is_below_4_gib(image: Image) -> Iterator[Evidence]:
    """image_size is below 4 GiB.

    A kernel occupies tens of megabytes. A boot loader that uses a value this large finds no memory for the kernel and
    does not boot it. The header was overwritten: use the Image as the build left it.
    Source: Documentation/arch/arm64/booting.rst.
    """
    size = image.header.image_size
    if size >= _4_GIB:
        yield Evidence(
            "image_size is implausibly large", (image.field("image_size"),), expected=f"below {_4_GIB:,}", actual=size
        )


@check(Severity.ERROR)
def image_size_is_whole_pages(image: Image) -> Iterator[Evidence]:
    """image_size is a multiple of the page size.

    The linker script aligns `_end` to at least a page, so any other value was not written by the build: do not trust
    the header, and use the Image as the build left it. If the header does not state the page size, 4096 is assumed.
    Source: arch/arm64/kernel/vmlinux.lds.S.
    """
    page = image.header.page_size or 4096
    if image.header.image_size % page:
        yield Evidence(
            "image_size is not a multiple of the page size",
            (image.field("image_size"),),
            expected=f"a multiple of {page}",
            actual=image.header.image_size,
        )


@check(Severity.INFO)
def page_size_is_stated(image: Image) -> Iterator[Evidence]:
    """Bits 1-2 of the flags state the page size.

    0 means unspecified, as in kernels before v4.6; since then, 1 is 4K, 2 is 16K, and 3 is 64K. If they are 0, boot
    loaders and hypervisors cannot determine whether the CPU supports the page size. There is nothing to fix in such an
    old kernel.
    Source: Documentation/arch/arm64/booting.rst.
    """
    if image.header.page_size is None:
        yield Evidence("the flags do not state the page size", (image.field("flags"),), actual=image.header.flags)


@check(Severity.WARNING)
def reserved_flags_are_zero(image: Image) -> Iterator[Evidence]:
    """Bits 4-63 of the flags are zero.

    They are reserved: no boot loader knows what they mean, and a future one may act on them. Something other than the
    kernel's build set them, or the kernel is newer than this check.
    Source: Documentation/arch/arm64/booting.rst.
    """
    reserved = image.header.reserved_flags
    if reserved:
        yield Evidence(
            "reserved bits of the flags are set", (image.field("flags"),), expected=0, actual=f"{reserved:#x}"
        )


@check(Severity.WARNING)
def reserved_fields_are_zero(image: Image) -> Iterator[Evidence]:
    """res2, res3 and res4 are zero.

    They are reserved, and the kernel's build leaves them zero: another tool set them. A future boot loader may assign a
    meaning to them. Use the Image as the build left it.
    Source: Documentation/arch/arm64/booting.rst.
    """
    for name in ("res2", "res3", "res4"):
        value = getattr(image.header, name)
        if value:
            yield Evidence(f"{name} is not zero", (image.field(name),), expected=0, actual=value)


@check(Severity.INFO)
def text_offset_is_usual(image: Image) -> Iterator[Evidence]:
    """text_offset is 0, or 0x80000 as in kernels before v5.10.

    Other values come from CONFIG_ARM64_RANDOMIZE_TEXT_OFFSET, a debugging option of kernels before v5.8 that exposes
    boot loaders that ignore the field: with such a loader, the kernel does not boot. Turn the option off for a release.
    Source: Documentation/arch/arm64/booting.rst.
    """
    if image.header.text_offset not in (0, 0x80000):
        yield Evidence(
            "unusual text_offset",
            (image.field("text_offset"),),
            expected="0 or 0x80000",
            actual=image.header.text_offset,
        )


@check(Severity.ERROR)
def entry_branch_lands_inside(image: Image) -> Iterator[Evidence]:
    """The branch at the start of the Image leads into the file, past the header.

    A boot loader jumps to the first byte. With CONFIG_EFI, code0 is a harmless instruction that spells "MZ", and code1
    branches to the kernel's entry; without CONFIG_EFI, either may be the branch. Without a valid branch, the kernel
    does not boot: the header was overwritten, or the file truncated. Use the Image as the build left it.
    Source: arch/arm64/kernel/head.S.
    """
    header, at = image.header, (image.field(image.header.branch or "code1"),)
    if header.entry is None:
        yield Evidence(
            "no branch to the kernel in code0 and code1", at, expected="a branch", actual=f"{header.code1:#x}"
        )
    elif not 64 <= header.entry < image.size:
        expected = f"64 to {image.size - 4:,}"
        yield Evidence(
            "the first branch leads out of the kernel code", at, expected=expected, actual=f"{header.entry:,}"
        )


@check(Severity.WARNING)
def image_has_a_banner(image: Image) -> Iterator[Evidence]:
    """The Image contains a `Linux version` line with a build number.

    The kernel prints it early during boot, and /proc/version shows it. A file without it is probably not an
    uncompressed Linux kernel: check that it is the right file.
    Source: init/version.c, linux_banner.
    """
    if image.banner is None:
        yield Evidence("no `Linux version` line with a build number", (image.at(),))
