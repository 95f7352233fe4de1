"""What a package says of itself: its name, version and architecture."""

from typing import NamedTuple


class Description(NamedTuple):
    """Each is empty when the package does not say it. `architecture` is the distribution's word: arm64 or aarch64."""

    name: str = ""
    version: str = ""
    architecture: str = ""


def described_by_control(text: bytes) -> Description:
    """What a Debian control file says. Source: deb-control(5)."""
    return _described(text, b":", b"Package", b"Version", b"Architecture")


def described_by_pkginfo(text: bytes) -> Description:
    """What the .PKGINFO of a pacman package or an apk says."""
    return _described(text, b"=", b"pkgname", b"pkgver", b"arch")


def _described(text: bytes, separator: bytes, *names: bytes) -> Description:
    found: dict[bytes, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(separator)
        # A line that begins with a blank goes on with the field before it.
        found.setdefault(name.rstrip(), value.strip().decode("utf-8", "replace"))
    return Description(*(found.get(name, "") for name in names))
