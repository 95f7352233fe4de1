"""Checks of an initramfs with the kernel that is to unpack it."""

from collections.abc import Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location
from kinspect.views.initramfs.contents import InitramfsFacts
from kinspect.views.initramfs.decompressors import decompressors_of
from kinspect.views.loader.tree import ConfiguredKernel


@check(Severity.ERROR)
def kernel_can_unpack_the_initramfs(
    initramfs: InitramfsFacts, kernel: Vmlinux | Image | ConfiguredKernel
) -> Iterator[Evidence]:
    """The kernel has the decompressors that the initramfs needs.

    Otherwise it prints `Initramfs unpacking failed` (`compression method ... not configured`) and boots without the
    initramfs, or with only the archives before. Enable CONFIG_BLK_DEV_INITRD and the option for the format
    (CONFIG_RD_GZIP, CONFIG_RD_ZSTD and so on), or use another compression.
    Source: init/initramfs.c, unpack_to_rootfs(); lib/decompress.c, decompress_method(); usr/Kconfig.
    """
    found = decompressors_of(kernel)
    if found is None:
        return
    bare = kernel.kernel if isinstance(kernel, ConfiguredKernel) else kernel
    if not found.initramfs:
        at = (Location(initramfs.path), bare.at())
        yield Evidence("the kernel does not support an initramfs: CONFIG_BLK_DEV_INITRD is off", at)
        return
    for name in dict.fromkeys(part.compression for part in initramfs.parts):
        if name != "none" and name not in found.compressions:
            at = (Location(initramfs.path), bare.at())
            missing = f"CONFIG_RD_{name.upper()} is off"
            yield Evidence(f"the kernel cannot decompress {name}, by {found.known_from}: {missing}", at)
