"""The hashes of the images in a FIT image.

Source: the Flat Image Tree specification; U-Boot, boot/image-fit.c.
"""

import binascii
import hashlib
import zlib
from collections.abc import Callable
from typing import Protocol

from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.dtb.fit import FitImage
from kinspect.errors import UnsupportedError

MOST_HASHED, MOST_TIMES = 4 << 30, 8
"""Limits of what is hashed of one FIT image: bytes in all, and how often its size."""
_STEP = 1 << 20


class _Sum(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Checksum:
    """A checksum with the interface of hashlib's digests."""

    def __init__(self, function: Callable[[bytes, int], int], size: int) -> None:
        self._function, self._size, self._value = function, size, 0

    def update(self, data: bytes) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


_SUMS: dict[str, Callable[[], _Sum]] = {
    "crc32": lambda: _Checksum(zlib.crc32, 4),
    "crc16-ccitt": lambda: _Checksum(binascii.crc_hqx, 2),
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}
"""The algorithms of hash nodes. Source: U-Boot, doc/usage/fit/source_file_format.rst, "Hash nodes"."""


def knows_hash(algorithm: str) -> bool:
    """Whether a hash of this algorithm can be checked."""
    return algorithm in _SUMS


def hash_of(dtb: Dtb, image: FitImage, algorithm: str) -> bytes:
    """A hash of an image's data. UnsupportedError for an unknown algorithm, TruncatedError when the data is cut."""
    if algorithm not in _SUMS:
        raise UnsupportedError(f"unknown hash algorithm {algorithm[:40]}", dtb.place(image.node))
    total = _SUMS[algorithm]()
    if image.data is not None:
        total.update(image.data)
    elif image.external:
        start, end = image.external.start, image.external.start + image.external.size
        for at in range(start, end, _STEP):
            total.update(dtb.source.read(at, min(_STEP, end - at), "image data"))
    return total.digest()
