"""The formats of packages, recognised by their first bytes."""

from collections.abc import Mapping

from kinspect.artifacts.compression.magics import compression_of
from kinspect.artifacts.compression.streams import COMPRESSIONS, pieces
from kinspect.artifacts.package.tar.numbers import sum_is_right
from kinspect.errors import KinspectError
from kinspect.schemas.package import rpm
from kinspect.schemas.package.tar import BLOCK, TarHeader
from kinspect.schemas.record import parse_table
from kinspect.source import Source

DEB, RPM, PACMAN, APK, APK_V3, TAR = "deb", "rpm", "pacman package", "apk", "apk v3", "tar"
_MAGICS = ((b"!<arch>\ndebian-binary", DEB), (rpm.MAGIC, RPM), (b"ADBd", APK_V3), (b"ADB.", APK_V3), (b"ADBc", APK_V3))
_ENOUGH: Mapping[str, int] = {"zstd": 192 << 10, "bzip2": 1 << 20, "lz4": 9 << 20}
"""Bytes that a compressor may need for its first block, which others do not have."""
_USUAL = 64 << 10
_APK_NAMES, _PACMAN_NAMES = (
    (b".SIGN.", b".PKGINFO"),
    (b".BUILDINFO", b".MTREE", b".PKGINFO", b".INSTALL", b".CHANGELOG"),
)


def package_format(beginning: bytes) -> str | None:
    """The format of a package that starts with `beginning`, or None for other files.

    "deb", "rpm", "pacman package", "apk", "apk v3" (which is not read) or "tar", compressed or not. Some compressors
    work in blocks of megabytes: `format_of` reads as much as it takes.
    """
    found = next((name for magic, name in _MAGICS if beginning.startswith(magic)), None)
    if found:
        return found
    compression = compression_of(beginning[:16])
    if not compression:
        return _tar_format(beginning[:BLOCK], "")
    return _tar_format(_unpacked(beginning, compression), compression) if compression in COMPRESSIONS else None


def format_of(source: Source) -> str | None:
    """The format of a package; None for other files. Raises UnreadableError."""
    return package_format(source.head(_ENOUGH.get(compression_of(source.head(16)), _USUAL)))


def _unpacked(beginning: bytes, compression: str) -> bytes:
    """The first block in a compressed stream; less when it is broken, or not whole."""
    found = b""
    try:
        for piece, _ in pieces(Source("", beginning), 0, len(beginning), compression):
            found += piece[:BLOCK]
            if len(found) >= BLOCK:
                break
    except KinspectError:
        pass  # it is cut off, or not a package
    return found[:BLOCK]


def _tar_format(block: bytes, compression: str) -> str | None:
    if not is_tar_header(block):
        return None
    name = block.split(b"\0", 1)[0].removeprefix(b"./")
    if compression == "gzip" and name.startswith(_APK_NAMES):
        return APK
    return PACMAN if name in _PACMAN_NAMES else TAR


def is_tar_header(block: bytes) -> bool:
    """Whether a block is the header of a member: its checksum is right."""
    if len(block) < BLOCK or not block[0]:
        return False
    try:
        return sum_is_right(block, parse_table(TarHeader, block)[0].chksum)
    except ValueError:
        return False
