"""Checks of Android Verified Boot: the footer of a partition, the metadata, and the digests in it."""

import hashlib
from collections.abc import Iterator

from kinspect.artifacts.android.metadata import Metadata
from kinspect.artifacts.android.verified import FOOTER, METADATA, Verified
from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import KinspectError, Location, MalformedError, TruncatedError, UnsupportedError
from kinspect.views.android.avb import digest_of, hashes_here, signature_is_right


def _readable(verified: Verified) -> Metadata | None:
    """The metadata, unless it is broken, which a check of its own reports."""
    try:
        metadata = verified.metadata
        if metadata is None or not _parsed(metadata):
            return None
    except KinspectError:
        return None
    return metadata


def _parsed(metadata: Metadata) -> bool:
    """True; raises as Metadata does when a part of it cannot be read."""
    _, digest = metadata.algorithm
    _ = metadata.hash, metadata.signature, metadata.descriptors, metadata.signed
    return not digest or metadata.modulus > 0


@check(Severity.ERROR)
def avb_metadata_is_readable(verified: Verified) -> Iterator[Evidence]:
    """The Android Verified Boot (AVB) metadata is well-formed: its blocks, its key and all descriptors.

    libavb rejects it otherwise, and a locked device does not boot. It was damaged or truncated after avbtool wrote it:
    make it again.
    Source: external/avb, libavb/avb_vbmeta_image.c, avb_vbmeta_image_verify().
    """
    try:
        if verified.metadata is not None:
            _parsed(verified.metadata)
    except (MalformedError, TruncatedError) as error:
        yield Evidence.of(error)


@check(Severity.ERROR)
def avb_footer_fits_the_image(verified: Verified) -> Iterator[Evidence]:
    """According to the AVB footer of a partition, the image ends before the metadata.

    The footer was changed, or belongs to another file. Make it again with `avbtool add_hash_footer`.
    Source: external/avb, libavb/avb_footer.h.
    """
    footer = verified.footer
    if footer and footer.original_image_size > footer.vbmeta_offset:
        at = (verified.at(FOOTER, verified.size - 64),)
        actual = f"{footer.original_image_size:,}"
        yield Evidence("the image ends past its metadata", at, f"at most {footer.vbmeta_offset:,}", actual)


@check(Severity.ERROR)
def avb_hash_matches(verified: Verified) -> Iterator[Evidence]:
    """The digest in the AVB metadata of a partition matches the image (salt included).

    Otherwise the image was changed after `avbtool add_hash_footer`, and a locked device rejects the partition. Run
    avbtool again. Hash trees (dm-verity) are listed but not checked.
    Source: external/avb, libavb/avb_slot_verify.c, load_and_verify_hash_partition().
    """
    if _readable(verified) is None:
        return
    for descriptor in hashes_here(verified):
        at = (Location(verified.path, "hash descriptor", descriptor.offset),)
        try:
            computed = digest_of(verified, descriptor)
        except MalformedError as error:
            yield Evidence.of(error)
            continue
        if computed != descriptor.digest:
            message = f"the {descriptor.algorithm} does not match the image"
            yield Evidence(message, at, descriptor.digest.hex() or "a digest", computed.hex())
        elif verified.footer and descriptor.size != verified.footer.original_image_size:
            expected = f"{verified.footer.original_image_size:,} bytes"
            yield Evidence("the digest does not cover the whole image", at, expected, f"{descriptor.size:,}")


@check(Severity.ERROR)
def avb_metadata_hash_matches(verified: Verified) -> Iterator[Evidence]:
    """The hash in signed AVB metadata matches its header and its auxiliary block.

    Otherwise a descriptor or the key was changed after signing, and libavb rejects the metadata. Make it again.
    Source: external/avb, libavb/avb_vbmeta_image.c, avb_vbmeta_image_verify().
    """
    metadata = _readable(verified)
    digest = metadata.algorithm[1] if metadata else ""
    if metadata and digest:
        computed = hashlib.new(digest, metadata.signed).digest()
        if metadata.hash != computed:
            at = (metadata.at(METADATA),)
            message = f"the {digest} does not match the metadata"
            yield Evidence(message, at, metadata.hash.hex() or "a hash", computed.hex())


@check(Severity.ERROR)
def avb_signature_is_by_its_key(verified: Verified) -> Iterator[Evidence | UnsupportedError]:
    """The signature of AVB metadata verifies against the key in it.

    libavb rejects the metadata otherwise. Whether the device trusts that key is unknown: compare the SHA-1 that
    `kinspect unpack --list` shows with that of the device's key. The check needs the extra `kinspect[verify]`; without
    it, nothing is verified.
    Source: external/avb, libavb/avb_vbmeta_image.c, avb_rsa_verify().
    """
    metadata = _readable(verified)
    if metadata and signature_is_right(metadata) is False:
        yield Evidence("the signature was not made with the key in the metadata", (metadata.at(METADATA),))
