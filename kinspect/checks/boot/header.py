"""What must hold in the 64-byte header of an Image."""

from collections.abc import Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.checks.check import Evidence, Severity, check

_4_GIB = 1 << 32


@check(Severity.ERROR)
def image_fits_image_size(image: Image) -> Iterator[Evidence]:
    """The file is not larger than the image_size in its header.

    image_size is the memory that the kernel takes from its first byte on: the file and, after it, .bss and page
    tables. A boot loader reserves that much. A larger file means that bytes were appended or the header was changed,
    and what the loader puts behind the kernel may overwrite its end.
    Source: Documentation/arch/arm64/booting.rst.
    """
    size = image.header.image_size
    if size and image.size > size:
        yield Evidence(
            "the file is larger than the memory it reserves",
            (image.field("image_size"),),
            expected=f"at least {image.size:,}",
            actual=size,
        )


@check(Severity.INFO)
def image_size_is_stated(image: Image) -> Iterator[Evidence]:
    """image_size is not zero.

    Kernels before v3.17 leave it zero: a boot loader then has to guess the memory behind the file (U-Boot takes
    16 MiB), and text_offset has to be taken as 0x80000.
    Source: Documentation/arch/arm64/booting.rst.
    """
    if not image.header.image_size:
        yield Evidence("image_size is 0, as in kernels before v3.17", (image.field("image_size"),))


@check(Severity.ERROR)
def image_size_is_below_4_gib(image: Image) -> Iterator[Evidence]:
    """image_size is below 4 GiB.

    A kernel takes some tens of megabytes; a boot loader that believed such a number would reserve all memory.
    """
    size = image.header.image_size
    if size >= _4_GIB:
        yield Evidence(
            "no kernel is that large", (image.field("image_size"),), expected=f"below {_4_GIB:,}", actual=size
        )


@check(Severity.ERROR)
def image_size_is_whole_pages(image: Image) -> Iterator[Evidence]:
    """image_size is a multiple of the page size.

    The linker script aligns `_end` to at least a page. Where the header does not state the page size, 4096 is taken.
    Source: arch/arm64/kernel/vmlinux.lds.S.
    """
    page = image.header.page_size or 4096
    if image.header.image_size % page:
        yield Evidence(
            "image_size is no whole number of pages",
            (image.field("image_size"),),
            expected=f"a multiple of {page}",
            actual=image.header.image_size,
        )


@check(Severity.INFO)
def page_size_is_stated(image: Image) -> Iterator[Evidence]:
    """Bits 1-2 of the flags state the page size.

    0 means unspecified, as in kernels before v4.6. Since then 1 is 4K, 2 is 16K, 3 is 64K.
    Source: Documentation/arch/arm64/booting.rst.
    """
    if image.header.page_size is None:
        yield Evidence("the flags do not state the page size", (image.field("flags"),), actual=image.header.flags)


@check(Severity.WARNING)
def reserved_flags_are_zero(image: Image) -> Iterator[Evidence]:
    """Bits 4-63 of the flags are zero.

    They are reserved: a boot loader of today does not know what they ask for.
    Source: Documentation/arch/arm64/booting.rst.
    """
    reserved = image.header.reserved_flags
    if reserved:
        yield Evidence("reserved bits are set", (image.field("flags"),), expected=0, actual=f"{reserved:#x}")


@check(Severity.WARNING)
def reserved_fields_are_zero(image: Image) -> Iterator[Evidence]:
    """res2, res3 and res4 are zero.

    They are reserved. Something other than the kernel's build wrote there.
    Source: Documentation/arch/arm64/booting.rst.
    """
    for name in ("res2", "res3", "res4"):
        value = getattr(image.header, name)
        if value:
            yield Evidence(f"{name} is not zero", (image.field(name),), expected=0, actual=value)


@check(Severity.INFO)
def text_offset_is_usual(image: Image) -> Iterator[Evidence]:
    """text_offset is 0, or 0x80000 as in kernels before v5.10.

    Another value comes from CONFIG_ARM64_RANDOMIZE_TEXT_OFFSET, a debugging option of kernels before v5.8, and
    catches boot loaders that ignore the field.
    Source: Documentation/arch/arm64/booting.rst.
    """
    if image.header.text_offset not in (0, 0x80000):
        yield Evidence(
            "an unusual text_offset",
            (image.field("text_offset"),),
            expected="0 or 0x80000",
            actual=image.header.text_offset,
        )


@check(Severity.ERROR)
def entry_branch_lands_inside(image: Image) -> Iterator[Evidence]:
    """The first branch of the image lands inside the file, after the header.

    A boot loader jumps to the first byte. With CONFIG_EFI code0 does nothing (it spells "MZ") and code1 branches to
    the kernel's entry; without it either may be the branch.
    Source: arch/arm64/kernel/head.S.
    """
    header, at = image.header, (image.field("code1"),)
    if header.entry is None:
        yield Evidence("no branch to the kernel", at, expected="a branch", actual=f"{header.code1:#x}")
    elif not 64 <= header.entry < image.size:
        expected = f"64 to {image.size - 4:,}"
        yield Evidence("the first branch leaves the image", at, expected=expected, actual=f"{header.entry:,}")


@check(Severity.WARNING)
def image_has_a_banner(image: Image) -> Iterator[Evidence]:
    """The image holds a `Linux version` line with a build number.

    It is what the kernel prints first and what /proc/version shows. Without it the file is hardly a Linux kernel, or
    it is not decompressed.
    Source: init/version.c, linux_banner.
    """
    if image.banner is None:
        yield Evidence("no `Linux version` line with a build number", (image.at(),))
