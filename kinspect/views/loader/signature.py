"""The kernel's first test: the signature appended to a module, against the certificates that the kernel trusts.

Source: kernel/module/signing.c, module_sig_check(); crypto/asymmetric_keys/pkcs7_parser.c, pkcs7_verify.c and
pkcs7_trust.c.
"""

from collections.abc import Sequence
from errno import EBADMSG, EINVAL, EKEYREJECTED, EPERM  # type: ignore[attr-defined,unused-ignore]
from typing import NamedTuple

from kinspect.artifacts.crypto.pkcs7 import DATA, SignedMessage, message_in
from kinspect.artifacts.crypto.x509 import Certificate, certificate
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.schemas.module import PKCS7, SIGNATURE_MARKER, ModuleSignature
from kinspect.schemas.record import parse_table, size_of
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.verdict import Refusal, Result, Signer, Unknown
from kinspect.views.signing.verification import EXTRA, can_verify, issued, knows, verifies

_TRAILER = size_of(ModuleSignature)
_AUTHENTICODE = "1.3.6.1.4.1.311.2.1.4"
UNSIGNED, UNSUPPORTED, NO_KEY = "unsigned module", "module with unsupported crypto", "module with unavailable key"
"""The kernel's words for what it lets pass with a taint, unless signatures are enforced."""


class _Allowed(NamedTuple):
    """What is no valid signature, and no reason to refuse the module either."""

    reason: str


def signature(attempt: LoadInfo) -> Result:
    """The whole test."""
    kernel = attempt.kernel
    if not kernel.says("module verification failed: signature and/or required key missing"):
        attempt.signed = True  # a kernel that does not look at signatures does not miss them
        return None
    found: Result | _Allowed = _Allowed(UNSIGNED)
    if attempt.data.endswith(SIGNATURE_MARKER) and attempt.length > len(SIGNATURE_MARKER):
        attempt.length -= len(SIGNATURE_MARKER)
        found = _verified(attempt)
    if not isinstance(found, _Allowed):
        attempt.signed = found is None
        return found
    if kernel.enforced is None:
        return Unknown(f"{found.reason}: whether signatures are enforced is not in this file (--config, or a vmlinux)")
    if kernel.enforced:
        return Refusal(EKEYREJECTED, (f"Loading of {found.reason} is rejected",))
    if kernel.locked_down:
        return Refusal(EPERM, ("unsigned module loading is restricted; see man kernel_lockdown.7",))
    return None


def _verified(attempt: LoadInfo) -> Result | _Allowed:
    """Source: kernel/module/signing.c, mod_verify_sig(); kernel/module_signature.c, mod_check_sig()."""
    end = attempt.length
    if end <= _TRAILER:
        return Refusal(EBADMSG)
    info = parse_table(ModuleSignature, attempt.data[end - _TRAILER : end])[0]
    if info.sig_len >= end - _TRAILER:
        return Refusal(EBADMSG)
    if info.id_type != PKCS7:
        attempt.said.append("module: not signed with expected PKCS#7 message")
        return _Allowed(UNSUPPORTED)
    if any((info.algo, info.hash, info.signer_len, info.key_id_len, *info.padding)):
        return Refusal(EBADMSG, ("module: PKCS#7 signature info has unexpected non-zero params",))
    attempt.length -= info.sig_len + _TRAILER
    raw = attempt.data[attempt.length : end - _TRAILER]
    try:
        message = message_in(raw, Location("", "signature", attempt.length))
    except MalformedError:
        return Refusal(EBADMSG)
    except UnsupportedError as error:
        return Unknown(error.problem)
    refused = _parsed(message)
    return _with_key(attempt, message) if refused is None else refused


def _parsed(message: SignedMessage) -> Refusal | _Allowed | None:
    """What the kernel refuses of a message before it looks for the key."""
    first, second = message.signed.versions
    if first not in (1, 3):
        return Refusal(EINVAL, ("PKCS7: Unsupported SignedData version",))
    if message.content not in (DATA, _AUTHENTICODE):
        return Refusal(EINVAL)
    if second not in (1, 3):
        return Refusal(EINVAL, ("PKCS7: Unsupported SignerInfo version",))
    if (second == 1) != (first == 1):
        return Refusal(EBADMSG, ("PKCS7: SignedData-SignerInfo version mismatch",))
    if (second == 3) != (message.key_id is not None):
        return Refusal(EBADMSG)
    if "." in message.hash or "." in message.algorithm:
        return _Allowed(UNSUPPORTED)
    if message.signed.contents:
        return Refusal(EBADMSG, ("PKCS7: Data already supplied", "PKCS#7 signature with non-detached data"))
    if message.content != DATA:
        return Refusal(EKEYREJECTED, ("PKCS7: Invalid module sig (not pkcs7-data)",))
    if message.signed_attributes:
        return Refusal(EKEYREJECTED, ("PKCS7: Invalid module sig (has authattrs)",))
    return None


def _with_key(attempt: LoadInfo, message: SignedMessage) -> Result | _Allowed:
    signer = Signer(message.issuer_text, _key(message), f"{message.algorithm} {message.hash}", "")

    def told(verified: str) -> None:
        attempt.signer = signer._replace(verified=verified)

    if message.signed.signers > 1:
        told("not verified: several signers")
        return Unknown("the module is signed by several")
    if not knows(message.hash, message.algorithm):
        told(f"not verified: {signer.algorithm} is not supported here")
        return Unknown(f"a signature with {signer.algorithm} is not verified here")
    if not attempt.kernel.has_hash(message.hash):
        told(f"not verified: {message.hash} is not built into the kernel")
        return Unknown(f"{message.hash} is not built into the kernel: it may be in a module")
    trusted = attempt.kernel.certificates
    try:
        inside = [certificate(der, Location("", "certificate")) for der in message.signed.certificates]
    except MalformedError:
        told("not verified: broken certificate")
        return Unknown("a certificate in the signature cannot be read")
    own = _signer_in(inside, message)
    key = own or _signer_in(trusted, message)
    if key is None:
        told("the kernel does not have the key")
        return _Allowed(NO_KEY)
    if not can_verify():
        told(f"not verified: needs {EXTRA}")
        return Unknown(f"the signature is not verified: that needs {EXTRA}")
    data = memoryview(attempt.data)[: attempt.length]
    if not verifies(key, message.hash, message.algorithm, message.signature, data):
        told("does not match the module")
        return Refusal(EKEYREJECTED)
    if own and not _trusts(trusted, inside, own):
        told("right, but the kernel does not have the key")
        return _Allowed(NO_KEY)
    told(f"verified: {key.subject_text}")
    return None


def _key(message: SignedMessage) -> str:
    return message.key_id.hex() if message.key_id is not None else message.serial.hex()


def _signer_in(certificates: Sequence[Certificate], message: SignedMessage) -> Certificate | None:
    """The certificate that a message names: by issuer and serial number, or by the key's identifier."""
    wanted = message.signed.issuer, message.signed.serial
    for one in certificates:
        if one.key_id == message.key_id if message.key_id is not None else (one.issuer, one.serial) == wanted:
            return one
    return None


def _trusts(trusted: Sequence[Certificate], inside: Sequence[Certificate], signer: Certificate) -> bool:
    """Whether a certificate in a message is one that the kernel has, or is issued by one, perhaps over others there."""
    for _ in range(len(inside) + 1):
        if any((one.issuer, one.serial) == (signer.issuer, signer.serial) for one in trusted):
            return True
        if signer.self_issued:
            return False
        issuers = [one for one in trusted if one.subject == signer.issuer]
        if issuers:
            return any(issued(signer, one) for one in issuers)
        above = [one for one in inside if one.subject == signer.issuer]
        if not above or not issued(signer, above[0]):
            return False
        signer = above[0]
    return False
