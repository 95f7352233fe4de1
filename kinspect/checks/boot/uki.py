"""Checks of unified kernel images."""

from collections.abc import Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.parts import KERNEL
from kinspect.artifacts.boot.uki import Uki
from kinspect.artifacts.kinds import description
from kinspect.artifacts.raw.limits import HEAD
from kinspect.checks.check import Evidence, Severity, check

_ONCE = ("kernel", "ramdisk", "cmdline", "osrel", "uname", "sbat")
_RELEASE = 2


@check(Severity.ERROR)
def uki_uname_is_of_the_kernel(uki: Uki, image: Image) -> Iterator[Evidence]:
    """The section .uname of a unified kernel image has the release of the kernel inside.

    Boot loaders and update tools show and sort images by it, and the modules in the initrd are looked for under that
    release. The image was made of parts of two kernels, or with a wrong `--uname`: run ukify again.
    Source: the UAPI group's specification of unified kernel images, ".uname".
    """
    stated = uki.text("uname")
    if stated is None or uki not in image.wrappings:
        return
    words = (image.banner or "").split(" ")
    if len(words) > _RELEASE and words[_RELEASE] != stated:
        at = (uki.at("uname"),)
        yield Evidence("another release than that of the kernel inside", at, words[_RELEASE], stated[:200])


@check(Severity.ERROR)
def uki_sections_are_there_once(uki: Uki) -> Iterator[Evidence]:
    """A unified kernel image has each of its sections once, and a kernel that is not empty.

    systemd-stub takes the first of several sections with a name, except for .dtbauto, .efifw and sections of profiles;
    what is in the others is lost. Run ukify again.
    Source: the UAPI group's specification of unified kernel images, "UKI Components".
    """
    names = [part.title for part in uki.parts if part.name.rpartition("-")[0] in _ONCE]
    if names and not uki.part("profile"):
        yield Evidence(f"the section {names[0]} is there several times", (uki.at(names[0]),))
    kernel = uki.part(KERNEL)
    if kernel and not kernel.size:
        yield Evidence("the section .linux is empty", (uki.place(kernel),))


@check(Severity.ERROR)
def uki_kernel_is_an_efi_program(uki: Uki) -> Iterator[Evidence]:
    """The kernel in a unified kernel image is an EFI program: an Image, or an EFI zboot image.

    systemd-stub starts the section .linux as an EFI program, and does not decompress it: with an Image.gz the machine
    does not boot. Take the Image or vmlinuz.efi instead, or a newer ukify, which decompresses it.
    Source: systemd, src/boot/efi/linux.c, linux_exec().
    """
    kernel = uki.part(KERNEL)
    if kernel and kernel.size:
        head = uki.source.read(kernel.start, min(kernel.size, HEAD), KERNEL)
        if not head.startswith(b"MZ"):
            yield Evidence("the kernel is not an EFI program", (uki.place(kernel),), "MZ", description(head))


@check(Severity.WARNING)
def uki_has_its_sbat(uki: Uki) -> Iterator[Evidence]:
    """A signed unified kernel image has a section .sbat.

    shim refuses a signed program without it, because it could not be revoked. ukify adds that of systemd-stub; give it
    `--sbat`.
    Source: shim, SBAT.md; the UAPI group's specification of unified kernel images, ".sbat".
    """
    if uki.signature == "present" and uki.part("sbat") is None:
        yield Evidence("signed, but without .sbat", (uki.at(),))
