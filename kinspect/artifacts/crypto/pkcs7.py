"""PKCS#7 signed messages in DER, as sign-file and sbsign write them: who signed, with which key.

The parser descends exactly as deep as the format does.
Source: RFC 2315, sections 7 and 9; RFC 5652, section 5.3.
"""

from typing import NamedTuple

from kinspect.artifacts.crypto.der import IN_0, INTEGER, OCTETS, SEQUENCE, SET, Der
from kinspect.errors import Location, UnsupportedError

LARGEST_MESSAGE = 1 << 20
"""Bytes of a message. Without certificates it takes some hundred, or some thousand with ML-DSA."""

_KEY_ID = 0x80
_TEXT = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_COMMON_NAME = "2.5.4.3"
DATA, _SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"

_NIST = "2.16.840.1.101.3.4"
HASHES = {
    "1.2.840.113549.2.4": "md4",
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "1.3.36.3.2.1": "rmd160",
    f"{_NIST}.2.1": "sha256",
    f"{_NIST}.2.2": "sha384",
    f"{_NIST}.2.3": "sha512",
    f"{_NIST}.2.4": "sha224",
    f"{_NIST}.2.7": "sha3-224",
    f"{_NIST}.2.8": "sha3-256",
    f"{_NIST}.2.9": "sha3-384",
    f"{_NIST}.2.10": "sha3-512",
    f"{_NIST}.2.12": "shake256",
    "1.2.156.10197.1.401": "sm3",
}
"""Digest algorithms by object identifier, named as in the kernel. Source: include/linux/oid_registry.h."""
ALGORITHMS = {
    "1.2.840.113549.1.1.1": "RSA",
    **{f"1.2.840.113549.1.1.{last}": "RSA" for last in (4, 5, 11, 12, 13, 14)},
    **{f"{_NIST}.3.{last}": "RSA" for last in (13, 14, 15, 16)},
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.2.840.10045.2.1": "ECDSA",
    "1.2.840.10045.4.1": "ECDSA",
    **{f"1.2.840.10045.4.3.{last}": "ECDSA" for last in (1, 2, 3, 4)},
    **{f"{_NIST}.3.{last}": "ECDSA" for last in (9, 10, 11, 12)},
    "1.3.101.112": "Ed25519",
    "1.2.156.10197.1.501": "SM2",
    f"{_NIST}.3.17": "ML-DSA-44",
    f"{_NIST}.3.18": "ML-DSA-65",
    f"{_NIST}.3.19": "ML-DSA-87",
}
"""Signature algorithms, with and without their digest."""


class Signed(NamedTuple):
    """The parts of a message that are needed to verify it, undecoded.

    `issuer` and `serial` are the contents of those elements, `attributes` the signed attributes with their tag,
    `contents` the signed data when it is inside the message. `versions` are those of the message and of the signer,
    `signers` is the number of signers.
    """

    issuer: bytes = b""
    serial: bytes = b""
    attributes: bytes = b""
    contents: bytes = b""
    certificates: tuple[bytes, ...] = ()
    versions: tuple[int, int] = (1, 1)
    signers: int = 1


NOTHING_SIGNED = Signed()


class SignedMessage(NamedTuple):
    """A PKCS#7 message and the first signature in it.

    The signer is identified by issuer and `serial`, or by `key_id`, which is None otherwise. `issuer` is the common
    name as bytes, or the last part of a name without one; `serial` is an absolute value without leading zeros; `size`
    is that of the whole message in bytes.
    """

    issuer: bytes
    issuer_text: str
    serial: bytes
    key_id: bytes | None
    content: str
    hash: str
    algorithm: str
    signed_attributes: bool
    signature: bytes
    size: int
    signed: "Signed" = NOTHING_SIGNED


def message_in(data: bytes, at: Location) -> SignedMessage:
    """The message at the start of `data`; `at` is the location of `data`, for errors.

    Raises MalformedError, and UnsupportedError for more than 1 MiB.
    """
    if len(data) > LARGEST_MESSAGE:
        expected = f"at most {LARGEST_MESSAGE:,} bytes"
        raise UnsupportedError("the signature is too large", at, expected=expected, actual=len(data))
    whole = Der(data, at)
    info = whole.inside(SEQUENCE, "ContentInfo")
    info.expect_object(_SIGNED_DATA, "contentType")
    signed = info.inside(IN_0, "content").inside(SEQUENCE, "SignedData")
    version = int.from_bytes(signed.contents(INTEGER, "version"), "big")
    signed.contents(SET, "digestAlgorithms")
    encapsulated = signed.inside(SEQUENCE, "encapContentInfo")
    content = encapsulated.object("eContentType")
    inside = encapsulated.contents(IN_0, "eContent") if encapsulated.next_is(IN_0) else b""
    certificates = _certificates(signed.inside(IN_0, "certificates")) if signed.next_is(IN_0) else ()
    signed.skip(IN_0 + 1, "crls")
    signers = signed.inside(SET, "signerInfos")
    signer = signers.inside(SEQUENCE, "SignerInfo")
    versions = version, int.from_bytes(signer.contents(INTEGER, "version"), "big")
    issuer, text, serial, key_id, name, number = b"", "", b"", None, b"", b""
    if signer.next_is(_KEY_ID):
        key_id = signer.contents(_KEY_ID, "subjectKeyIdentifier")
    else:
        names = signer.inside(SEQUENCE, "issuerAndSerialNumber")
        name = names.contents(SEQUENCE, "issuer")
        issuer, text = common_name(Der(name, at))
        number = names.contents(INTEGER, "serialNumber")
        serial = _magnitude(number)
    hashed = signer.inside(SEQUENCE, "digestAlgorithm").object("algorithm")
    attributes = signer.whole(IN_0, "signedAttrs") if signer.next_is(IN_0) else b""
    algorithm = signer.inside(SEQUENCE, "signatureAlgorithm").object("algorithm")
    return SignedMessage(
        issuer,
        text,
        serial,
        key_id,
        content,
        HASHES.get(hashed, hashed),
        ALGORITHMS.get(algorithm, algorithm),
        bool(attributes),
        signer.contents(OCTETS, "signature"),
        whole.offset,
        Signed(name, number, attributes, inside, certificates, versions, 1 + signers.count()),
    )


def _certificates(found: Der) -> tuple[bytes, ...]:
    certificates = []
    while found.next_is(SEQUENCE):
        certificates.append(found.whole(SEQUENCE, "certificate"))
    return tuple(certificates)


def common_name(name: Der) -> tuple[bytes, str]:
    """The common name in a distinguished name, else its last value, as modinfo does: bytes and text."""
    found, text = b"", ""
    while not name.at_end:
        part = name.inside(SET, "RelativeDistinguishedName")
        while not part.at_end:
            pair = part.inside(SEQUENCE, "AttributeTypeAndValue")
            kind = pair.object("type")
            tag, found = pair.element("value")
            text = found.decode(_TEXT.get(tag, "utf-8"), "backslashreplace")
            if kind == _COMMON_NAME:
                return found, text
    return found, text


def _magnitude(number: bytes) -> bytes:
    value = abs(int.from_bytes(number, "big", signed=True))
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
