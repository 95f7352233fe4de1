"""Checks of a .config against the kernel and the modules that were built with it."""

import os
from collections.abc import Iterator
from itertools import zip_longest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.build.symvers import Symvers
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted, summarized
from kinspect.errors import Location
from kinspect.views.depmod.tree import depmod_of
from kinspect.views.kernel.config import embedded_config


@check(Severity.ERROR)
def config_is_the_embedded_one(config: KernelConfig, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """The .config is byte for byte the one embedded in the kernel (CONFIG_IKCONFIG).

    If they differ, the configuration was changed after the build, or the kernel comes from another build: what is built
    with this .config, such as out-of-tree modules, may not fit the kernel. Build the kernel again.
    Source: kernel/Makefile, config_data; kernel/configs.c.
    """
    found = embedded_config(kernel)
    if found:
        yield from _other_config(config, found.text, kernel.at())
    elif config.on("IKCONFIG"):
        yield Evidence("CONFIG_IKCONFIG=y, but there is no .config in the kernel", (kernel.at(), config.at()))


@check(Severity.ERROR)
def config_is_that_in_configs_ko(config: KernelConfig, tree: ModuleTree) -> Iterator[Evidence]:
    """The .config is byte for byte the one in the module configs.ko, which contains it if CONFIG_IKCONFIG=m.

    If they differ, the configuration was changed after the build, or the modules come from another build. Build and
    install both again.
    Source: kernel/Makefile, config_data; kernel/configs.c.
    """
    for file in tree.files if config.options.get("CONFIG_IKCONFIG") == "m" else ():
        if file.name == "configs":
            module = Module(os.path.join(tree.root, file.path))
            found = embedded_config(module)
            if found:
                yield from _other_config(config, found.text, module.at())
            else:
                yield Evidence("CONFIG_IKCONFIG=m, but there is no .config in the module", (module.at(), config.at()))


def _other_config(config: KernelConfig, inside: bytes, carrier: Location) -> Iterator[Evidence]:
    """The first line in which a .config differs from the one inside a kernel or module."""
    if inside == config.text:
        return
    pairs = zip_longest(inside.split(b"\n"), config.text.split(b"\n"))
    number, lines = next((number, pair) for number, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    expected, actual = ("the end" if line is None else line[:80].decode("ascii", "backslashreplace") for line in lines)
    at = (config.at()._replace(line=number), carrier)
    yield Evidence("the .config differs from the one in the kernel", at, expected, actual)


@check(Severity.ERROR)
def header_is_of_the_config(config: KernelConfig, image: Image) -> Iterator[Evidence]:
    """Page size, byte order and EFI stub of the Image are those of the .config.

    An Image that differs was built with another configuration: the .config was changed after the build, or the Image is
    outdated. Build it again.
    Source: arch/arm64/Kconfig; arch/arm64/kernel/image.h; arch/arm64/kernel/head.S.
    """
    header, at = image.header, (image.at("flags"), config.at())
    for name, size in (("4K", 4096), ("16K", 16384), ("64K", 65536)):
        if config.on(f"ARM64_{name}_PAGES") and header.page_size not in (None, size):
            message = f"CONFIG_ARM64_{name}_PAGES=y, but the header states a different page size"
            yield Evidence(message, at, expected=size, actual=header.page_size)
    if config.on("CPU_BIG_ENDIAN") != header.big_endian:
        orders = ("big-endian" if big else "little-endian" for big in (not header.big_endian, header.big_endian))
        yield Evidence("the byte order differs from the .config", at, *orders)
    if config.on("EFI") != header.efi:
        stub = "has an EFI stub" if header.efi else "has no EFI stub"
        yield Evidence(f"the Image {stub}, but {_setting(config, 'EFI')}", (image.at("code0"), config.at()))


@check(Severity.ERROR)
def versions_are_of_the_config(config: KernelConfig, symvers: Symvers) -> Iterator[Evidence]:
    """Module.symvers has CRCs if and only if the .config has CONFIG_MODVERSIONS.

    Otherwise it was written by a build with another configuration, and modules built against it do not fit the kernel
    (`no symbol version for ...`). Run make again.
    Source: init/Kconfig, MODVERSIONS.
    """
    if config.on("MODVERSIONS") != symvers.versioned and len(symvers.rows.names):
        crcs = "has CRCs" if symvers.versioned else "has no CRCs"
        message = f"Module.symvers {crcs}, but {_setting(config, 'MODVERSIONS')}"
        yield Evidence(message, (symvers.at(), config.at()))


@check(Severity.ERROR)
def type_information_is_of_the_config(config: KernelConfig, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """vmlinux has a section `.BTF` if and only if the .config has CONFIG_DEBUG_INFO_BTF.

    Without it, portable BPF programs (CO-RE) cannot be loaded on this kernel. The .config was changed after the build,
    or the section was stripped; link vmlinux again.
    Source: scripts/link-vmlinux.sh; lib/Kconfig.debug.
    """
    there = vmlinux.section(".BTF") is not None
    if config.on("DEBUG_INFO_BTF") != there:
        section = "has a section .BTF" if there else "has no section .BTF"
        message = f"vmlinux {section}, but {_setting(config, 'DEBUG_INFO_BTF')}"
        yield Evidence(message, (vmlinux.at(), config.at()))


@check(Severity.ERROR)
def signatures_are_of_the_config(config: KernelConfig, tree: ModuleTree) -> Iterator[Evidence]:
    """All installed modules are signed if the .config has CONFIG_MODULE_SIG_ALL or CONFIG_MODULE_SIG_FORCE.

    With the first option, `make modules_install` signs all modules: one without a signature was stripped or replaced
    later. With the second, the kernel refuses an unsigned module (`Key was rejected by service`). Sign it with
    scripts/sign-file, or run `make modules_install` again.
    Source: kernel/module/Kconfig; scripts/Makefile.modinst.
    """
    # Modules that were only copied from a build are not signed yet.
    options = ("MODULE_SIG_FORCE",) if tree.flat else ("MODULE_SIG_FORCE", "MODULE_SIG_ALL")
    option = next(filter(config.on, options), None)
    if option is None or tree.of_a_build:
        return
    bare = [module.path for module in depmod_of(tree).modules if module.signature is None and not module.errors]
    if bare:
        message = f"CONFIG_{option}=y, but {counted(len(bare), 'module')} without a signature: {summarized(bare)}"
        yield Evidence(message, (tree.location(bare[0]), config.at()))


def _setting(config: KernelConfig, name: str) -> str:
    """An option as the .config has it."""
    return f"CONFIG_{name}=y" if config.on(name) else f"CONFIG_{name} is not set"
