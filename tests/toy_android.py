"""DTBO images and metadata of Android Verified Boot made of our own records, as mkdtboimg and avbtool write them."""

import hashlib
import zlib
from collections.abc import Sequence

from kinspect.schemas.android import (
    AVB_MAGIC,
    DTBO_MAGIC,
    HASH,
    DescriptorHeader,
    DtTableEntry,
    DtTableHeader,
    HashDescriptor,
    PublicKeyHeader,
    VbmetaHeader,
)
from kinspect.schemas.record import build


def dtbo(*trees: bytes, version: int = 0, flags: Sequence[int] = ()) -> bytes:
    """A DTBO image; entries with flags 1 and 2 are compressed with zlib and gzip."""
    rows, body, start = b"", b"", 32 * (len(trees) + 1)
    for number, tree in enumerate(trees):
        flag = flags[number] if number < len(flags) else 0
        packer = zlib.compressobj(wbits=31 if flag == 2 else 15)
        data = packer.compress(tree) + packer.flush() if flag in (1, 2) else tree
        rows += build(DtTableEntry(len(data), start + len(body), number + 1, 0, flag, 0, 0, 0))
        body += data
    total = start + len(body)
    return build(DtTableHeader(DTBO_MAGIC, total, 32, 32, len(trees), 32, 2048, version)) + rows + body


def hash_descriptor(image: bytes, algorithm: str = "sha256", salt: bytes = b"salt", name: bytes = b"boot") -> bytes:
    """The descriptor of an image."""
    digest = hashlib.new(algorithm, salt + image).digest()
    fields = (len(image), algorithm.encode().ljust(32, b"\0"), len(name), len(salt), len(digest), 0, bytes(60))
    return descriptor(HASH, build(HashDescriptor(*fields)) + name + salt + digest)


def descriptor(tag: int, data: bytes) -> bytes:
    """A descriptor, padded to 8 bytes."""
    data += bytes(-len(data) % 8)
    return build(DescriptorHeader(tag, len(data))) + data


def vbmeta(*descriptors: bytes, signed: bool = False) -> bytes:
    """Metadata, unsigned or with a right hash and a signature that no key made."""
    body = b"".join(descriptors)
    key = build(PublicKeyHeader(2048, 1)) + ((1 << 2047) + 1).to_bytes(256, "big") + bytes(256) if signed else b""
    auxiliary = body + key + bytes(-(len(body) + len(key)) % 64)
    size = 320 if signed else 0
    header = VbmetaHeader(
        *(AVB_MAGIC, 1, 0, size, len(auxiliary), int(signed), 0, 32 if signed else 0, 32 if signed else 0),
        *(256 if signed else 0, len(body), len(key), 0, 0, 0, len(body), 0, 0, 0),
        *(b"avbtool 1.3.0".ljust(48, b"\0"), bytes(80)),
    )
    head = build(header)
    authentication = hashlib.sha256(head + auxiliary).digest() + bytes(288) if signed else b""
    return head + authentication + auxiliary
