"""The signature appended to a module: a PKCS#7 message, then a trailer of 12 bytes, then a marker.

Source: include/linux/module_signature.h; kernel/module/signing.c, module_sig_check().
"""

import re
from typing import NamedTuple

from kinspect.artifacts.crypto.pkcs7 import SignedMessage, message_in
from kinspect.errors import Location, MalformedError
from kinspect.schemas.module import PKCS7, SIGNATURE_MARKER, ModuleSignature
from kinspect.schemas.record import offsets, parse_table, size_of

OLD_ALGORITHMS = ("DSA", "RSA")
OLD_HASHES = ("md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224", "sm3")
ID_TYPES = ("PGP", "X509", "PKCS#7")
"""The names of the numbers in the trailer. Kernels up to 4.2 also wrote the first two."""
_MESSAGE = re.compile(rb"\x30[\x80-\x84].{0,4}?\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", re.DOTALL)
"""How a PKCS#7 message of signed data begins."""


class AppendedSignature(NamedTuple):
    """The signature appended to a module. `offset` is that of `data` in the decompressed file, in bytes."""

    info: ModuleSignature
    offset: int
    data: bytes


class Trailer(NamedTuple):
    """The 12 bytes before the marker, unchecked. Offsets are in the decompressed file; `start` may be negative."""

    info: ModuleSignature
    offset: int

    @property
    def start(self) -> int:
        """The offset of the signature according to the trailer."""
        return self.offset - self.info.sig_len

    @property
    def sound(self) -> bool:
        """Whether the kernel accepts it: a PKCS#7 message inside the file, all other fields zero."""
        return 0 < self.info.sig_len <= self.offset and self.info.id_type == PKCS7 and not self.nonzero

    @property
    def nonzero(self) -> tuple[str, ...]:
        """The fields that are not zero but must be for a PKCS#7 signature."""
        fields = self.info._asdict().items()
        return tuple(
            name for name, value in fields if name not in ("id_type", "sig_len_bytes") and value not in (0, bytes(3))
        )


def trailer_in(data: bytes, path: str) -> Trailer | None:
    """The trailer of a signed module; None for an unsigned one. MalformedError for a marker without a trailer."""
    if not data.endswith(SIGNATURE_MARKER):
        return None
    end = len(data) - len(SIGNATURE_MARKER)
    offset = end - size_of(ModuleSignature)
    if offset < 0:
        raise MalformedError("signature marker without a trailer", Location(path, "signature", 0))
    return Trailer(parse_table(ModuleSignature, data[offset:end])[0], offset)


def is_rest_of_signature(data: bytes) -> bool:
    """Whether bytes after the ELF contents of an unsigned module are what is left of a signature."""
    return _MESSAGE.match(data) is not None or SIGNATURE_MARKER[:-1] in data[-2 * len(SIGNATURE_MARKER) :]


def appended_signature(data: bytes, trailer: Trailer, path: str) -> AppendedSignature:
    """The signature before a trailer. MalformedError when its size is larger than the file."""
    if trailer.start < 0:
        at = Location(path, "sig_len", trailer.offset + offsets(ModuleSignature)["sig_len_bytes"])
        expected = f"at most {trailer.offset:,}"
        raise MalformedError(
            "the signature is longer than the file", at, expected=expected, actual=trailer.info.sig_len
        )
    return AppendedSignature(trailer.info, trailer.start, data[trailer.start : trailer.offset])


def signed_message(data: bytes, trailer: Trailer, path: str) -> SignedMessage:
    """The PKCS#7 message before a trailer. Raises as `appended_signature` and `message_in` do."""
    found = appended_signature(data, trailer, path)
    return message_in(found.data, Location(path, "signature", found.offset))


def old_names(data: bytes, trailer: Trailer) -> tuple[bytes, bytes]:
    """Signer and key ID of a signature without PKCS#7 (up to 4.2), which precede it; the trailer has their sizes."""
    key = max(0, trailer.start - trailer.info.key_id_len)
    signer = max(0, key - trailer.info.signer_len)
    return data[signer:key], data[key : max(0, trailer.start)]
