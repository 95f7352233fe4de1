"""A signature as the kernel parses it: in one pass, with its own idea of DER, and a log line for what it does not know.

The order of the tests is that of the bytes. What the kernel takes beyond DER: a constructed tag without its bit, and
bytes behind the message.
Source: lib/asn1_decoder.c; crypto/asymmetric_keys/pkcs7.asn1 and pkcs7_parser.c.
"""

from errno import EBADMSG, EINVAL, EKEYREJECTED, ENOPKG  # type: ignore[attr-defined,unused-ignore]
from typing import NamedTuple

from kinspect.artifacts.crypto.der import IN_0, INTEGER, OBJECT, OCTETS, SEQUENCE, SET, Der
from kinspect.artifacts.crypto.pkcs7 import ALGORITHMS, DATA, HASHES, Signed, SignedMessage, common_name
from kinspect.errors import Location, MalformedError
from kinspect.views.signing.kernel_decoder import KernelDecoder, StopError, each
from kinspect.views.signing.kernel_oids import dotted

INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_KEY_ID = 0x80
_LONGEST_OID = 49  # characters in a line of the log
_PKCS9 = "1.2.840.113549.1.9"
_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_TIME = f"{_PKCS9}.3", f"{_PKCS9}.4", f"{_PKCS9}.5"
_AUTHENTICODE = {
    f"{_PKCS9}.15": "S/MIME Caps",
    "1.3.6.1.4.1.311.2.1.11": "Authenticode AuthAttrs",
    "1.3.6.1.4.1.311.2.1.12": "Authenticode AuthAttrs",
}
_ONCE = {_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_TIME, *_AUTHENTICODE}
_NOT_FOR_MESSAGES = {f"1.2.840.113549.1.1.{last}" for last in (4, 5, 11, 12, 13, 14)} | {"1.2.840.10045.2.1"}
"""Algorithms of keys and certificates, which the kernel does not take for a signature in a message."""
_MESSAGE = "PKCS7: "


class ParsedMessage(NamedTuple):
    """The message; else None and the errno of the kernel's parser: ENOPKG for what the kernel does not support.

    `lines` are those of the kernel's log.
    """

    message: SignedMessage | None
    errno: int
    lines: tuple[str, ...]


class _Parser:
    """The parse of one message."""

    def __init__(self, oids: tuple[bytes, ...], data: bytes) -> None:
        self.oids, self.data = oids, data
        self.lines: list[str] = []
        self.last = b""
        self.content, self.contents, self.version, self.signers = "", b"", 0, 0
        self.issuer, self.serial, self.attribute_bytes = b"", b"", b""
        self.key_id: bytes | None = None
        self.certificates: list[bytes] = []
        self.attributes: set[str] = set()
        self.first: SignedMessage | None = None

    def warn(self, line: str, errno: int) -> StopError:
        self.lines.append(f"{_MESSAGE}{line}")
        return StopError(errno)

    def number(self, oid: bytes) -> int:
        return self.oids.index(oid) if oid in self.oids else len(self.oids)

    def note(self, oid: bytes, start: int) -> None:
        self.last = oid
        if self.oids and oid not in self.oids:
            self.lines.append(f"{_MESSAGE}Unknown OID: [{start}] {dotted(oid)[:_LONGEST_OID]}")

    def oid(self, part: KernelDecoder) -> None:
        found = part.match(OBJECT)
        contents = part.leaf(OBJECT)
        if found is not None and contents is not None:
            self.note(contents, found[1])

    def algorithm_identifier(self, part: KernelDecoder) -> None:
        self.oid(part)
        part.leaf(None, optional=True)

    def message(self, part: KernelDecoder) -> None:
        self.oid(part)
        if dotted(self.last) != _SIGNED_DATA:
            raise self.warn("Only support pkcs7_signedData type", EINVAL)
        part.inside(IN_0, lambda inner: inner.inside(SEQUENCE, self.signed_data), optional=True)

    def signed_data(self, part: KernelDecoder) -> None:
        version = part.leaf(INTEGER)
        if version not in (b"\1", b"\3"):
            raise self.warn("Unsupported SignedData version", EINVAL)
        self.version = version[0]
        if not part.either((SET, SEQUENCE), each(lambda one: one.inside(SEQUENCE, self.algorithm_identifier))):
            raise StopError
        part.inside(SEQUENCE, self.content_info)
        if self.content not in (DATA, INDIRECT_DATA):
            raise self.warn(f"Unsupported data type {self.number(self.last)}", EINVAL)
        part.either((IN_0, IN_0 + 2), self.certificate_list)
        part.either((IN_0 + 1, IN_0 + 3), each(lambda one: one.leaf(None)))
        if not part.either((SET, SEQUENCE), each(lambda one: one.inside(SEQUENCE, self.signer))):
            raise StopError

    def content_info(self, part: KernelDecoder) -> None:
        start = part.match(OBJECT)
        self.oid(part)
        if start is not None:
            self.note(self.last, start[1])  # the kernel's parser notes this one twice
        self.content = dotted(self.last)
        part.inside(IN_0, self._data, optional=True)

    def _data(self, part: KernelDecoder) -> None:
        self.contents = part.data[part.offset : part.end]
        part.leaf(None)

    def certificate_list(self, part: KernelDecoder) -> None:
        while part.more:
            start, found = part.offset, part.match(None)
            part.leaf(None)
            if found is not None and found[0] != SEQUENCE:
                raise StopError
            self.certificates.append(part.data[start : part.offset])

    def signer(self, part: KernelDecoder) -> None:
        version = part.leaf(INTEGER)
        if version not in (b"\1", b"\3"):
            raise self.warn("Unsupported SignerInfo version", EINVAL)
        if (version == b"\1") != (self.version == 1):
            raise self.warn("SignedData-SignerInfo version mismatch", EBADMSG)
        self.attributes, self.attribute_bytes = set(), b""
        if not part.inside(SEQUENCE, self.issuer_and_serial, optional=True):
            self.key_id = part.leaf(_KEY_ID)
        part.inside(SEQUENCE, self.algorithm_identifier)
        digest = dotted(self.last)
        if digest not in HASHES or self.last not in (self.oids or (self.last,)):
            raise self._unsupported("digest")
        self.signed_attributes(part)
        part.inside(SEQUENCE, self.algorithm_identifier)
        algorithm = dotted(self.last)
        known = algorithm in ALGORITHMS and algorithm not in _NOT_FOR_MESSAGES
        if not known or self.last not in (self.oids or (self.last,)):
            raise self._unsupported("pkey")
        signature = part.leaf(OCTETS) or b""
        part.either((IN_0 + 1, IN_0 + 3), each(lambda one: one.leaf(None)))
        if self.content == INDIRECT_DATA and not self.attribute_bytes:
            raise self.warn("Authenticode requires AuthAttrs", EBADMSG)
        self.signers += 1
        self.first = self.first or self._signed_message(version[0], HASHES[digest], ALGORITHMS[algorithm], signature)

    def _unsupported(self, what: str) -> StopError:
        if self.oids:
            self.lines.append(f"Unsupported {what} algo: {self.number(self.last)}")
        return StopError(ENOPKG)

    def issuer_and_serial(self, part: KernelDecoder) -> None:
        start = part.match(SEQUENCE)
        part.inside(SEQUENCE, each(lambda one: one.inside(SET, each(self._name_part))))
        self.issuer = b"" if start is None else part.data[start[1] : start[2]]
        self.serial = part.leaf(INTEGER) or b""

    def _name_part(self, part: KernelDecoder) -> None:
        part.inside(SEQUENCE, self._pair)

    def _pair(self, part: KernelDecoder) -> None:
        self.oid(part)
        part.leaf(None)

    def signed_attributes(self, part: KernelDecoder) -> None:
        start, one = part.offset, each(lambda inner: inner.inside(SEQUENCE, self.attribute))
        if part.inside(IN_0, one, optional=True):
            if not {_CONTENT_TYPE, _MESSAGE_DIGEST} <= self.attributes:
                raise self.warn("Missing required AuthAttr", EBADMSG)
            self.attribute_bytes = part.data[start : part.offset]
        else:
            part.inside(IN_0 + 2, lambda inner: inner.inside(SEQUENCE, one), optional=True)

    def attribute(self, part: KernelDecoder) -> None:
        self.oid(part)
        part.inside(SET, each(self._value))

    def _value(self, part: KernelDecoder) -> None:
        found, kind = part.match(None), dotted(self.last)
        value = part.leaf(None) or b""
        if kind in _ONCE and kind in self.attributes:
            raise self.warn("Repeated/multivalue AuthAttrs not permitted", EKEYREJECTED)
        self.attributes.add(kind)
        if kind == _CONTENT_TYPE and dotted(value) != self.content:
            raise StopError
        if kind == _MESSAGE_DIGEST and found is not None and found[0] != OCTETS:
            raise StopError
        if kind in _AUTHENTICODE and self.content != INDIRECT_DATA:
            raise self.warn(f"{_AUTHENTICODE[kind]} only allowed with Authenticode", EKEYREJECTED)

    def _signed_message(self, version: int, digest: str, algorithm: str, signature: bytes) -> SignedMessage:
        number = abs(int.from_bytes(self.serial, "big", signed=True))
        try:
            issuer, text = common_name(Der(self.issuer, Location("", "signature")))
        except MalformedError:
            issuer, text = b"", ""
        serial = number.to_bytes((number.bit_length() + 7) // 8, "big")
        versions, attributes = (self.version, version), self.attribute_bytes
        signed = Signed(self.issuer, self.serial, attributes, self.contents, tuple(self.certificates), versions)
        names = issuer, text, serial, self.key_id, self.content
        return SignedMessage(*names, digest, algorithm, bool(attributes), signature, len(self.data), signed)


def parsed_by_kernel(oids: tuple[bytes, ...], data: bytes) -> ParsedMessage:
    """What a kernel that knows these object identifiers makes of a message. Raises IndefiniteError."""
    parser = _Parser(oids, data)
    try:
        KernelDecoder(data, 0, len(data)).inside(SEQUENCE, parser.message)
    except StopError as stop:
        return ParsedMessage(None, stop.errno, tuple(parser.lines))
    if parser.first is None:
        # Without a signer, all signers have attributes, or none.
        return ParsedMessage(None, EINVAL, (*parser.lines, f"{_MESSAGE}Inconsistently supplied authAttrs"))
    signed = parser.first.signed._replace(signers=parser.signers, certificates=tuple(parser.certificates))
    return ParsedMessage(parser.first._replace(signed=signed), 0, tuple(parser.lines))
