"""Android's boot, vendor boot and DTBO images; Android Verified Boot. What is not of a boot image is big-endian."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import B32, B64, U32, U64, Raw

BOOT_MAGIC, VENDOR_MAGIC = b"ANDROID!", b"VNDRBOOT"
PAGE = 4096
"""The page size of boot images since version 3."""
VERSION_AT = 40
"""The offset of header_version, which is the same in all versions."""
AVB_MAGIC, FOOTER_MAGIC = b"AVB0", b"AVBf"
AVB_ALGORITHMS = {
    0: ("NONE", ""),
    1: ("SHA256_RSA2048", "sha256"),
    2: ("SHA256_RSA4096", "sha256"),
    3: ("SHA256_RSA8192", "sha256"),
    4: ("SHA512_RSA2048", "sha512"),
    5: ("SHA512_RSA4096", "sha512"),
    6: ("SHA512_RSA8192", "sha512"),
}
"""Values of algorithm_type, with the digest of each. Source: libavb/avb_crypto.h, AvbAlgorithmType."""
PROPERTY, HASHTREE, HASH, CMDLINE, CHAIN = range(5)
"""Tags of descriptors. Source: libavb/avb_descriptor.h, AvbDescriptorTag."""
DTBO_MAGIC = 0xD7B7AB1E
DTBO_COMPRESSIONS = {0: "none", 1: "zlib", 2: "gzip"}
"""Values of the low 4 bits of an entry's flags, since version 1."""


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
    """The last 64 bytes of a verified partition. Source: libavb/avb_footer.h, AvbFooter."""

    magic: Annotated[bytes, Raw(4)]
    version_major: B32
    version_minor: B32
    original_image_size: B64
    vbmeta_offset: B64
    vbmeta_size: B64
    reserved: Annotated[bytes, Raw(28)]


class VbmetaHeader(NamedTuple):
    """The header of the metadata; offsets are those in the block that they name.

    Source: libavb/avb_vbmeta_image.h, AvbVBMetaImageHeader.
    """

    magic: Annotated[bytes, Raw(4)]
    required_libavb_version_major: B32
    required_libavb_version_minor: B32
    authentication_data_block_size: B64
    auxiliary_data_block_size: B64
    algorithm_type: B32
    hash_offset: B64  # in the authentication block, as that of the signature
    hash_size: B64
    signature_offset: B64
    signature_size: B64
    public_key_offset: B64  # in the auxiliary block, as the rest
    public_key_size: B64
    public_key_metadata_offset: B64
    public_key_metadata_size: B64
    descriptors_offset: B64
    descriptors_size: B64
    rollback_index: B64
    flags: B32
    rollback_index_location: B32
    release_string: Annotated[bytes, Raw(48)]
    reserved: Annotated[bytes, Raw(80)]


class DescriptorHeader(NamedTuple):
    """What every descriptor begins with. Source: libavb/avb_descriptor.h, AvbDescriptor."""

    tag: B64
    num_bytes_following: B64


class PropertyDescriptor(NamedTuple):
    """A key and a value, each with a NUL after it. Source: libavb/avb_property_descriptor.h."""

    key_num_bytes: B64
    value_num_bytes: B64


class HashDescriptor(NamedTuple):
    """The digest of a partition; its name, the salt and the digest follow. Source: libavb/avb_hash_descriptor.h."""

    image_size: B64
    hash_algorithm: Annotated[bytes, Raw(32)]
    partition_name_len: B32
    salt_len: B32
    digest_len: B32
    flags: B32
    reserved: Annotated[bytes, Raw(60)]


class HashtreeDescriptor(NamedTuple):
    """The dm-verity tree of a partition; its name, the salt and the digest of the root follow.

    Source: libavb/avb_hashtree_descriptor.h.
    """

    dm_verity_version: B32
    image_size: B64
    tree_offset: B64
    tree_size: B64
    data_block_size: B32
    hash_block_size: B32
    fec_num_roots: B32
    fec_offset: B64
    fec_size: B64
    hash_algorithm: Annotated[bytes, Raw(32)]
    partition_name_len: B32
    salt_len: B32
    root_digest_len: B32
    flags: B32
    reserved: Annotated[bytes, Raw(60)]


class CmdlineDescriptor(NamedTuple):
    """Words for the kernel's command line, which follow. Source: libavb/avb_kernel_cmdline_descriptor.h."""

    flags: B32
    kernel_cmdline_length: B32


class ChainDescriptor(NamedTuple):
    """A partition with metadata of its own, signed with the key that follows its name.

    Source: libavb/avb_chain_partition_descriptor.h.
    """

    rollback_index_location: B32
    partition_name_len: B32
    public_key_len: B32
    flags: B32
    reserved: Annotated[bytes, Raw(60)]


class PublicKeyHeader(NamedTuple):
    """What is in front of an RSA modulus; the exponent is 65537. Source: libavb/avb_crypto.h, AvbRSAPublicKeyHeader."""

    key_num_bits: B32
    n0inv: B32


class DtTableHeader(NamedTuple):
    """The 32 bytes that open the table. Source: Android, system/libufdt, dt_table.h, struct dt_table_header."""

    magic: B32
    total_size: B32
    header_size: B32
    dt_entry_size: B32
    dt_entry_count: B32
    dt_entries_offset: B32
    page_size: B32
    version: B32


class DtTableEntry(NamedTuple):
    """One tree. Source: dt_table.h, struct dt_table_entry_v1; version 0 has four words of the vendor at the end."""

    dt_size: B32
    dt_offset: B32
    id: B32
    rev: B32
    flags: B32  # since version 1
    custom_0: B32
    custom_1: B32
    custom_2: B32
