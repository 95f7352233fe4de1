"""Which boot loaders take a kernel in the form that it has, and why not.

Each function has the rules of one loader, from its source; docs/booting.md has them as a table. They are about the form
of the file: checksums and signatures are judged by checks.
"""

from collections.abc import Sequence

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.loader import LoaderVerdict
from kinspect.views.boot.form import ANDROID, COMPRESSED, FIT, IMAGE, UIMAGE, ZBOOT, Form, forms_of

Forms = Sequence[Form]
_ASSUMED = 16 << 20
"""Bytes that U-Boot moves when image_size is 0."""
_UBOOT = {"gzip": "", "lz4": "LZ4", "lzma": "LZMA", "bzip2": "BZIP2", "lzo": "LZO", "zstd": "ZSTD"}
"""What U-Boot decompresses, and the option for it; gzip is always built in."""
_GRUB = {"gzip": "gzio", "xz": "xzio", "lzo": "lzopio"}
"""The modules of GRUB that decompress a file while it is read."""


def loader_verdicts(image: Image) -> tuple[LoaderVerdict, ...]:
    """What each loader does with the file that an Image was opened from. Raises as its wrappings do."""
    forms = forms_of(image)
    return (
        _booti(forms),
        _bootm(forms),
        _efi(forms, "EFI firmware"),
        _grub(forms),
        _efi(forms, "systemd-boot"),
        _raspberry(forms),
        _qemu(forms),
        _rust_vmm(forms, "Firecracker"),
        _rust_vmm(forms, "cloud-hypervisor"),
        _crosvm(forms),
        _android(forms),
    )


def _packed(forms: Forms, compression: str) -> bool:
    """Whether it is an Image compressed by one program, and nothing else."""
    return [form.kind for form in forms] == [COMPRESSED, IMAGE] and forms[0].compression == compression


def _booti(forms: Forms) -> LoaderVerdict:
    """U-Boot's booti: the magic number, after decompression by the first two bytes.

    Source: U-Boot, cmd/booti.c, booti_start(); boot/image.c, image_decomp_type(); arch/arm/lib/image.c, booti_setup().
    """
    name, outer = "U-Boot booti", forms[0]
    if outer.kind == IMAGE:
        if outer.number > _ASSUMED:
            return LoaderVerdict(name, "if", "it need not be moved: image_size is 0, and only 16 MiB are copied")
        return LoaderVerdict(name, "yes")
    if outer.kind == COMPRESSED:
        problem = _not_unpacked(outer) or _no_image(forms[1])
        option = _UBOOT.get(outer.compression, "")
        needs = "kernel_comp_addr_r and kernel_comp_size are set"
        needs += f", and it has CONFIG_{option}" if option else ""
        return LoaderVerdict(name, "no", problem) if problem else LoaderVerdict(name, "if", needs)
    return LoaderVerdict(name, "no", "use bootm" if outer.kind in (FIT, UIMAGE, ANDROID) else "use bootefi")


def _not_unpacked(packed: Form) -> str:
    """Why U-Boot does not decompress something; empty when it does."""
    if packed.compression == "lz4 legacy":
        return "the legacy frame of lz4 is unknown to it; `lz4` without `-l` writes the other"
    return "" if packed.compression in _UBOOT else f"it does not decompress {packed.compression}"


def _no_image(inside: Form) -> str:
    return "" if inside.kind == IMAGE else f"decompressed, it is not an Image but {inside.kind}"


def _bootm(forms: Forms) -> LoaderVerdict:
    """U-Boot's bootm: a uImage or FIT image for arm64, decompressed as its header says, then an Image.

    Source: U-Boot, boot/bootm.c, bootm_find_os() and bootm_load_os(); boot/image-fit.c, fit_image_load();
    boot/image-android.c.
    """
    name, outer, condition = "U-Boot bootm", forms[0], ""
    if outer.kind == ANDROID:
        return LoaderVerdict(name, "if", "it has CONFIG_ANDROID_BOOT_IMAGE")
    if outer.kind not in (UIMAGE, FIT):
        return LoaderVerdict(name, "no", "only a uImage, a FIT image or an Android boot image")
    problem = _stated_wrongly(outer.stated, forms[1:])
    if not outer.right_arch or problem:
        return LoaderVerdict(name, "no", problem if outer.right_arch else "its header is for another architecture")
    option = _UBOOT.get(forms[1].compression, "")
    if outer.kind == FIT and not outer.complete:
        condition = "a configuration is named: the FIT image has no default"
    elif option:
        condition = f"it has CONFIG_{option}"
    return LoaderVerdict(name, "if" if condition else "yes", condition)


def _stated_wrongly(stated: str, forms: Forms) -> str:
    """Why what a container has is not started, whose header names a compression; empty when it is."""
    inside = forms[0]
    if inside.kind == IMAGE:
        return "" if stated == "none" else f"the header names {stated}, and the kernel is not compressed"
    if inside.kind != COMPRESSED:
        return f"it starts only an Image, and inside is {inside.kind}"
    if stated == "none":
        return f"the kernel is compressed by {inside.compression}, and the header does not say so"
    return _not_unpacked(inside) or _no_image(forms[1])


def _efi(forms: Forms, name: str) -> LoaderVerdict:
    """EFI firmware, U-Boot's bootefi, and systemd-boot, which lets the firmware load it: a PE program for arm64.

    Source: edk2, MdePkg/Library/BasePeCoffLib/BasePeCoff.c, PeCoffLoaderGetImageInfo(); U-Boot,
    lib/efi_loader/efi_image_loader.c, efi_load_pe(); systemd, src/boot/boot.c, image_start().
    """
    problem = "the file is compressed" if forms[0].kind == COMPRESSED else forms[0].efi_problem
    return LoaderVerdict(name, "no", problem) if problem else LoaderVerdict(name, "yes")


def _grub(forms: Forms) -> LoaderVerdict:
    """GRUB's command `linux`: an EFI program; up to GRUB 2.06 also with the magic number of an Image.

    Source: GRUB, grub-core/loader/arm64/linux.c, grub_arch_efi_linux_check_image(), in 2.06;
    grub-core/loader/efi/linux.c, grub_arch_efi_linux_load_image_header(), since 2.12; grub-core/io/gzio.c and others.
    """
    name, inner, conditions = "GRUB", forms[0], []
    if inner.kind == COMPRESSED:
        module = _GRUB.get(inner.compression)
        if module is None:
            return LoaderVerdict(name, "no", f"it does not decompress {inner.compression}")
        conditions.append(f"its module {module} is loaded")
        inner = forms[1]
    if inner.efi_problem:
        return LoaderVerdict(name, "no", inner.efi_problem)
    if inner.kind != IMAGE:
        conditions.append("it is 2.12 or newer, or by `chainloader` instead of `linux`")
    return LoaderVerdict(name, "if" if conditions else "yes", ", and ".join(conditions))


def _raspberry(forms: Forms) -> LoaderVerdict:
    """The firmware of Raspberry Pi: an Image, plain or in gzip, as kernel8.img. It is closed: this is documentation.

    Source: raspberrypi/documentation, documentation/asciidoc/computers/config_txt/boot.adoc, `arm_64bit`.
    """
    name = "Raspberry Pi firmware"
    if forms[0].kind == IMAGE or _packed(forms, "gzip"):
        return LoaderVerdict(name, "yes")
    return LoaderVerdict(name, "no", "only an Image, plain or in gzip")


def _qemu(forms: Forms) -> LoaderVerdict:
    """QEMU's -kernel: an Image, in gzip or not, a zboot image of gzip, a uImage. Anything else is run as raw code.

    Source: QEMU, hw/arm/boot.c, arm_setup_direct_kernel_boot() and load_aarch64_image(); hw/core/loader.c (or
    uboot-image.c), unpack_efi_zboot_image() and load_uboot_image().
    """
    name, outer = "QEMU -kernel", forms[0]
    if outer.kind == IMAGE or _packed(forms, "gzip"):
        return LoaderVerdict(name, "yes")
    if outer.kind == ZBOOT:
        if outer.compression == "gzip":
            return LoaderVerdict(name, "if", "it is 8.0 or newer")
        return LoaderVerdict(name, "no", "of zboot images, only those of gzip")
    if outer.kind == UIMAGE and outer.complete:
        problem = _stated_wrongly(outer.stated, forms[1:])
        if not problem and outer.stated not in ("none", "gzip"):
            problem = "of uImages, only those of gzip or not compressed"
        where = f"there is memory at the load address, {outer.number:#x}"
        return LoaderVerdict(name, "no", problem) if problem else LoaderVerdict(name, "if", where)
    return LoaderVerdict(name, "no", "only an Image, plain or in gzip, or zboot of gzip")


def _rust_vmm(forms: Forms, name: str) -> LoaderVerdict:
    """Firecracker and cloud-hypervisor: the magic number of an Image. The latter runs anything else as EFI firmware.

    Source: rust-vmm, linux-loader, src/loader/aarch64/pe/mod.rs, PE::load().
    """
    if forms[0].kind == IMAGE:
        return LoaderVerdict(name, "yes")
    return LoaderVerdict(name, "no", "only a raw Image")


def _crosvm(forms: Forms) -> LoaderVerdict:
    """crosvm: an Image that is little-endian, or one in lz4, of either frame.

    Source: crosvm, kernel_loader/src/arm64.rs, load_arm64_kernel() and load_arm64_kernel_lz4().
    """
    name = "crosvm"
    if forms[0].kind != IMAGE and not _packed(forms, "lz4") and not _packed(forms, "lz4 legacy"):
        return LoaderVerdict(name, "no", "only an Image, raw or in lz4")
    if forms[-1].big_endian:
        return LoaderVerdict(name, "no", "the kernel is big-endian")
    return LoaderVerdict(name, "yes")


def _android(forms: Forms) -> LoaderVerdict:
    """The boot loaders of Android devices: a boot image. What they decompress is up to the device.

    Source: Android, system/tools/mkbootimg, include/bootimg/bootimg.h; source.android.com, "Boot image header".
    """
    name, outer = "Android bootloaders", forms[0]
    if outer.kind != ANDROID:
        return LoaderVerdict(name, "no", "only an Android boot image")
    packed = f" and decompresses {forms[1].compression}" if forms[1].kind == COMPRESSED else ""
    return LoaderVerdict(name, "if", f"the device takes header version {outer.number}{packed}")
