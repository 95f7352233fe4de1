"""Which members of a package are parts of a kernel build: the others are not unpacked."""

import re
from collections.abc import Callable

from kinspect.artifacts.build.tree import PLACES
from kinspect.artifacts.package.member import PackageMember

_MORE_PLACES = (
    # What distributions have beside those: Module.symvers and types for external modules, and what loose files may be.
    "usr/src/kernels/*/Module.symvers",
    "usr/src/*/vmlinux",
    "lib/modules/*/build/Module.symvers",
    "lib/modules/*/modules.*",
    "usr/lib/modules/*/modules.*",
    "boot/*",
    "*",
)
_MODULE = r"(?:.*/)?[^/]+\.ko(?:\.gz|\.xz|\.zst)?"
_DEBUG = re.compile(r"(?:usr/)?lib/debug/")
"""Modules with debug information are not read, and are most of a debug package."""


def _pattern(place: str) -> str:
    """A place of PLACES as a regular expression."""
    return re.escape(place).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")


_PLACES = "|".join(_pattern(place) for places in (*PLACES.values(), _MORE_PLACES) for place in places)
_ANYWHERE = re.compile(rf"{_MODULE}|{_PLACES}")
_BELOW_A_FOLDER = re.compile(rf"[^/]+/(?:{_PLACES})")


def wanted_members(of_a_folder: bool) -> Callable[[PackageMember], bool]:
    """Whether a member is wanted, by its path. With `of_a_folder` all may lie below one folder, as in most archives."""

    def wanted(member: PackageMember) -> bool:
        path = member.path
        if member.kind == "folder":
            return False
        if path.endswith(".ko") and _DEBUG.match(path):
            return False
        return bool(_ANYWHERE.fullmatch(path) or (of_a_folder and _BELOW_A_FOLDER.fullmatch(path)))

    return wanted
