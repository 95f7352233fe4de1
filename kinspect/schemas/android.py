"""The headers of Android's boot and vendor boot images, and the footer of a verified partition."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import B32, B64, U32, U64, Raw

BOOT_MAGIC, VENDOR_MAGIC, FOOTER_MAGIC = b"ANDROID!", b"VNDRBOOT", b"AVBf"
PAGE = 4096
"""The page size of boot images since version 3."""
VERSION_AT = 40
"""The offset of header_version, which is the same in all versions."""


class BootHeader(NamedTuple):
    """The header of a boot image up to version 2; later fields are zero in earlier versions.

    Source: Android, system/tools/mkbootimg, include/bootimg/bootimg.h, boot_img_hdr_v2. Before version 1, some vendors
    put the size of a device tree where header_version is.
    """

    magic: Annotated[bytes, Raw(8)]
    kernel_size: U32
    kernel_addr: U32
    ramdisk_size: U32
    ramdisk_addr: U32
    second_size: U32
    second_addr: U32
    tags_addr: U32
    page_size: U32
    header_version: U32
    os_version: U32
    name: Annotated[bytes, Raw(16)]
    cmdline: Annotated[bytes, Raw(512)]
    id: Annotated[bytes, Raw(32)]  # SHA-1 of each part and its size
    extra_cmdline: Annotated[bytes, Raw(1024)]
    recovery_dtbo_size: U32
    recovery_dtbo_offset: U64
    header_size: U32
    dtb_size: U32
    dtb_addr: U64


class BootHeaderV4(NamedTuple):
    """The header of a boot image of version 3 or 4. Source: bootimg.h, boot_img_hdr_v4."""

    magic: Annotated[bytes, Raw(8)]
    kernel_size: U32
    ramdisk_size: U32
    os_version: U32
    header_size: U32
    reserved: Annotated[bytes, Raw(16)]
    header_version: U32
    cmdline: Annotated[bytes, Raw(1536)]
    signature_size: U32  # since version 4


class VendorBootHeader(NamedTuple):
    """The header of a vendor boot image of version 3 or 4. Source: bootimg.h, vendor_boot_img_hdr_v4."""

    magic: Annotated[bytes, Raw(8)]
    header_version: U32
    page_size: U32
    kernel_addr: U32
    ramdisk_addr: U32
    vendor_ramdisk_size: U32
    cmdline: Annotated[bytes, Raw(2048)]
    tags_addr: U32
    name: Annotated[bytes, Raw(16)]
    header_size: U32
    dtb_size: U32
    dtb_addr: U64
    vendor_ramdisk_table_size: U32  # since version 4, as the rest
    vendor_ramdisk_table_entry_num: U32
    vendor_ramdisk_table_entry_size: U32
    bootconfig_size: U32


class VendorRamdisk(NamedTuple):
    """An entry of the table of ramdisks. Source: bootimg.h, vendor_ramdisk_table_entry_v4."""

    ramdisk_size: U32
    ramdisk_offset: U32  # in the ramdisk section
    ramdisk_type: U32
    ramdisk_name: Annotated[bytes, Raw(32)]
    board_id: Annotated[bytes, Raw(64)]


class AvbFooter(NamedTuple):
    """The last 64 bytes of a verified partition, big-endian. Source: libavb/avb_footer.h, AvbFooter."""

    magic: Annotated[bytes, Raw(4)]
    version_major: B32
    version_minor: B32
    original_image_size: B64
    vbmeta_offset: B64
    vbmeta_size: B64
    reserved: Annotated[bytes, Raw(28)]
