"""Checks of Android's boot images."""

import hashlib
from collections.abc import Iterator

from kinspect.artifacts.android.boot_image import AndroidBoot, VendorBoot
from kinspect.artifacts.boot.parts import BootPart
from kinspect.checks.check import Evidence, Severity, check
from kinspect.schemas.android import BootHeader
from kinspect.schemas.record import offsets

_STEP = 1 << 20
_OLD = 3
"""The first version without an id."""


@check(Severity.ERROR)
def boot_image_id_matches(boot: AndroidBoot) -> Iterator[Evidence]:
    """The id in the header of an Android boot image (version 0 to 2) is the SHA-1 of its parts and their sizes.

    mkbootimg writes it, and tools identify an image by it. With another id, a part was changed or damaged after the
    image was made: make it again. An id of zeros, and one that is longer than a SHA-1, is of another tool and is not
    checked.
    Source: Android, system/tools/mkbootimg, mkbootimg.py, write_header().
    """
    if boot.version >= _OLD:
        return
    digest_size = hashlib.sha1(usedforsecurity=False).digest_size
    stated, rest = boot.header.id[:digest_size], boot.header.id[digest_size:]
    if any(rest) or not any(stated):
        return
    computed = _id(boot)
    if stated != computed:
        at = (boot.at("id", offsets(BootHeader)["id"]),)
        yield Evidence("the id does not match the parts", at, computed.hex(), stated.hex())


def _id(boot: AndroidBoot) -> bytes:
    names = ["kernel", "ramdisk", "second"]
    names += ["recovery_dtbo"] if boot.version else []
    names += ["dtb"] if boot.version > 1 or boot.part("dtb") else []
    digest = hashlib.sha1(usedforsecurity=False)
    for name in names:
        part = boot.part(name) or BootPart(name, 0, 0)
        for at in range(part.start, part.end, _STEP):
            digest.update(boot.source.read(at, min(_STEP, part.end - at), name))
        digest.update(part.size.to_bytes(4, "little"))
    return digest.digest()


@check(Severity.ERROR)
def recovery_dtbo_is_at_its_offset(boot: AndroidBoot) -> Iterator[Evidence]:
    """The offset of the recovery DTBO in an Android boot image is where the parts before it end.

    The boot loader reads the overlays at that offset: with a wrong one, recovery starts with other bytes for overlays.
    Make the image again.
    Source: Android, system/tools/mkbootimg, mkbootimg.py, get_recovery_dtbo_offset().
    """
    part = boot.part("recovery_dtbo")
    if part and boot.header.recovery_dtbo_offset != part.start:
        at = (boot.at("recovery_dtbo_offset", offsets(BootHeader)["recovery_dtbo_offset"]),)
        yield Evidence("not the offset of the recovery DTBO", at, part.start, boot.header.recovery_dtbo_offset)


@check(Severity.ERROR)
def vendor_ramdisks_are_inside_their_section(vendor: VendorBoot) -> Iterator[Evidence]:
    """Every ramdisk in the table of a vendor boot image lies in the ramdisk section.

    The boot loader copies the ramdisks by that table: one that reaches past the section is refused, or other bytes are
    copied. Make the image again.
    Source: Android, system/tools/mkbootimg, include/bootimg/bootimg.h, vendor_ramdisk_table_entry_v4.
    """
    room = vendor.header.vendor_ramdisk_size
    for number, entry in enumerate(vendor.ramdisks, 1):
        end = entry.ramdisk_offset + entry.ramdisk_size
        if end > room:
            at = (vendor.place(vendor.ramdisk_part(entry, number)),)
            yield Evidence(f"ramdisk {number} ends past the ramdisk section", at, f"at most {room:,}", f"{end:,}")
