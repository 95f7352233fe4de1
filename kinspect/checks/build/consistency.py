"""Checks of the files of one build against each other."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelRelease
from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted, summarized
from kinspect.views.depmod.tree import order_of, vermagics

_LEFT_OUT = re.compile(
    rb"\S+ (?:[aNUw] .*|A \S*__crc_.*|\S (?:__kstrtab_|__kstrtabns_|__crc_|__kcfi_typeid_|__efistub_|\.L|L0|"
    rb"__kvm_nvhe_(?:\$|\.L)|__pi_(?:\$|\.L)|__AArch64ADRPThunk_|__AArch64LongThunk_).*)"
)
"""What builds leave out of System.map. Source: scripts/mksysmap, of 5.x to 7.x."""
_ANOTHER_BUILD = 20
"""A System.map is of another build when more than one line in 20 differs."""
_RELEASE = re.compile(r"Linux version (\S+) ")


@check(Severity.ERROR)
def system_map_is_of_vmlinux(system_map: SystemMap, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """System.map lists the symbols of vmlinux with their addresses and types, except those that the build omits.

    Crash addresses are looked up in it: a System.map from another build gives the wrong function names. Install the one
    that was made with this vmlinux.
    Source: scripts/mksysmap; scripts/link-vmlinux.sh.
    """
    from kinspect.views.kernel.symbols import symbol_counts

    if not len(vmlinux.symbols):
        return  # a stripped vmlinux has nothing to compare
    # The same line may be there several times.
    theirs, ours = Counter(system_map.lines), vmlinux.cached(symbol_counts)
    added = sorted((theirs - ours).elements())
    missing = sorted(line for line in (ours - theirs).elements() if not _LEFT_OUT.fullmatch(line))
    if added or missing:
        line = system_map.lines.index(added[0]) + 1 if added else None
        shown = summarized([line.decode("ascii", "backslashreplace") for line in [*added, *missing]])
        message = (
            f"{counted(len(added), 'line')} not in {vmlinux.path}, {counted(len(missing), 'symbol')} missing: {shown}"
        )
        if max(len(added), len(missing)) * _ANOTHER_BUILD > len(system_map.lines):
            message = f"not the same build: {message}"
        yield Evidence(message, (system_map.at()._replace(line=line), vmlinux.at()))


@check(Severity.ERROR)
def system_map_is_in_order(system_map: SystemMap) -> Iterator[Evidence]:
    """The lines of System.map are sorted by address, and the last one is complete.

    `nm -n` sorts them, and tools that look up an address stop at the first line with a higher one: a line out of order
    gives wrong names. The file was edited, merged or truncated; take the one that was made with the kernel.
    Source: scripts/mksysmap.
    """
    addresses = [int(line.partition(b" ")[0], 16) for line in system_map.lines]
    for number, (before, address) in enumerate(pairwise(addresses), start=2):
        if address < before:
            at = (system_map.at()._replace(line=number),)
            yield Evidence("the line is out of order", at, f"an address from {before:#x}", f"{address:#x}")
            return
    if not system_map.newline_at_end:
        at = (system_map.at()._replace(line=len(system_map.lines)),)
        yield Evidence("the last line has no newline: the file is truncated", at)


@check(Severity.ERROR)
def release_is_that_of_the_kernel(release: KernelRelease, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """The release in include/config/kernel.release is the one in the kernel's banner.

    The modules are installed in a folder of that name, where a kernel of another release does not find them. The build
    was interrupted, or the configuration was changed after it: run make again.
    Source: Makefile, KERNELRELEASE; init/version.c.
    """
    match = _RELEASE.match(kernel.banner or "")
    if match and match[1] != release.release:
        yield Evidence("the kernel has a different release", (release.at(), kernel.at()), release.release, match[1])


@check(Severity.ERROR)
def release_is_that_of_the_modules(release: KernelRelease, tree: ModuleTree) -> Iterator[Evidence]:
    """The release in include/config/kernel.release is the one in the vermagic of the modules.

    Modules of another release come from another build, and without MODVERSIONS the kernel refuses them (`version magic
    ... should be ...`). Run `make modules` again.
    Source: include/linux/vermagic.h.
    """
    for vermagic, count in vermagics(tree).most_common(1):
        found = vermagic.split(" ", 1)[0]
        if found != release.release:
            at = (release.at(), tree.location(""))
            yield Evidence(
                f"the vermagic of {counted(count, 'module')} has a different release", at, release.release, found
            )


@check(Severity.ERROR)
def modules_lie_in_the_folder_of_their_release(tree: ModuleTree) -> Iterator[Evidence]:
    """The folder lib/modules/RELEASE has the name of the release in the vermagic of its modules.

    modprobe looks in the folder that is named after the running kernel's release: if a folder was renamed, it finds no
    modules, or those of another kernel. Install them again with `make modules_install`.
    Source: kmod, libkmod/libkmod.c, kmod_new().
    """
    if not tree.release or os.path.basename(os.path.dirname(os.path.abspath(tree.root))) != "modules":
        return
    for vermagic, count in vermagics(tree).most_common(1):
        found = vermagic.split(" ", 1)[0]
        if found != tree.release:
            message = f"the vermagic of {counted(count, 'module')} has a different release than the folder"
            yield Evidence(message, (tree.location(""),), tree.release, found)


@check(Severity.WARNING)
def image_is_made_with_the_usual_flags(image: Image) -> Iterator[Evidence]:
    """The command in `.Image.cmd` next to the Image is the objcopy command of the kernel's Makefile.

    Other flags may drop sections that the kernel needs, or keep notes that do not belong in the Image. Build the Image
    with the kernel's Makefile.
    Source: arch/arm64/boot/Makefile, OBJCOPYFLAGS_Image.
    """
    from kinspect.views.diff.objcopy import MAKEFILE_FLAGS, flags_for

    if image.layers:
        return
    flags = flags_for(image.path)
    if flags.words != MAKEFILE_FLAGS:
        usual, found = (" ".join(words) for words in (MAKEFILE_FLAGS, flags.words))
        yield Evidence("the Image was made with unusual objcopy flags", (image.at(),), expected=usual, actual=found)


@check(Severity.ERROR)
def modules_order_is_of_the_build(tree: ModuleTree) -> Iterator[Evidence]:
    """In the folder of a build, modules.order lists exactly the modules that were built.

    `make modules_install` installs what it lists: a module that was built but is not listed is not installed, and one
    that is listed but missing makes the installation fail. Run `make modules` again.
    Source: Makefile, modules.order; scripts/Makefile.modinst.
    """
    if not tree.of_a_build:
        return
    listed, built = order_of(tree), {file.path for file in tree.files}
    gone, unlisted = sorted(listed.keys() - built, key=listed.__getitem__), sorted(built - listed.keys())
    if gone:
        at = (tree.location("modules.order", line=listed[gone[0]]),)
        yield Evidence(f"{counted(len(gone), 'module')} listed but not built: {summarized(gone)}", at)
    if unlisted:
        message = f"{counted(len(unlisted), 'module')} built but not listed: {summarized(unlisted)}"
        yield Evidence(message, (tree.location("modules.order"),))
