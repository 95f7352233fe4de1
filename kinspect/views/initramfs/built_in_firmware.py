"""The firmware that is built into a kernel (CONFIG_EXTRA_FIRMWARE)."""

import re

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError
from kinspect.views.initramfs.decompressors import config_of
from kinspect.views.loader.tree import ConfiguredKernel

_NAME = re.compile(rb"\0(_fw_\w+_name)(?=\0)")
_LONGEST = 256
_MOST = 10_000


def built_in_firmware(kernel: Vmlinux | Image | ConfiguredKernel) -> set[str]:
    """The names of the files, from the .config and from the symbols of a vmlinux.

    Source: drivers/base/firmware_loader/builtin/Makefile, filechk_fwbin: `_fw_..._name` is the name of each.
    """
    config = config_of(kernel)
    found = set((config.options.get("CONFIG_EXTRA_FIRMWARE", "") if config else "").strip('"').split())
    bare = kernel.kernel if isinstance(kernel, ConfiguredKernel) else kernel
    if isinstance(bare, Vmlinux):
        found |= _named(bare)
    return found


def _named(vmlinux: Vmlinux) -> set[str]:
    try:
        symbols = vmlinux.own_symbols
        names = {name.decode() for name in _NAME.findall(symbols.strings.data)}
        addresses = symbols.values_of(sorted(names)[:_MOST]).values()
        return {_text(vmlinux, address) for address in addresses if address is not None} - {""}
    except KinspectError:
        return set()


def _text(vmlinux: Vmlinux, address: int) -> str:
    section = vmlinux.section_at(address)
    if section is None or not section.in_file:
        return ""
    size = min(_LONGEST, section.end - address)
    return vmlinux.read_address(address, size).split(b"\0", 1)[0].decode("utf-8", "replace")
