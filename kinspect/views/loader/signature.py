"""The kernel's first test: the signature appended to a module, against the certificates that the kernel trusts.

Source: kernel/module/signing.c, module_sig_check(); crypto/asymmetric_keys/pkcs7_parser.c, pkcs7_verify.c and
pkcs7_trust.c.
"""

from collections.abc import Callable, Sequence
from errno import EBADMSG, EKEYREJECTED, EMSGSIZE, ENOPKG, EPERM  # type: ignore[attr-defined,unused-ignore]
from typing import NamedTuple

from kinspect.artifacts.crypto.pkcs7 import DATA, SignedMessage
from kinspect.artifacts.crypto.x509 import Certificate, certificate
from kinspect.errors import Location, MalformedError
from kinspect.schemas.module import PKCS7, SIGNATURE_MARKER, ModuleSignature
from kinspect.schemas.record import parse_table, size_of
from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.verdict import Refusal, Result, Signer, Unknown
from kinspect.views.signing.kernel_decoder import IndefiniteError
from kinspect.views.signing.kernel_parser import parsed_by_kernel
from kinspect.views.signing.verification import EXTRA, can_verify, issued, knows, verifies

_TRAILER = size_of(ModuleSignature)
_LARGEST_MESSAGE = 65535
"""Source: lib/asn1_decoder.c."""
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
        return Unknown(f"{found.reason}: not known whether signatures are enforced (pass --config or a vmlinux)")
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
    message = _alike(info.kernel, raw) or _sound(info, raw)
    return _with_key(info, message) if isinstance(message, SignedMessage) else message


def _sound(info: LoadInfo, raw: bytes) -> SignedMessage | Refusal | Unknown | _Unverified:
    """The message when it passes all tests before the search for its key."""
    try:
        parsed = parsed_by_kernel(info.kernel.oids, raw)
    except IndefiniteError:
        return Unknown("the signature has indefinite lengths")
    info.logged += parsed.lines
    if parsed.message is None:
        return _Unverified(UNSUPPORTED) if parsed.errno == ENOPKG else Refusal(parsed.errno)
    message = parsed.message
    refused = _parsed(message)
    if refused is not None:
        return refused
    start = len(raw) - len(message.signature)
    if message.signature and message.size == len(raw) and raw.find(message.signature) == start and not parsed.lines:
        info.kernel.keep_message(message, raw[:start])
    return message


def _alike(kernel: TargetKernel, raw: bytes) -> SignedMessage | None:
    """The message, when it differs from a sound one before it in the signature at its end alone."""
    before, message = kernel.messages.get(len(raw), (b"", None))
    if message is None or not raw.startswith(before):
        return None
    return message._replace(signature=raw[len(before) :])


def _parsed(message: SignedMessage) -> Refusal | None:
    """The tests of a message that come before the search for its key."""
    if (message.signed.versions[1] == 3) != (message.key_id is not None):
        return Refusal(EBADMSG)
    if message.signed.contents:
        return Refusal(EBADMSG, ("PKCS7: Data already supplied", "PKCS#7 signature with non-detached data"))
    if message.content != DATA:
        return Refusal(EKEYREJECTED, ("PKCS7: Invalid module sig (not pkcs7-data)",))
    if message.signed_attributes:
        return Refusal(EKEYREJECTED, ("PKCS7: Invalid module sig (has authattrs)",))
    return None


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
