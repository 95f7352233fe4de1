"""The Secure Boot signatures of an Image: digests, signers, and whether they verify.

Source: Microsoft, Windows Authenticode Portable Executable Signature Format; crypto/asymmetric_keys/verify_pefile.c.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kinspect.artifacts.boot.efi import EfiProgram
from kinspect.artifacts.boot.pe import Pe
from kinspect.artifacts.crypto.der import OBJECT, OCTETS, SEQUENCE, SET, Der
from kinspect.artifacts.crypto.pkcs7 import HASHES, SignedMessage, message_in
from kinspect.artifacts.crypto.x509 import Certificate, certificate
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.views.signing.verification import can_verify, issued, knows, verifies

INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_PKCS7_TYPE = 2
_CHECKSUM, _ENTRY = 4, 8
_WINDOW = 1 << 20


class ImageSignature(NamedTuple):
    """One signature of an Image. `chain` has the names of the certificates, the signer's first; digests are in hex.

    `stated` is the digest that was signed, `computed` that of the file. `right` says whether the signature verifies
    with the signer's key, `trusted` whether the chain leads to a trusted certificate; None is unknown.
    """

    hash: str
    algorithm: str
    stated: str
    computed: str
    chain: tuple[str, ...]
    key: str
    right: bool | None
    trusted: bool | None
    problem: str = ""


class ImageSignatures(NamedTuple):
    """The signatures of an EFI program; none if it is not signed, and one around it or inside is.

    `layer` is what the program is, such as `UKI`; firmware verifies the outermost one.
    """

    path: str
    signatures: tuple[ImageSignature, ...]
    layer: str = "arm64 Image"
    outermost: bool = True


def image_signatures(image: EfiProgram, trusted: Sequence[Certificate] = ()) -> ImageSignatures | None:
    """The PKCS#7 signatures of an Image or a zboot image; None when it is not signed.

    MalformedError when their table is broken, and as `pe_offset` does.
    """
    pe = image.pe
    if pe is None or pe.certificate_table is None:
        return None
    place = pe.certificate_table.virtual_address
    found = []
    for entry in pe.certificates(image.source):
        at = Location(image.path, "signature", place)
        if entry.cert_type != _PKCS7_TYPE:
            continue
        try:
            found.append(_signature(image, pe, message_in(entry.certificate, at), trusted))
        except (MalformedError, UnsupportedError) as error:
            found.append(_unreadable(error.problem))
    return ImageSignatures(image.path, tuple(found))


def _unreadable(problem: str) -> ImageSignature:
    return ImageSignature("", "", "", "", (), "", None, None, problem)


def _signature(image: EfiProgram, pe: Pe, message: SignedMessage, trusted: Sequence[Certificate]) -> ImageSignature:
    at = Location(image.path, "signature")
    if message.content != INDIRECT_DATA:
        raise MalformedError("PKCS#7: not Authenticode", at, expected=INDIRECT_DATA, actual=message.content)
    hashed, stated, signed = _indirect_data(message, at)
    inside = [certificate(der, at) for der in message.signed.certificates]
    signer_id = message.signed.issuer, message.signed.serial
    signer = next((found for found in inside if (found.issuer, found.serial) == signer_id), None)
    chain = list(_chain(signer, inside)) if signer else []
    right = _right(message, signer, signed, at)
    return ImageSignature(
        hashed,
        f"{message.algorithm} {message.hash}",
        stated.hex(),
        digest_of(image, pe, hashed).hex(),
        tuple(link.subject_text for link in chain) or (message.issuer_text,),
        message.serial.hex(),
        right,
        right and _trusted(chain, trusted) if trusted else None,
        "" if signer else "the signature does not contain the signer's certificate",
    )


def _indirect_data(message: SignedMessage, at: Location) -> tuple[str, bytes, bytes]:
    """The signed digest with its algorithm, and the bytes that the signature itself covers."""
    outer = Der(message.signed.contents, at)
    contents = outer.contents(SEQUENCE, "SpcIndirectDataContent")
    inner = Der(contents, at)
    inner.contents(SEQUENCE, "data")
    info = inner.inside(SEQUENCE, "messageDigest")
    algorithm = info.inside(SEQUENCE, "digestAlgorithm").object("algorithm")
    return HASHES.get(algorithm, algorithm), info.contents(OCTETS, "digest"), contents


def _right(message: SignedMessage, signer: Certificate | None, signed: bytes, at: Location) -> bool | None:
    """Whether the signature verifies with the signer's key, over attributes with the right digest of the contents."""
    if signer is None or not can_verify() or not knows(message.hash, message.algorithm):
        return None
    attributes = message.signed.attributes
    if not attributes:
        return verifies(signer, message.hash, message.algorithm, message.signature, signed)
    digest = hashlib.new(message.hash.replace("-", "_"), signed).digest()
    if digest != _attribute(attributes, _MESSAGE_DIGEST, at):
        return False
    # They are signed with the tag of a SET, not with the tag that they have in the message.
    as_set = bytes([0x31]) + attributes[1:]
    return verifies(signer, message.hash, message.algorithm, message.signature, as_set)


def _attribute(attributes: bytes, object_id: str, at: Location) -> bytes | None:
    rows = Der(attributes, at).inside(0xA0, "signedAttrs")
    while not rows.at_end:
        row = rows.inside(SEQUENCE, "Attribute")
        if row.next_is(OBJECT) and row.object("type") == object_id:
            return row.inside(SET, "values").contents(OCTETS, "MessageDigest")
    return None


def _chain(signer: Certificate, inside: Sequence[Certificate]) -> Iterator[Certificate]:
    """The signer's certificate, that of its issuer, and so on, as far as the signature contains them."""
    seen: set[bytes] = set()
    link: Certificate | None = signer
    while link is not None and link.der not in seen:
        yield link
        seen.add(link.der)
        issuer = link.issuer
        link = None if link.self_issued else next((other for other in inside if other.subject == issuer), None)


def _trusted(chain: Sequence[Certificate], trusted: Sequence[Certificate]) -> bool:
    """Whether the chain leads to a trusted certificate, each certificate being signed with the key of the next."""
    for number, link in enumerate(chain):
        if any(link.der == other.der for other in trusted):
            return True
        if any(link.issuer == other.subject and issued(link, other) for other in trusted):
            return True
        if number + 1 == len(chain) or not issued(link, chain[number + 1]):
            return False
    return False


def digest_of(image: EfiProgram, pe: Pe, hash_name: str) -> bytes:
    """The Authenticode digest of a program: of all but the checksum, the certificate table and its entry.

    Raises UnsupportedError for a digest that Python does not have.
    """
    try:
        digest = hashlib.new(hash_name.replace("-", "_"))
    except ValueError as reason:
        raise UnsupportedError(f"the digest {hash_name} is not supported", image.at()) from reason
    table = pe.certificate_table
    end = table.virtual_address if table else image.size
    skipped = ((pe.checksum_at, _CHECKSUM), (pe.certificate_entry_at, _ENTRY))
    start = 0
    for place, size in (*skipped, (min(end, image.size, LARGEST_KERNEL), 0)):
        while start < place:
            part = image.source.read(start, min(_WINDOW, place - start))
            digest.update(part)
            start += len(part)
        start = place + size
    if table and end + table.size < image.size:
        digest.update(image.source.read(end + table.size, min(image.size - end - table.size, _WINDOW)))
    return digest.digest()
