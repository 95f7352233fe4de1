"""What the metadata of Android Verified Boot says, and whether it is right.

Source: external/avb, libavb/avb_vbmeta_image.c and avb_slot_verify.c.
"""

import hashlib
from contextlib import suppress
from typing import NamedTuple

from kinspect.artifacts.android.metadata import EXPONENT, Descriptor, Metadata
from kinspect.artifacts.android.verified import Verified
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.views.signing.verification import can_verify, verifies_with_modulus

_STEP = 1 << 20
_DIGESTS = ("sha1", "sha256", "sha512")
_LONGEST = 200


class VerifiedDescriptor(NamedTuple):
    """A descriptor. `kind` is hash, hashtree, property, cmdline, chain or unknown; digests are in hex.

    `computed` is the digest of the image in the same file; empty when it is elsewhere. `value` is that of a property, a
    command line, or the SHA-1 of a chain's key.
    """

    kind: str
    name: str
    algorithm: str
    size: int
    digest: str
    computed: str
    value: str


class VbmetaFacts(NamedTuple):
    """The metadata of Android Verified Boot, at `offset` in a file. Digests are in hex.

    `stated` is the hash in it, `computed` that of header and auxiliary block; both are empty when it is unsigned.
    `right` says whether the signature verifies with the key in the metadata, of which `key` is the SHA-1; None is
    unknown.
    """

    path: str
    offset: int
    size: int
    algorithm: str
    stated: str
    computed: str
    right: bool | None
    key: str
    rollback_index: int
    flags: int
    release: str
    descriptors: tuple[VerifiedDescriptor, ...]


def vbmeta_facts(verified: Verified) -> VbmetaFacts | None:
    """What the metadata of a file says; None without metadata.

    MalformedError when it is broken, TruncatedError when it is cut, UnsupportedError for an unknown algorithm.
    """
    metadata = verified.metadata
    if metadata is None:
        return None
    name, digest = metadata.algorithm
    header = metadata.header
    return VbmetaFacts(
        verified.path,
        metadata.start,
        metadata.size,
        name,
        metadata.hash.hex() if digest else "",
        hashlib.new(digest, metadata.signed).hexdigest() if digest else "",
        signature_is_right(metadata),
        hashlib.sha1(metadata.public_key, usedforsecurity=False).hexdigest() if metadata.public_key else "",
        header.rollback_index,
        header.flags,
        header.release_string.split(b"\0", 1)[0].decode("utf-8", "backslashreplace"),
        tuple(_facts(verified, descriptor) for descriptor in metadata.descriptors),
    )


def signature_is_right(metadata: Metadata) -> bool | None:
    """Whether the signature verifies with the key beside it; None without one, or without the library."""
    _, digest = metadata.algorithm
    if not digest or not can_verify():
        return None
    return verifies_with_modulus(metadata.modulus, EXPONENT, digest, metadata.signature, metadata.signed)


def digest_of(verified: Verified, descriptor: Descriptor) -> bytes:
    """The digest of salt and image. UnsupportedError for an unknown one; MalformedError when the image is too large."""
    if descriptor.algorithm not in _DIGESTS:
        at = Location(verified.path, "hash descriptor", descriptor.offset)
        raise UnsupportedError("unknown digest", at, expected=" or ".join(_DIGESTS), actual=descriptor.algorithm)
    end = verified.footer.vbmeta_offset if verified.footer else verified.size
    if descriptor.size > end:
        at = Location(verified.path, "hash descriptor", descriptor.offset)
        expected = f"at most {end:,} bytes"
        raise MalformedError("the image ends past its metadata", at, expected=expected, actual=f"{descriptor.size:,}")
    total = hashlib.new(descriptor.algorithm, descriptor.salt, usedforsecurity=False)
    for start in range(0, descriptor.size, _STEP):
        total.update(verified.source.read(start, min(_STEP, descriptor.size - start), "image"))
    return total.digest()


def hashes_here(verified: Verified) -> tuple[Descriptor, ...]:
    """The hash descriptors of the image in the same file, which a footer needs. Raises as Metadata does."""
    if not verified.footer or verified.metadata is None:
        return ()
    return tuple(one for one in verified.metadata.descriptors if one.kind == "hash")


def _facts(verified: Verified, descriptor: Descriptor) -> VerifiedDescriptor:
    computed = b""
    if verified.footer and descriptor.kind == "hash":
        with suppress(UnsupportedError, MalformedError):  # a check says why
            computed = digest_of(verified, descriptor)
    value = descriptor.value[:_LONGEST].decode("utf-8", "backslashreplace").rstrip("\0")
    if descriptor.kind == "chain":
        value = hashlib.sha1(descriptor.value, usedforsecurity=False).hexdigest()
    elif descriptor.kind == "unknown":
        value = f"{len(descriptor.value):,} bytes"
    kind, name, _, algorithm, size, _, digest, _ = descriptor
    return VerifiedDescriptor(kind, name, algorithm, size, digest.hex(), computed.hex(), value)
