"""Checks of U-Boot's legacy images."""

import zlib
from collections.abc import Iterator

from kinspect.artifacts.boot.parts import KERNEL
from kinspect.artifacts.boot.uimage import Uimage
from kinspect.artifacts.compression.magics import compression_of
from kinspect.checks.check import Evidence, Severity, check
from kinspect.schemas.record import build, size_of
from kinspect.schemas.uimage import ARM64, COMPRESSIONS, MULTI, UimageHeader

_STEP = 1 << 20


@check(Severity.ERROR)
def uimage_header_checksum_matches(uimage: Uimage) -> Iterator[Evidence]:
    """The CRC of a uImage's header matches.

    U-Boot refuses the image otherwise (`Bad Header Checksum`): the header was changed after mkimage wrote it. Run
    mkimage again, or copy the file again.
    Source: U-Boot, boot/image.c, image_check_hcrc().
    """
    header = uimage.header
    computed = zlib.crc32(build(header._replace(ih_hcrc=0)))
    if computed != header.ih_hcrc:
        at = (uimage.field("ih_hcrc"),)
        yield Evidence("the header's CRC does not match", at, f"{computed:#010x}", f"{header.ih_hcrc:#010x}")


@check(Severity.ERROR)
def uimage_data_checksum_matches(uimage: Uimage) -> Iterator[Evidence]:
    """The CRC of a uImage's data matches.

    U-Boot computes it before it boots the image, unless `verify` is `no`, and refuses the image otherwise (`Bad Data
    CRC`): the data was changed after mkimage wrote it. Run mkimage again, or copy the file again.
    Source: U-Boot, boot/image.c, image_check_dcrc().
    """
    data, computed = uimage.data, 0
    for at in range(data.start, data.end, _STEP):
        computed = zlib.crc32(uimage.source.read(at, min(_STEP, data.end - at), "data"), computed)
    stated = uimage.header.ih_dcrc
    if computed != stated:
        place = (uimage.field("ih_dcrc"),)
        yield Evidence("the data's CRC does not match", place, f"{computed:#010x}", f"{stated:#010x}")


@check(Severity.ERROR)
def uimage_compression_is_right(uimage: Uimage) -> Iterator[Evidence]:
    """The kernel in a uImage is compressed as the header says.

    U-Boot chooses the decompressor by the header, and stops with an error when the data is not of that format; under
    `-C none`, `bootm` jumps into the compressed data. Give mkimage the `-C` that fits the file.
    Source: U-Boot, boot/bootm.c, bootm_load_os(); boot/image.c, image_decomp().
    """
    kernel = uimage.part(KERNEL)
    if kernel is None:
        return
    named, at = uimage.compression, (uimage.field("ih_comp"),)
    if not named:
        yield Evidence("unknown compression", at, f"at most {max(COMPRESSIONS)}", uimage.header.ih_comp)
        return
    found = compression_of(uimage.source.read(kernel.start, min(16, kernel.size), KERNEL)) or "none"
    if found != named:
        message = "the kernel is not compressed as the header says"
        yield Evidence(message, (*at, uimage.place(kernel)), named, found)


@check(Severity.ERROR)
def uimage_is_for_arm64(uimage: Uimage) -> Iterator[Evidence]:
    """The header of a uImage with an arm64 kernel names that architecture.

    U-Boot compares it with its own before it boots, and refuses others (`Unsupported Architecture`). Give mkimage `-A
    arm64`.
    Source: U-Boot, boot/bootm.c, image_get_kernel(), image_check_target_arch().
    """
    arch = uimage.header.ih_arch
    if arch != ARM64 and uimage.part(KERNEL):
        yield Evidence("the image is not for arm64", (uimage.field("ih_arch"),), f"IH_ARCH_ARM64 ({ARM64})", arch)


@check(Severity.ERROR)
def uimage_files_reach_its_end(uimage: Uimage) -> Iterator[Evidence]:
    """The files of a multi-file uImage fill its data.

    Data that no file covers is lost to U-Boot: the sizes in front of the files were changed, or a file was left out.
    Run mkimage again.
    Source: U-Boot, boot/image.c, image_multi_getimg().
    """
    if uimage.header.ih_type == MULTI:
        end = max((part.end for part in uimage.parts), default=size_of(UimageHeader))
        if uimage.data.end - end > 3 + 4 * (not uimage.parts):
            at = (uimage.at("data", end),)
            yield Evidence("bytes that belong to no file", at, f"{end:#x}", f"{uimage.data.end:#x}")
