"""What must hold between the files that one build leaves."""

import os
import re
from collections.abc import Iterator
from itertools import zip_longest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig, KernelRelease
from kinspect.artifacts.build.symvers import Symvers
from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.depmod.modules_order import order_of
from kinspect.checks.module.tree import depmod_of, vermagics
from kinspect.checks.wording import counted, summarized
from kinspect.errors import Location
from kinspect.views.kernel.config import embedded_config

_LEFT_OUT = re.compile(
    rb"\S+ (?:[aNUw] .*|\S (?:__kstrtab_|__kstrtabns_|__crc_|__kcfi_typeid_|__efistub_|\.L|L0|"
    rb"__kvm_nvhe_(?:\$|\.L)|__pi_(?:\$|\.L)|__AArch64ADRPThunk_|__AArch64LongThunk_).*)"
)
"""What builds leave out of System.map. Source: scripts/mksysmap, of 5.x to 7.x."""
_RELEASE = re.compile(r"Linux version (\S+) ")


@check(Severity.ERROR)
def system_map_is_of_vmlinux(system_map: SystemMap, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """System.map has the symbols of vmlinux, with their addresses and types, but for those that builds leave out.

    Addresses in a crash are looked up in it: one of another build names the wrong functions.
    Source: scripts/mksysmap; scripts/link-vmlinux.sh.
    """
    from kinspect.views.kernel.symbols import symbol_lines

    if not len(vmlinux.symbols):
        return  # a stripped one says nothing
    theirs, ours = set(system_map.lines), set(symbol_lines(vmlinux))
    added = sorted(theirs - ours)
    missing = sorted(line for line in ours - theirs if not _LEFT_OUT.fullmatch(line))
    if added or missing:
        counts = (
            f"lines that are no symbols of {vmlinux.path}: {len(added):,}, symbols that are missing: {len(missing):,}"
        )
        line = system_map.lines.index(added[0]) + 1 if added else None
        shown = summarized([line.decode("ascii", "backslashreplace") for line in [*added, *missing]])
        yield Evidence(counts, (system_map.at()._replace(line=line), vmlinux.at()), actual=shown)


@check(Severity.ERROR)
def release_is_that_of_the_kernel(release: KernelRelease, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """The release in include/config/kernel.release is that of the kernel's banner.

    It names the folder of the modules: a kernel of another release does not find them.
    Source: Makefile, KERNELRELEASE; init/version.c.
    """
    match = _RELEASE.match(kernel.banner or "")
    if match and match[1] != release.release:
        yield Evidence("the kernel has another release", (release.at(), kernel.at()), release.release, match[1])


@check(Severity.ERROR)
def release_is_that_of_the_modules(release: KernelRelease, tree: ModuleTree) -> Iterator[Evidence]:
    """The release in include/config/kernel.release is that in the vermagic of the modules.

    Modules of another release are of another build; without MODVERSIONS the kernel does not load them.
    Source: include/linux/vermagic.h.
    """
    for vermagic, count in vermagics(tree).most_common(1):
        found = vermagic.split(" ", 1)[0]
        if found != release.release:
            at = (release.at(), tree.location(""))
            yield Evidence(f"{counted(count, 'module')} are of another release", at, release.release, found)


@check(Severity.ERROR)
def modules_lie_in_the_folder_of_their_release(tree: ModuleTree) -> Iterator[Evidence]:
    """The folder lib/modules/RELEASE has the name of the release in the vermagic of its modules.

    modprobe looks in the folder that bears the name of the running kernel.
    Source: kmod, libkmod/libkmod.c, kmod_new().
    """
    if not tree.release or os.path.basename(os.path.dirname(os.path.abspath(tree.root))) != "modules":
        return
    for vermagic, count in vermagics(tree).most_common(1):
        found = vermagic.split(" ", 1)[0]
        if found != tree.release:
            message = f"{counted(count, 'module')} are of another release than the folder"
            yield Evidence(message, (tree.location(""),), tree.release, found)


@check(Severity.WARNING)
def image_is_made_with_the_usual_flags(image: Image) -> Iterator[Evidence]:
    """The command in `.Image.cmd` beside the Image is the objcopy of the kernel's Makefile.

    Another one leaves out sections, or keeps notes that do not belong into the Image.
    Source: arch/arm64/boot/Makefile, OBJCOPYFLAGS_Image.
    """
    from kinspect.views.diff.objcopy import MAKEFILE_FLAGS, flags_for

    if image.layers:
        return
    flags = flags_for(image.path)
    if flags.words != MAKEFILE_FLAGS:
        usual, found = (" ".join(words) for words in (MAKEFILE_FLAGS, flags.words))
        yield Evidence("an unusual objcopy made the Image", (image.at(),), expected=usual, actual=found)


@check(Severity.ERROR)
def config_is_the_embedded_one(config: KernelConfig, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """The .config is the one that the kernel carries (CONFIG_IKCONFIG), byte for byte.

    Where they differ the configuration was changed after the build, or the kernel is of another.
    Source: kernel/Makefile, config_data; kernel/configs.c.
    """
    found = embedded_config(kernel)
    if found:
        yield from _other_config(config, found.text, kernel.at())
    elif config.on("IKCONFIG"):
        yield Evidence("the kernel carries no .config, and CONFIG_IKCONFIG=y", (kernel.at(), config.at()))


@check(Severity.ERROR)
def config_is_that_in_configs_ko(config: KernelConfig, tree: ModuleTree) -> Iterator[Evidence]:
    """The .config is the one in the module configs, which has it where CONFIG_IKCONFIG=m.

    Source: kernel/Makefile, config_data; kernel/configs.c.
    """
    for file in tree.files if config.options.get("CONFIG_IKCONFIG") == "m" else ():
        if file.name == "configs":
            module = Module(os.path.join(tree.root, file.path))
            found = embedded_config(module)
            if found:
                yield from _other_config(config, found.text, module.at())
            else:
                yield Evidence("the module carries no .config, and CONFIG_IKCONFIG=m", (module.at(), config.at()))


def _other_config(config: KernelConfig, inside: bytes, carrier: Location) -> Iterator[Evidence]:
    """The first line in which a .config is not the one that something carries."""
    if inside == config.text:
        return
    pairs = zip_longest(inside.split(b"\n"), config.text.split(b"\n"))
    number, lines = next((number, pair) for number, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    wanted, found = ("the end" if line is None else line[:80].decode("ascii", "backslashreplace") for line in lines)
    at = (config.at()._replace(line=number), carrier)
    yield Evidence("not the .config that the kernel carries", at, expected=wanted, actual=found)


@check(Severity.ERROR)
def header_is_of_the_config(config: KernelConfig, image: Image) -> Iterator[Evidence]:
    """Page size, byte order and EFI stub of the Image are those of the .config.

    Source: arch/arm64/Kconfig; arch/arm64/kernel/image.h; arch/arm64/kernel/head.S.
    """
    header, at = image.header, (image.at("flags"), config.at())
    for name, size in (("4K", 4096), ("16K", 16384), ("64K", 65536)):
        if config.on(f"ARM64_{name}_PAGES") and header.page_size not in (None, size):
            yield Evidence(f"CONFIG_ARM64_{name}_PAGES=y", at, expected=size, actual=header.page_size)
    if config.on("CPU_BIG_ENDIAN") != header.big_endian:
        wanted, found = ("big-endian" if big else "little-endian" for big in (not header.big_endian, header.big_endian))
        yield Evidence("the byte order is not that of the .config", at, expected=wanted, actual=found)
    if config.on("EFI") != header.efi:
        wanted = "CONFIG_EFI=y" if config.on("EFI") else "CONFIG_EFI is not set"
        found = "an EFI stub" if header.efi else "no EFI stub"
        yield Evidence("the Image is not of the .config", (image.at("code0"), config.at()), wanted, found)


@check(Severity.ERROR)
def versions_are_of_the_config(config: KernelConfig, symvers: Symvers) -> Iterator[Evidence]:
    """Module.symvers has CRCs when the .config has CONFIG_MODVERSIONS, and only then.

    Source: init/Kconfig, MODVERSIONS.
    """
    if config.on("MODVERSIONS") != symvers.versioned and len(symvers.rows.names):
        wanted = "CONFIG_MODVERSIONS=y" if config.on("MODVERSIONS") else "CONFIG_MODVERSIONS is not set"
        found = "CRCs" if symvers.versioned else "no CRCs"
        yield Evidence("Module.symvers is not of the .config", (symvers.at(), config.at()), wanted, found)


@check(Severity.ERROR)
def type_information_is_of_the_config(config: KernelConfig, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """vmlinux has `.BTF` when the .config has CONFIG_DEBUG_INFO_BTF, and only then.

    Programs for BPF that are compiled once for all kernels do not start where it is missing.
    Source: scripts/link-vmlinux.sh; lib/Kconfig.debug.
    """
    there = vmlinux.section(".BTF") is not None
    if config.on("DEBUG_INFO_BTF") != there:
        wanted = "CONFIG_DEBUG_INFO_BTF=y" if not there else "CONFIG_DEBUG_INFO_BTF is not set"
        found = "a section .BTF" if there else "no section .BTF"
        yield Evidence("vmlinux is not of the .config", (vmlinux.at(), config.at()), wanted, found)


@check(Severity.ERROR)
def signatures_are_of_the_config(config: KernelConfig, tree: ModuleTree) -> Iterator[Evidence]:
    """All installed modules are signed when the .config has CONFIG_MODULE_SIG_ALL or CONFIG_MODULE_SIG_FORCE.

    With the first `make modules_install` signs them: one that was stripped or replaced later is not signed any more.
    With the second the kernel refuses one that is not signed (`Key was rejected by service`).
    Source: kernel/module/Kconfig; scripts/Makefile.modinst.
    """
    wanted = next((name for name in ("MODULE_SIG_FORCE", "MODULE_SIG_ALL") if config.on(name)), None)
    if wanted is None or tree.of_a_build:
        return
    bare = [module.path for module in depmod_of(tree).modules if module.signature is None and not module.errors]
    if bare:
        message = f"{counted(len(bare), 'module')} without a signature, and CONFIG_{wanted}=y"
        yield Evidence(message, (tree.location(bare[0]), config.at()), actual=summarized(bare))


@check(Severity.ERROR)
def modules_order_is_of_the_build(tree: ModuleTree) -> Iterator[Evidence]:
    """modules.order in the folder of a build lists the modules that were built, and nothing else.

    `make modules_install` installs what it lists: a module that is built and not listed stays behind.
    Source: Makefile, modules.order; scripts/Makefile.modinst.
    """
    if not tree.of_a_build:
        return
    listed, built = order_of(tree), {file.path for file in tree.files}
    gone, unlisted = sorted(listed.keys() - built, key=listed.__getitem__), sorted(built - listed.keys())
    if gone:
        at = (tree.location("modules.order", line=listed[gone[0]]),)
        yield Evidence(f"{counted(len(gone), 'module')} listed and not built", at, actual=summarized(gone))
    if unlisted:
        message = f"{counted(len(unlisted), 'module')} built and not listed"
        yield Evidence(message, (tree.location("modules.order"),), actual=summarized(unlisted))
