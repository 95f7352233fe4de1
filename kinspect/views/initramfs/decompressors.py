"""What a kernel can decompress an initramfs with."""

from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError
from kinspect.source import Source
from kinspect.views.kernel.config import embedded_config
from kinspect.views.kernel.image_symbols import image_symbols
from kinspect.views.loader.tree import ConfiguredKernel

FUNCTIONS = {
    "gzip": "gunzip",
    "bzip2": "bunzip2",
    "lzma": "unlzma",
    "xz": "unxz",
    "lzo": "unlzo",
    "lz4": "unlz4",
    "zstd": "unzstd",
}
"""The compressions, and the kernel's functions for them. Source: lib/decompress.c, compressed_formats."""
_UNPACKS = "unpack_to_rootfs"


class Decompressors(NamedTuple):
    """The compressions that a kernel knows, and where that is from. `initramfs`: it unpacks one at all."""

    compressions: frozenset[str]
    initramfs: bool
    known_from: str


def config_of(kernel: Vmlinux | Image | ConfiguredKernel) -> KernelConfig | None:
    """The .config of a kernel, embedded or beside it; None when there is none that can be read."""
    if isinstance(kernel, ConfiguredKernel):
        return kernel.config
    try:
        found = embedded_config(kernel)
    except KinspectError:
        return None
    return KernelConfig(Source(kernel.path, found.text)) if found else None


def decompressors_of(kernel: Vmlinux | Image | ConfiguredKernel) -> Decompressors | None:
    """What a kernel decompresses, by its .config or else by its functions; None when it has neither."""
    config = config_of(kernel)
    if config:
        names = frozenset(name for name in FUNCTIONS if config.on(f"DECOMPRESS_{name.upper()}"))
        return Decompressors(names, config.on("BLK_DEV_INITRD"), "its .config")
    bare = kernel.kernel if isinstance(kernel, ConfiguredKernel) else kernel
    try:
        known = _functions(bare)
    except KinspectError:
        return None
    if not known:
        return None
    names = frozenset(name for name, function in FUNCTIONS.items() if function in known)
    return Decompressors(names, _UNPACKS in known, "its symbols")


def _functions(kernel: Vmlinux | Image) -> set[str]:
    if isinstance(kernel, Image):
        return set(image_symbols(kernel).names)
    found = kernel.symbols.values_of((*FUNCTIONS.values(), _UNPACKS, "start_kernel"))
    return {name for name, value in found.items() if value is not None}
