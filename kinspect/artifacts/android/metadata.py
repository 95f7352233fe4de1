"""The metadata of Android Verified Boot: signed digests of partitions, and what else the boot loader must know."""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple, TypeVar

from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.schemas.android import (
    AVB_ALGORITHMS,
    AVB_MAGIC,
    CHAIN,
    CMDLINE,
    HASH,
    HASHTREE,
    PROPERTY,
    ChainDescriptor,
    CmdlineDescriptor,
    DescriptorHeader,
    HashDescriptor,
    HashtreeDescriptor,
    PropertyDescriptor,
    PublicKeyHeader,
    VbmetaHeader,
)
from kinspect.schemas.record import offsets, parse_table, size_of
from kinspect.source import Source

R = TypeVar("R", bound=NamedTuple)
LARGEST = 1 << 20
"""Limit of a block. libavb reads at most 64 KiB of metadata."""
_MOST_DESCRIPTORS = 1000
_KEY_BITS = (2048, 4096, 8192)
EXPONENT = 65537


class Descriptor(NamedTuple):
    """A descriptor. `kind` is hash, hashtree, property, cmdline, chain or unknown; `offset` that in the file.

    `size` is that of the partition's image in bytes; of a chain, `value` is the key; a hashtree's digest is that of its
    root.
    """

    kind: str
    name: str
    offset: int
    algorithm: str = ""
    size: int = 0
    salt: bytes = b""
    digest: bytes = b""
    value: bytes = b""


class Metadata:
    """A header, an authentication block with hash and signature, and an auxiliary block with key and descriptors.

    `start` is its offset in the file. Source: libavb/avb_vbmeta_image.h.
    """

    def __init__(self, source: Source, start: int = 0) -> None:
        self.source, self.start = source, start

    def at(self, part: str, offset: int = 0) -> Location:
        """A place in the file, by its offset in the metadata."""
        return Location(self.source.path, part, self.start + offset)

    @cached_property
    def header(self) -> VbmetaHeader:
        """The header. MalformedError for another magic number, TruncatedError when the file is shorter."""
        header = parse_table(VbmetaHeader, self.source.read(0, size_of(VbmetaHeader), "vbmeta header"))[0]
        if header.magic != AVB_MAGIC:
            raise MalformedError("no AVB metadata", self.at("vbmeta"), expected=AVB_MAGIC, actual=header.magic)
        for name in ("authentication_data_block_size", "auxiliary_data_block_size"):
            size = getattr(header, name)
            if size > LARGEST:
                at = self.at(name, offsets(VbmetaHeader)[name])
                raise UnsupportedError("too large", at, expected=f"at most {LARGEST:,}", actual=f"{size:,}")
        return header

    @property
    def size(self) -> int:
        """The size of header and blocks in bytes."""
        header = self.header
        blocks = header.authentication_data_block_size + header.auxiliary_data_block_size
        return size_of(VbmetaHeader) + blocks

    @property
    def algorithm(self) -> tuple[str, str]:
        """The algorithm of the signature and its digest. UnsupportedError for an unknown one."""
        number = self.header.algorithm_type
        if number not in AVB_ALGORITHMS:
            at = self.at("algorithm_type", offsets(VbmetaHeader)["algorithm_type"])
            raise UnsupportedError("unknown algorithm", at, expected=f"at most {max(AVB_ALGORITHMS)}", actual=number)
        return AVB_ALGORITHMS[number]

    @cached_property
    def _authentication(self) -> bytes:
        size = self.header.authentication_data_block_size
        return self.source.read(size_of(VbmetaHeader), size, "authentication block")

    @cached_property
    def auxiliary(self) -> bytes:
        """The block with key and descriptors. TruncatedError when the file is shorter."""
        start = size_of(VbmetaHeader) + self.header.authentication_data_block_size
        return self.source.read(start, self.header.auxiliary_data_block_size, "auxiliary block")

    @property
    def signed(self) -> bytes:
        """What hash and signature cover: the header and the auxiliary block."""
        return self.source.read(0, size_of(VbmetaHeader), "vbmeta header") + self.auxiliary

    def _within(self, block: bytes, offset: int, size: int, part: str) -> bytes:
        if offset + size > len(block):
            expected, actual = f"at most {len(block):,}", f"{offset + size:,}"
            raise MalformedError("ends past its block", self.at(part), expected=expected, actual=actual)
        return block[offset : offset + size]

    @property
    def hash(self) -> bytes:
        """The stated hash of `signed`. MalformedError when it is outside of its block."""
        return self._within(self._authentication, self.header.hash_offset, self.header.hash_size, "hash")

    @property
    def signature(self) -> bytes:
        """The signature of `signed`. MalformedError when it is outside of its block."""
        return self._within(self._authentication, self.header.signature_offset, self.header.signature_size, "signature")

    @property
    def public_key(self) -> bytes:
        """The key, as boot loaders compare it; empty when unsigned. MalformedError when it is outside of its block."""
        return self._within(self.auxiliary, self.header.public_key_offset, self.header.public_key_size, "public key")

    @property
    def modulus(self) -> int:
        """The modulus of the key. MalformedError for a key of unusual size."""
        key, size = self.public_key, size_of(PublicKeyHeader)
        bits = parse_table(PublicKeyHeader, key[:size])[0].key_num_bits if len(key) >= size else 0
        if bits not in _KEY_BITS or len(key) < size + bits // 8:
            raise MalformedError("not a key", self.at("public key"), expected="2048, 4096 or 8192 bits", actual=bits)
        return int.from_bytes(key[size : size + bits // 8], "big")

    @cached_property
    def descriptors(self) -> tuple[Descriptor, ...]:
        """All descriptors. MalformedError when one ends past its block."""
        header = self.header
        data = self._within(self.auxiliary, header.descriptors_offset, header.descriptors_size, "descriptors")
        first = size_of(VbmetaHeader) + header.authentication_data_block_size + header.descriptors_offset
        return tuple(self._descriptors(data, first))

    def _descriptors(self, data: bytes, first: int) -> Iterator[Descriptor]:
        at, row = 0, size_of(DescriptorHeader)
        for _ in range(_MOST_DESCRIPTORS):
            if at == len(data):
                return
            place = self.at("descriptor", first + at)
            if at + row > len(data):
                raise MalformedError("a descriptor is cut off", place)
            tag, size = parse_table(DescriptorHeader, data[at : at + row])[0]
            if size > len(data) - at - row:
                expected = f"at most {len(data) - at - row:,}"
                raise MalformedError("a descriptor ends past its block", place, expected=expected, actual=f"{size:,}")
            yield _descriptor(tag, data[at + row : at + row + size], place)
            at += row + size
        raise UnsupportedError("too many descriptors", self.at("descriptors"), expected=f"at most {_MOST_DESCRIPTORS}")


def _descriptor(tag: int, data: bytes, place: Location) -> Descriptor:
    offset = place.offset or 0
    if tag == HASH:
        found, (name, salt, digest) = _parsed(
            HashDescriptor, data, place, "partition_name_len", "salt_len", "digest_len"
        )
        return Descriptor("hash", _text(name), offset, _text(found.hash_algorithm), found.image_size, salt, digest)
    if tag == HASHTREE:
        tree, (name, salt, digest) = _parsed(
            HashtreeDescriptor, data, place, "partition_name_len", "salt_len", "root_digest_len"
        )
        return Descriptor("hashtree", _text(name), offset, _text(tree.hash_algorithm), tree.image_size, salt, digest)
    if tag == PROPERTY:
        _, (key, value) = _parsed(PropertyDescriptor, data, place, "key_num_bytes", "value_num_bytes", gap=1)
        return Descriptor("property", _text(key), offset, value=value)
    if tag == CMDLINE:
        _, (text,) = _parsed(CmdlineDescriptor, data, place, "kernel_cmdline_length")
        return Descriptor("cmdline", "", offset, value=text)
    if tag == CHAIN:
        _, (name, public_key) = _parsed(ChainDescriptor, data, place, "partition_name_len", "public_key_len")
        return Descriptor("chain", _text(name), offset, value=public_key)
    return Descriptor("unknown", f"tag {tag}", offset, value=data)


def _parsed(record: type[R], data: bytes, place: Location, *sizes: str, gap: int = 0) -> tuple[R, list[bytes]]:
    """The fields of a descriptor, and what follows them: one piece for each size, with `gap` bytes after each."""
    at = size_of(record)
    if at > len(data):
        raise MalformedError("a descriptor is too short", place, expected=f"at least {at} bytes", actual=len(data))
    found, pieces = parse_table(record, data[:at])[0], []
    for name in sizes:
        size = getattr(found, name)
        if at + size > len(data):
            expected = f"at most {max(0, len(data) - at):,}"
            raise MalformedError(f"{name} ends past its descriptor", place, expected=expected, actual=f"{size:,}")
        pieces.append(data[at : at + size])
        at += size + gap
    return found, pieces


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
