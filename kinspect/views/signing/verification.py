"""Verification of signatures with the library `cryptography`, the extra `kinspect[verify]`.

Without the library, signatures are shown but not verified.
"""

import hashlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from kinspect.artifacts.crypto.x509 import Certificate

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

EXTRA = "kinspect[verify]"
_HASHES = {
    "md5": "MD5",
    "sha1": "SHA1",
    "sha224": "SHA224",
    "sha256": "SHA256",
    "sha384": "SHA384",
    "sha512": "SHA512",
    "sha3-224": "SHA3_224",
    "sha3-256": "SHA3_256",
    "sha3-384": "SHA3_384",
    "sha3-512": "SHA3_512",
}
"""The supported digests: the kernel's name of each, and the library's."""


@cache  # an import that fails searches every folder of sys.path again
def can_verify() -> bool:
    """Whether the library is installed."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        return False
    return True


def knows(hash_name: str, algorithm: str) -> bool:
    """Whether a signature with this digest and algorithm can be verified, given the library."""
    return hash_name in _HASHES and algorithm in ("RSA", "ECDSA")


def digest(hash_name: str, data: bytes | memoryview) -> bytes:
    """The digest of some bytes, by the kernel's name of the algorithm. ValueError for an unknown one."""
    return hashlib.new(hash_name.replace("-", "_"), data).digest()


def verifies(signer: Certificate, hash_name: str, algorithm: str, signature: bytes, data: bytes | memoryview) -> bool:
    """Whether a signature of some bytes verifies with a certificate's key. `can_verify` and `knows` must be true."""
    # The digest is computed here: the library would copy the data for it.
    return verifies_digest(signer, hash_name, algorithm, signature, digest(hash_name, data))


def verifies_digest(
    signer: Certificate, hash_name: str, algorithm: str, signature: bytes, hashed: bytes, pss: bool = False
) -> bool:
    """Whether a signature of a digest verifies with a certificate's key; `pss` is the padding of RSA."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

    try:
        key, method = _key(signer.public_key), _hash(hash_name)
        prehashed = utils.Prehashed(method)
        if isinstance(key, rsa.RSAPublicKey) and algorithm == "RSA":
            pads = padding.PSS(padding.MGF1(method), padding.PSS.AUTO) if pss else padding.PKCS1v15()
            key.verify(signature, hashed, pads, prehashed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm == "ECDSA":
            key.verify(signature, hashed, ec.ECDSA(prehashed))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def ecdsa_der(signature: bytes) -> bytes:
    """The two numbers of an ECDSA signature, one after the other, as the library takes them."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))


def verifies_with_modulus(modulus: int, exponent: int, hash_name: str, signature: bytes, data: bytes) -> bool:
    """Whether an RSA signature (PKCS #1 v1.5) of some bytes verifies with a key. `can_verify` must be true."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        key.verify(signature, data, padding.PKCS1v15(), _hash(hash_name))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def issued(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether a certificate is signed with the key of another."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        x509.load_der_x509_certificate(certificate.der).verify_directly_issued_by(
            x509.load_der_x509_certificate(issuer.der)
        )
    except (InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion, ValueError, TypeError):
        return False
    return True


@lru_cache(maxsize=64)  # a pure function: thousands of modules are signed with one key
def _key(der: bytes) -> Any:
    # x509 would do it as well, but takes a tenth of a second to import.
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return load_der_public_key(der)


@lru_cache(maxsize=16)  # a pure function too
def _hash(name: str) -> "HashAlgorithm":
    from cryptography.hazmat.primitives import hashes

    found: HashAlgorithm = getattr(hashes, _HASHES[name])()
    return found
