"""Which members of a package are parts of a kernel build: the others are not unpacked."""

import re
from collections.abc import Callable

from kinspect.artifacts.build.tree import PLACES
from kinspect.artifacts.package.member import PackageMember

_BESIDE = ("usr/src/*/vmlinux", "lib/modules/*/modules.*", "usr/lib/modules/*/modules.*", "boot/*", "*")
"""Types for external modules, the files beside modules, and what loose files may be."""
_ELSEWHERE = (
    # Fedora; openSUSE; Arch Linux, whose folder `build` is no link; openSUSE's kernel.
    (r"usr/src/kernels/([^/]+)/Module\.symvers", r"usr/src/linux-headers-\1/Module.symvers"),
    (r"usr/src/linux-([^/]+)-obj/[^/]+/([^/]+)/Module\.symvers", r"usr/src/linux-headers-\1-\2/Module.symvers"),
    (r"(?:usr/)?lib/modules/([^/]+)/build/(Module\.symvers|vmlinux)", r"usr/src/linux-headers-\1/\2"),
    (r"(?:usr/)?lib/modules/([^/]+)/Image", r"boot/vmlinuz-\1"),
)
"""Where distributions have files that others have at a place of PLACES."""
_MODULE = r"(?:.*/)?[^/]+\.ko(?:\.gz|\.xz|\.zst)?"
_DEBUG = re.compile(r"(?:usr/)?lib/debug/")
"""Modules with debug information are not read, and are most of a debug package."""


def _pattern(place: str) -> str:
    """A place of PLACES as a regular expression."""
    return re.escape(place).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")


_USUAL = [_pattern(place) for places in (*PLACES.values(), _BESIDE) for place in places]
_PLACES = "|".join([*_USUAL, *(pattern for pattern, _ in _ELSEWHERE)])
_ANYWHERE = re.compile(rf"{_MODULE}|{_PLACES}")
_BELOW_A_FOLDER = re.compile(rf"[^/]+/(?:{_PLACES})")


def wanted_members(of_a_folder: bool) -> Callable[[PackageMember], bool]:
    """Whether a member is wanted, by its path. With `of_a_folder` all may lie below one folder, as in most archives."""

    def wanted(member: PackageMember) -> bool:
        path = member.path
        if member.kind == "folder" or (path.endswith(".ko") and _DEBUG.match(path)):
            return False
        return bool(_ANYWHERE.fullmatch(path) or (of_a_folder and _BELOW_A_FOLDER.fullmatch(path)))

    return wanted


def usual_place(path: str) -> str:
    """The place of PLACES for a file in a package, where its distribution has another; else its path."""
    for pattern, place in _ELSEWHERE:
        found = re.fullmatch(pattern, path)
        if found:
            return found.expand(place)
    return path
