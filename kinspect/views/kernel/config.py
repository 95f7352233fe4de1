"""The .config that a kernel carries inside: CONFIG_IKCONFIG puts it into the kernel itself or into configs.ko."""

from collections.abc import Iterable

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.raw.embedded import EmbeddedConfig, config_in
from kinspect.source import Source


def embedded_config(kernel: Image | Vmlinux | Module) -> EmbeddedConfig | None:
    """The .config inside; None when there is none. Its place is that in the raw Image, the vmlinux, the module.

    Source: kernel/configs.c; scripts/extract-ikconfig.
    """
    source, ranges = _searched(kernel)
    found = (config_in(source, start, end) for start, end in ranges)
    return next(filter(None, found), None)


def _searched(kernel: Image | Vmlinux | Module) -> tuple[Source, Iterable[tuple[int, int]]]:
    if isinstance(kernel, Image):
        return kernel.source, [(0, kernel.searched)]
    if isinstance(kernel, Vmlinux):
        return kernel.source, kernel.searched()
    data = kernel.data
    return Source(kernel.path, data), [(0, len(data))]
