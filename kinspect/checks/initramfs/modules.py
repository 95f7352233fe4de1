"""Checks of the modules in an initramfs that those of installed modules do not cover."""

from collections.abc import Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.wording import counted, summarized
from kinspect.errors import Location
from kinspect.views.initramfs.contents import InitramfsFacts
from kinspect.views.loader.tree import ConfiguredKernel


@check(Severity.ERROR)
def needed_modules_are_in_the_initramfs(initramfs: InitramfsFacts) -> Iterator[Evidence]:
    """Every module that another one depends on is in the initramfs too, or built in.

    depmod takes the missing one for a part of the kernel, and modprobe then loads the other without it: the kernel
    refuses it (`Unknown symbol`). Put the provider into the initramfs, then run depmod, or let the tool that makes the
    initramfs choose the modules.
    Source: the field `depends` of .modinfo, which modpost writes; scripts/mod/modpost.c, add_depends().
    """
    found = (Evidence(f"{one.name} is left out: {_refused(one.users)}", (one.at,)) for one in initramfs.left_out)
    yield from capped(found, "modules", Location(initramfs.path))


def _refused(users: tuple[str, ...]) -> str:
    verb = "needs it and does" if len(users) == 1 else "need it and do"
    return f"{summarized(users)} {verb} not load"


@check(Severity.ERROR)
def initramfs_has_modules_of_the_kernel(
    initramfs: InitramfsFacts, kernel: Vmlinux | Image | ConfiguredKernel
) -> Iterator[Evidence]:
    """The modules in the initramfs are in the folder of the kernel's release.

    modprobe looks for modules in /lib/modules/RELEASE, with the release of the kernel that runs, and finds none
    elsewhere. Make the initramfs for this kernel (`update-initramfs -u -k RELEASE`, `dracut --kver RELEASE`).
    Source: kmod, libkmod/libkmod.c, get_kernel_release().
    """
    found = kernel.kernel if isinstance(kernel, ConfiguredKernel) else kernel
    release = "".join((found.banner or "").split(" ")[2:3])
    releases = [one.release for one in initramfs.releases if one.release]
    if release and releases and release not in releases:
        at = (Location(f"{initramfs.path}:{initramfs.releases[0].root}"), found.at())
        yield Evidence("the modules are of another release", at, expected=release, actual=", ".join(releases))


@check(Severity.INFO)
def firmware_is_in_the_initramfs(initramfs: InitramfsFacts) -> Iterator[Evidence]:
    """Every firmware file that a module asks for is in the initramfs.

    The field `firmware` of a module lists the files for all its devices and versions. A device whose file is missing
    may fail until the root file system is mounted (`Direct firmware load ... failed`); modules for devices that the
    machine does not have ask for files that nobody needs. Install the firmware, and make the initramfs again.
    Source: drivers/base/firmware_loader/main.c, fw_get_filesystem_firmware().
    """
    missing = initramfs.missing_firmware
    if missing:
        users = {user for one in missing for user in one.users}
        who = f"{counted(len(missing), 'firmware file')} that {counted(len(users), 'module')} may ask for"
        verb = "is" if len(missing) == 1 else "are"
        message = f"{who} {verb} not in it: {summarized([one.name for one in missing])}"
        yield Evidence(message, (Location(initramfs.path),))
