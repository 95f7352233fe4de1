"""Checks of the archives of an initramfs: what the kernel cannot unpack, or leaves out."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.wording import counted, summarized
from kinspect.errors import Location
from kinspect.views.initramfs.contents import InitramfsFacts


@check(Severity.ERROR)
def initramfs_is_whole(initramfs: InitramfsFacts) -> Iterator[Evidence]:
    """The archives can be read to their end, and nothing that is not an archive follows them.

    The kernel unpacks up to the fault (`Initramfs unpacking failed`), or silently to the end of the file, and starts
    with the files that it has by then. Make the initramfs again; a file that is too short was not copied whole, often
    because `/boot` was full.
    Source: init/initramfs.c, unpack_to_rootfs() and write_buffer().
    """
    for fault in initramfs.faults:
        inside = "" if fault.part is None else f"unpacked from {fault.part:#x}"
        at = (Location(initramfs.path, inside, fault.offset),)
        yield Evidence(fault.problem, at, fault.expected or None, fault.actual or None)
    if not initramfs.parts and not initramfs.faults:
        yield Evidence("there is no archive in it: it is all zeros", (Location(initramfs.path),))


@check(Severity.ERROR)
def checksums_of_members_are_right(initramfs: InitramfsFacts) -> Iterator[Evidence]:
    """The sum of a file's bytes is that of its header, in archives of the format crc (070702).

    The kernel stops unpacking there (`bad data checksum`). The file was damaged after the archive was made: make the
    initramfs again. Archives of the format newc have no sums.
    Source: init/initramfs.c, do_copy().
    """
    found = (Evidence("the data does not have its checksum", (_at(initramfs, path),)) for path in initramfs.bad_sums)
    yield from capped(found, "files", Location(initramfs.path))


@check(Severity.WARNING)
def members_stay_below_the_root(initramfs: InitramfsFacts) -> Iterator[Evidence]:
    """No name has `..` in it.

    The kernel unpacks into the root folder, which nothing leads out of, but a program that unpacks the archive as a
    user may write to other folders. No tool that makes an initramfs stores such names: find out what did.
    Source: cpio(1), --no-absolute-filenames.
    """
    if initramfs.unsafe:
        names = counted(len(initramfs.unsafe), "name")
        message = f"{names} with `..`: {summarized(initramfs.unsafe)}"
        yield Evidence(message, (_at(initramfs, initramfs.unsafe[0]),))


@check(Severity.INFO)
def initramfs_has_an_init(initramfs: InitramfsFacts) -> Iterator[Evidence]:
    """There is a program `/init` to start.

    Without it, the kernel mounts the root file system by itself, and nothing loads the modules in the initramfs. That
    is right for one that only has microcode, or that a boot loader joins to another; the one that is built into the
    kernel is unpacked before that of the boot loader.
    Source: init/main.c, kernel_init_freeable().
    """
    if not initramfs.init and initramfs.parts and not initramfs.built_in:
        yield Evidence("there is no /init: the kernel mounts the root file system itself", (Location(initramfs.path),))


def _at(initramfs: InitramfsFacts, path: str) -> Location:
    return Location(f"{initramfs.path}:{path}")
