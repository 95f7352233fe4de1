"""How compressed streams begin."""

MAGICS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "gzip", "gzip-compressed data"),
    (b"BZh", "bzip2", "bzip2-compressed data"),
    (b"\xfd7zXZ\0", "xz", "xz-compressed data"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd-compressed data"),
    (b"\x02\x21\x4c\x18", "lz4", "lz4-compressed data (legacy frame)"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4-compressed data (frame)"),
    (b"\x89LZO\0\r\n\x1a\n", "lzo", "lzop-compressed data"),
    (b"\x5d\0\0", "lzma", "lzma-compressed data"),
)
"""The first bytes of a stream, the compression that they stand for, and what a file of it is called."""
LONGEST_MAGIC = max(len(magic) for magic, _, _ in MAGICS)
MODULE_COMPRESSIONS = ("gzip", "xz", "zstd")
"""The compressions that kmod and the kernel read. Source: kmod, libkmod/libkmod-file.c; kernel/module/decompress.c."""


def compression_of(head: bytes) -> str:
    """The compression of a stream that begins with `head`; empty when none is recognised."""
    return next((name for magic, name, _ in MAGICS if head.startswith(magic)), "")


def has_checksum(head: bytes) -> bool:
    """Whether a stream that begins with `head` has a checksum of its contents. False for what is not compressed.

    Source: xz-file-format, 2.1.1.2; RFC 8878, 3.1.1.1.1; lz4_Frame_format.md, "FLG byte".
    """
    match compression_of(head):
        case "gzip" | "bzip2" | "lzo":
            return True
        case "xz":
            return len(head) > 7 and head[7] & 0x0F != 0
        case "zstd" | "lz4":
            return head[:1] != b"\x02" and len(head) > 4 and head[4] & 0x04 != 0
        case _:
            return False


def module_compression_of(head: bytes) -> str:
    """The compression of a module that begins with `head`; empty when it is not one that kmod reads."""
    found = compression_of(head)
    return found if found in MODULE_COMPRESSIONS else ""
