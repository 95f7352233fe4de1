"""The .config that is embedded in a kernel, or in configs.ko, when it is built with CONFIG_IKCONFIG."""

from collections.abc import Iterable
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.layer import Layer
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.raw.embedded import EmbeddedConfig, Extent, config_in
from kinspect.source import Source


class ConfigFacts(NamedTuple):
    """The .config embedded in a file. `place` and `text` are None when there is none.

    `place` is that of its gzip stream, in the raw Image, the vmlinux or the uncompressed module.
    """

    path: str
    layers: tuple[Layer, ...]
    place: Extent | None
    text: str | None


def config_facts(kernel: Image | Vmlinux | Module) -> ConfigFacts:
    """The .config of a kernel or of configs.ko as text."""
    found = embedded_config(kernel)
    text = found.text.decode("utf-8", "surrogateescape") if found else None
    return ConfigFacts(kernel.path, kernel.layers, found.place if found else None, text)


def embedded_config(kernel: Image | Vmlinux | Module) -> EmbeddedConfig | None:
    """The embedded .config; None when there is none.

    Source: kernel/configs.c; scripts/extract-ikconfig.
    """
    source, ranges = _searched(kernel)
    return config_in(source, ranges)


def _searched(kernel: Image | Vmlinux | Module) -> tuple[Source, Iterable[tuple[int, int]]]:
    if isinstance(kernel, Image):
        return kernel.source, [(0, kernel.searched)]
    if isinstance(kernel, Vmlinux):
        return kernel.source, kernel.searched()
    data = kernel.data
    return Source(kernel.path, data), [(0, len(data))]
