"""X.509 certificates. Those that a kernel trusts are in its bytes, one after the other.

Source: RFC 5280, section 4.1; certs/system_certificates.S.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from kinspect.artifacts.crypto.der import BITS, IN_0, IN_3, INTEGER, OBJECT, OCTETS, SEQUENCE, Der
from kinspect.artifacts.crypto.pkcs7 import common_name
from kinspect.errors import Location, MalformedError

_BEGINS = re.compile(rb"\x30\x82(..)\x30\x82..\xa0\x03\x02\x01\x02", re.DOTALL)
"""Two sequences with two-byte lengths, then version 3: the start of every certificate with a key of usual size."""
_MOST_CANDIDATES = 10_000
_SUBJECT_KEY_ID = "2.5.29.14"


class Certificate(NamedTuple):
    """A certificate. `der` is all of it; `issuer`, `subject` and `serial` are the contents of those elements.

    `key_id` is the subject's key identifier, empty without one; `public_key` is that element with its tag.
    `issuer_text` and `subject_text` are common names.
    """

    der: bytes
    issuer: bytes
    subject: bytes
    serial: bytes
    key_id: bytes
    issuer_text: str
    subject_text: str
    public_key: bytes = b""

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are the same."""
        return self.issuer == self.subject

    @property
    def serial_text(self) -> str:
        """The serial number in hexadecimal."""
        return self.serial.lstrip(b"\0").hex() or "00"


def certificate(data: bytes, at: Location) -> Certificate:
    """The certificate at the start of `data`; `at` is its location. Raises MalformedError."""
    whole = Der(data, at, "X.509")
    found = whole.inside(SEQUENCE, "certificate")
    signed = found.inside(SEQUENCE, "tbsCertificate")
    signed.skip(IN_0, "version")
    serial = signed.contents(INTEGER, "serialNumber")
    signed.contents(SEQUENCE, "signature")
    issuer = signed.contents(SEQUENCE, "issuer")
    signed.contents(SEQUENCE, "validity")
    subject = signed.contents(SEQUENCE, "subject")
    public_key = signed.whole(SEQUENCE, "subjectPublicKeyInfo")
    signed.skip(0x81, "issuerUniqueID")
    signed.skip(0x82, "subjectUniqueID")
    key_id = _key_id(signed.inside(IN_3, "extensions")) if signed.next_is(IN_3) else b""
    found.contents(SEQUENCE, "signatureAlgorithm")
    found.contents(BITS, "signature")
    texts = [common_name(Der(name, at, "X.509"))[1] for name in (issuer, subject)]
    return Certificate(data[: whole.offset], issuer, subject, serial, key_id, texts[0], texts[1], public_key)


def _key_id(found: Der) -> bytes:
    extensions = found.inside(SEQUENCE, "Extensions")
    while not extensions.at_end:
        extension = extensions.inside(SEQUENCE, "Extension")
        if extension.next_is(OBJECT) and extension.object("extnID") == _SUBJECT_KEY_ID:
            extension.skip(0x01, "critical")
            inner = Der(extension.contents(OCTETS, "extnValue"), found.file, "X.509")
            return inner.contents(OCTETS, "KeyIdentifier")
    return b""


def certificates_in(data: bytes, path: str) -> Iterator[Certificate]:
    """The certificates in the bytes of a kernel. Bytes that only look like one are skipped."""
    end = 0
    for found in islice(_BEGINS.finditer(data), _MOST_CANDIDATES):
        size = int.from_bytes(found[1], "big") + 4
        start = found.start()
        if start < end or start + size > len(data):
            continue
        try:
            parsed = certificate(data[start : start + size], Location(path, "certificate", start))
        except MalformedError:
            continue
        end = start + size
        yield parsed


def certificates_of_file(data: bytes, path: str) -> list[Certificate]:
    """The certificates in a file, PEM or DER, one or several. MalformedError when there are none."""
    import binascii

    blocks = re.findall(rb"-----BEGIN CERTIFICATE-----([^-]*+)-----END CERTIFICATE-----", data)
    try:
        parts = [binascii.a2b_base64(block) for block in blocks]
    except binascii.Error as reason:
        raise MalformedError(f"PEM: {reason}", Location(path)) from reason
    if blocks:
        return [certificate(part, Location(path)) for part in parts]
    found = []
    while data:
        found.append(certificate(data, Location(path)))
        data = data[len(found[-1].der) :]
    if not found:
        raise MalformedError("no certificates", Location(path), expected="PEM or DER")
    return found
