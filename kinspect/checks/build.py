"""What must hold between the files that one build leaves."""

import os
import re
from collections.abc import Iterator

from kinspect.artifacts.image import Image
from kinspect.artifacts.kernel_config import KernelConfig, KernelRelease
from kinspect.artifacts.module_tree import ModuleTree
from kinspect.artifacts.symvers import Symvers
from kinspect.artifacts.system_map import SystemMap
from kinspect.artifacts.vmlinux import Vmlinux
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.module_tree import depmod_of, vermagics
from kinspect.checks.modules_dep import counted, few

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
    from kinspect.views.symbol_list import symbol_lines

    if not len(vmlinux.symbols):
        return  # a stripped one says nothing
    theirs, ours = set(system_map.lines), set(symbol_lines(vmlinux))
    added = sorted(theirs - ours)
    missing = sorted(line for line in ours - theirs if not _LEFT_OUT.fullmatch(line))
    if added or missing:
        counts = f"{len(added):,} lines are no symbols of {vmlinux.path}, {len(missing):,} of its symbols are missing"
        line = system_map.lines.index(added[0]) + 1 if added else None
        shown = few([line.decode("ascii", "backslashreplace") for line in [*added, *missing]])
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
    from kinspect.views.objcopy import MAKEFILE_FLAGS, flags_for

    flags = flags_for(image.path)
    if not image.layers and flags.removed != MAKEFILE_FLAGS[3::2][: len(flags.removed)] and flags.words:
        usual, found = (" ".join(words) for words in (MAKEFILE_FLAGS, flags.words))
        yield Evidence("an unusual objcopy made the Image", (image.at(),), expected=usual, actual=found)


@check(Severity.ERROR)
def config_is_the_embedded_one(config: KernelConfig, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """The .config is the one that the kernel carries (CONFIG_IKCONFIG), byte for byte.

    Where they differ the configuration was changed after the build, or the kernel is of another.
    Source: kernel/Makefile, config_data; kernel/configs.c.
    """
    from kinspect.views.embedded_config import embedded_config

    found = embedded_config(kernel)
    if found is None:
        if config.options.get("CONFIG_IKCONFIG") == "y":
            yield Evidence("the kernel carries no .config, and CONFIG_IKCONFIG=y", (kernel.at(), config.at()))
    elif found.text != config.text:
        lines, others = (text.split(b"\n") for text in (found.text, config.text))
        pairs = enumerate(zip(lines, others, strict=False), start=1)
        number = next((number for number, (one, other) in pairs if one != other), min(len(lines), len(others)))
        inside, outside = (
            all_lines[number - 1].decode("ascii", "backslashreplace") if number <= len(all_lines) else "the end"
            for all_lines in (lines, others)
        )
        at = (config.at()._replace(line=number), kernel.at())
        yield Evidence("not the .config that the kernel carries", at, expected=inside, actual=outside)


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
def signatures_are_of_the_config(config: KernelConfig, tree: ModuleTree) -> Iterator[Evidence]:
    """All installed modules are signed when the .config has CONFIG_MODULE_SIG_ALL.

    `make modules_install` signs them; one that was stripped or replaced later is not signed any more. With
    CONFIG_MODULE_SIG_FORCE the kernel refuses it.
    Source: kernel/module/Kconfig; scripts/Makefile.modinst.
    """
    if not config.on("MODULE_SIG_ALL") or tree.text("modules.dep") is None:
        return
    bare = [module.path for module in depmod_of(tree).modules if module.signature is None and not module.errors]
    if bare:
        message = f"{counted(len(bare), 'module')} without a signature, and CONFIG_MODULE_SIG_ALL=y"
        yield Evidence(message, (tree.location(bare[0]), config.at()), actual=few(bare))


@check(Severity.ERROR)
def modules_order_is_of_the_build(tree: ModuleTree) -> Iterator[Evidence]:
    """modules.order in the folder of a build lists the modules that were built, and nothing else.

    `make modules_install` installs what it lists: a module that is built and not listed stays behind.
    Source: Makefile, modules.order; scripts/Makefile.modinst.
    """
    text = tree.text("modules.order")
    if text is None or not tree.of_a_build:
        return
    listed = {}
    for number, line in enumerate(text.decode("utf-8", "surrogateescape").splitlines(), start=1):
        # Older kernels put `kernel/` before each, newer name objects.
        path = re.sub(r"\.o$", ".ko", line)
        listed[path.removeprefix("kernel/") if path not in _built(tree) else path] = number
    gone = [path for path in listed if path not in _built(tree)]
    unlisted = sorted(_built(tree) - listed.keys())
    if gone:
        at = (tree.location("modules.order", line=listed[gone[0]]),)
        yield Evidence(f"{counted(len(gone), 'module')} listed and not built", at, actual=few(gone))
    if unlisted:
        message = f"{counted(len(unlisted), 'module')} built and not listed"
        yield Evidence(message, (tree.location("modules.order"),), actual=few(unlisted))


def _built(tree: ModuleTree) -> set[str]:
    return {file.path for file in tree.files}
