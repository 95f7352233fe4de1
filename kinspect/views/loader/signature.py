"""The kernel's first test: the signature appended to a module, against the certificates that the kernel trusts.

Source: kernel/module/signing.c, module_sig_check(); crypto/asymmetric_keys/pkcs7_parser.c, pkcs7_verify.c and
pkcs7_trust.c.
"""

from collections.abc import Callable, Sequence
from errno import EBADMSG, EINVAL, EKEYREJECTED, EMSGSIZE, EPERM  # type: ignore[attr-defined,unused-ignore]
from typing import NamedTuple

from kinspect.artifacts.crypto.der import IN_0, INTEGER, OBJECT, OCTETS, SEQUENCE, SET, Der
from kinspect.artifacts.crypto.pkcs7 import DATA, SignedMessage, message_in
from kinspect.artifacts.crypto.x509 import Certificate, certificate
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.schemas.module import PKCS7, SIGNATURE_MARKER, ModuleSignature
from kinspect.schemas.record import parse_table, size_of
from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.verdict import Refusal, Result, Signer, Unknown
from kinspect.views.signing.kernel_oids import dotted
from kinspect.views.signing.verification import EXTRA, can_verify, issued, knows, verifies

_TRAILER = size_of(ModuleSignature)
_LARGEST_MESSAGE = 65535
"""Source: lib/asn1_decoder.c."""
_AUTHENTICODE = "1.3.6.1.4.1.311.2.1.4"
_DATA, _SIGNED_DATA = bytes.fromhex("2a864886f70d010701"), bytes.fromhex("2a864886f70d010702")
_INDIRECT_DATA = bytes.fromhex("2b060104018237020104")
_PKCS9 = "1.2.840.113549.1.9"
_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_TIME = f"{_PKCS9}.3", f"{_PKCS9}.4", f"{_PKCS9}.5"
_AUTHENTICODE_ATTRIBUTES = {
    f"{_PKCS9}.15": "S/MIME Caps",
    "1.3.6.1.4.1.311.2.1.11": "Authenticode AuthAttrs",
    "1.3.6.1.4.1.311.2.1.12": "Authenticode AuthAttrs",
}
_ATTRIBUTES = {_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_TIME, *_AUTHENTICODE_ATTRIBUTES}
VERIFICATION_FAILED = "module verification failed: signature and/or required key missing"
UNSIGNED, UNSUPPORTED, NO_KEY = "unsigned module", "module with unsupported crypto", "module with unavailable key"
"""How the kernel names what it loads with a taint, unless signatures are enforced."""


class _Unverified(NamedTuple):
    """The signature does not count, but only a kernel that enforces signatures refuses the module for that."""

    reason: str


def signature(info: LoadInfo) -> Result:
    """The test of the signature; whether it passed is in `info.signed`."""
    kernel = info.kernel
    if not kernel.has_message(VERIFICATION_FAILED):
        return None  # a kernel without MODULE_SIG
    found: Result | _Unverified = _Unverified(UNSIGNED)
    if info.file.endswith(SIGNATURE_MARKER) and info.length > len(SIGNATURE_MARKER):
        info.length -= len(SIGNATURE_MARKER)
        found = _verified(info)
    if not isinstance(found, _Unverified):
        info.signed = found is None
        return found
    if kernel.enforced is None:
        return Unknown(f"{found.reason}: not known whether signatures are enforced (--config, or a vmlinux)")
    if kernel.enforced:
        return Refusal(EKEYREJECTED, (f"Loading of {found.reason} is rejected",))
    if kernel.locked_down:
        return Refusal(EPERM, ("unsigned module loading is restricted; see man kernel_lockdown.7",))
    return None


def _verified(info: LoadInfo) -> Result | _Unverified:
    """Source: kernel/module/signing.c, mod_verify_sig(); kernel/module_signature.c, mod_check_sig()."""
    end = info.length
    if end <= _TRAILER:
        return Refusal(EBADMSG)
    trailer = parse_table(ModuleSignature, info.data[end - _TRAILER : end])[0]
    if trailer.sig_len >= end - _TRAILER:
        return Refusal(EBADMSG)
    if trailer.id_type != PKCS7:
        info.logged.append("module: not signed with expected PKCS#7 message")
        return _Unverified(UNSUPPORTED)
    if any((trailer.algo, trailer.hash, trailer.signer_len, trailer.key_id_len, *trailer.padding)):
        return Refusal(EBADMSG, ("module: PKCS#7 signature info has unexpected non-zero params",))
    info.length -= trailer.sig_len + _TRAILER
    raw = info.data[info.length : end - _TRAILER]
    if len(raw) > _LARGEST_MESSAGE:
        return Refusal(EMSGSIZE)
    at = Location("", "signature", info.length)
    try:
        if (malformed := _content_types(info.kernel, raw, at)) is not None:
            return malformed
        message = message_in(raw, at)
    except MalformedError:
        return Refusal(EBADMSG)
    except UnsupportedError as error:
        return Unknown(error.problem)
    refused = _parsed(message)
    return _with_key(info, message) if refused is None else refused


def _content_types(kernel: TargetKernel, raw: bytes, at: Location) -> Refusal | None:
    """The tests of the two content types, and of the digest algorithms between them. Raises MalformedError."""
    outer = Der(raw, at).inside(SEQUENCE, "ContentInfo")
    content_type = outer.contents(OBJECT, "contentType")
    lines = _unknown(kernel, content_type, outer.offset)
    if content_type != _SIGNED_DATA:
        return Refusal(EINVAL, (*lines, "PKCS7: Only support pkcs7_signedData type"))
    signed = outer.inside(IN_0, "content").inside(SEQUENCE, "SignedData")
    signed.contents(INTEGER, "version")
    algorithms = signed.inside(SET, "digestAlgorithms")
    while not algorithms.at_end:
        algorithms.inside(SEQUENCE, "DigestAlgorithmIdentifier").contents(OBJECT, "algorithm")
    inner = signed.inside(SEQUENCE, "encapContentInfo")
    content_type = inner.contents(OBJECT, "eContentType")
    if content_type in (_DATA, _INDIRECT_DATA):
        return None
    number = kernel.oids.index(content_type) if content_type in kernel.oids else len(kernel.oids)
    # The kernel's parser notes this one twice.
    lines = _unknown(kernel, content_type, inner.offset) * 2
    return Refusal(EINVAL, (*lines, f"PKCS7: Unsupported data type {number}") if kernel.oids else ())


def _unknown(kernel: TargetKernel, oid: bytes, end: int) -> tuple[str, ...]:
    """The line for an object identifier that the kernel does not know; `end` is where it ends in the message."""
    return () if not kernel.oids or oid in kernel.oids else (f"PKCS7: Unknown OID: [{end - len(oid)}] {dotted(oid)}",)


def _parsed(message: SignedMessage) -> Refusal | _Unverified | None:
    """The tests of a message that come before the search for its key."""
    if (malformed := _formed(message)) is not None:
        return malformed
    if "." in message.hash:
        return _Unverified(UNSUPPORTED)
    if message.signed_attributes and (refused := _attributes(message)):
        return refused
    if "." in message.algorithm:
        return _Unverified(UNSUPPORTED)
    if message.signed.contents:
        return Refusal(EBADMSG, ("PKCS7: Data already supplied", "PKCS#7 signature with non-detached data"))
    if message.content != DATA:
        return Refusal(EKEYREJECTED, ("PKCS7: Invalid module sig (not pkcs7-data)",))
    if message.signed_attributes:
        return Refusal(EKEYREJECTED, ("PKCS7: Invalid module sig (has authattrs)",))
    return None


def _formed(message: SignedMessage) -> Refusal | None:
    """The tests of versions and of the type of what is signed."""
    data_version, signer_version = message.signed.versions
    if data_version not in (1, 3):
        return Refusal(EINVAL, ("PKCS7: Unsupported SignedData version",))
    if signer_version not in (1, 3):
        return Refusal(EINVAL, ("PKCS7: Unsupported SignerInfo version",))
    if (signer_version == 1) != (data_version == 1):
        return Refusal(EBADMSG, ("PKCS7: SignedData-SignerInfo version mismatch",))
    if (signer_version == 3) != (message.key_id is not None):
        return Refusal(EBADMSG)
    return None


def _attributes(message: SignedMessage) -> Refusal | None:
    """The tests of signed attributes. Source: crypto/asymmetric_keys/pkcs7_parser.c."""
    only_authenticode = _AUTHENTICODE_ATTRIBUTES if message.content != _AUTHENTICODE else {}
    seen: set[str] = set()
    attributes = Der(message.signed.attributes, Location("", "signature")).inside(IN_0, "signedAttrs")
    try:
        while not attributes.at_end:
            attribute = attributes.inside(SEQUENCE, "Attribute")
            kind, values = attribute.object("attrType"), attribute.inside(SET, "attrValues")
            while not values.at_end:
                tag, _ = values.element("value")
                if kind in seen and kind in _ATTRIBUTES:
                    return Refusal(EKEYREJECTED, ("PKCS7: Repeated/multivalue AuthAttrs not permitted",))
                seen.add(kind)
                if kind in only_authenticode:
                    return Refusal(EKEYREJECTED, (f"PKCS7: {only_authenticode[kind]} only allowed with Authenticode",))
                if kind == _MESSAGE_DIGEST and tag != OCTETS:
                    return Refusal(EBADMSG)
    except MalformedError:
        return Refusal(EBADMSG)
    return None if {_CONTENT_TYPE, _MESSAGE_DIGEST} <= seen else Refusal(EBADMSG, ("PKCS7: Missing required AuthAttr",))


def _with_key(info: LoadInfo, message: SignedMessage) -> Result | _Unverified:
    signer = Signer(message.issuer_text, _key(message), f"{message.algorithm} {message.hash}", "")

    def note(verified: str) -> None:
        info.signer = signer._replace(verified=verified)

    if message.signed.signers > 1:
        note("not verified: several signers")
        return Unknown("the module has several signers")
    if not knows(message.hash, message.algorithm):
        note(f"not verified: {signer.algorithm} is not supported here")
        return Unknown(f"a signature with {signer.algorithm} is not verified here")
    trusted = info.kernel.certificates
    try:
        embedded = [certificate(der, Location("", "certificate")) for der in message.signed.certificates]
    except MalformedError:
        note("not verified: broken certificate")
        return Unknown("a certificate in the signature cannot be read")
    own = _signer_in(embedded, message)
    key = own or _signer_in(trusted, message)
    if not info.kernel.has_hash(message.hash):
        return _without_digest(note, message.hash, key is None)
    if key is None:
        note("the kernel does not have the key")
        return _Unverified(NO_KEY)
    if not can_verify():
        note(f"not verified: needs {EXTRA}")
        return Unknown(f"the signature is not verified: that needs {EXTRA}")
    data = memoryview(info.data)[: info.length]
    if not verifies(key, message.hash, message.algorithm, message.signature, data):
        note("does not match the module")
        return Refusal(EKEYREJECTED)
    if own and not _trusts(trusted, embedded, own):
        note("valid, but the kernel does not have the key")
        return _Unverified(NO_KEY)
    note(f"verified: {key.subject_text}")
    return None


def _without_digest(note: Callable[[str], None], digest: str, without_key: bool) -> Result | _Unverified:
    """What comes of a digest that the kernel has in a module, or not at all: without the key it makes no difference."""
    note(f"not verified: {digest} is not built into the kernel")
    if without_key:
        return _Unverified(UNSUPPORTED)
    return Unknown(f"{digest} is not built into the kernel: it may be in a module")


def _key(message: SignedMessage) -> str:
    return message.key_id.hex() if message.key_id is not None else message.serial.hex()


def _signer_in(certificates: Sequence[Certificate], message: SignedMessage) -> Certificate | None:
    """The certificate that a message names: by the key's identifier, or else by issuer and serial number."""
    for found in certificates:
        if message.key_id is not None:
            if found.key_id == message.key_id:
                return found
        elif (found.issuer, found.serial) == (message.signed.issuer, message.signed.serial):
            return found
    return None


def _trusts(trusted: Sequence[Certificate], embedded: Sequence[Certificate], signer: Certificate) -> bool:
    """Whether a signer in the message is a trusted certificate, or a chain of others there leads to one."""
    for _ in range(len(embedded) + 1):
        if any((known.issuer, known.serial) == (signer.issuer, signer.serial) for known in trusted):
            return True
        if signer.self_issued:
            return False
        issuers = [known for known in trusted if known.subject == signer.issuer]
        if issuers:
            return any(issued(signer, issuer) for issuer in issuers)
        above = [other for other in embedded if other.subject == signer.issuer]
        if not above or not issued(signer, above[0]):
            return False
        signer = above[0]
    return False
