"""The members of a package, and the limits of what is read of one."""

import os
import re
from collections.abc import Callable
from typing import NamedTuple

from kinspect.errors import Location, MalformedError, UnsupportedError

MOST_MEMBERS = 500_000
LONGEST_NAME = 4096
MOST_PARTS = 100
"""Folders above a member: no kernel nests a tenth of that."""
LARGEST_MEMBER = 4 << 30
LARGEST_PACKAGE = 16 << 30
"""Bytes of all members, unpacked. The debug package of a distribution holds 6 GB."""
_LONGEST_PART = 255
_ROUNDABOUT = re.compile(rb"(?s)\A\.?/|//|/\.?\Z|/\./|\.\.|\A\.?\Z|\0")
"""What a name has that is not in its shortest form."""


class PackageMember(NamedTuple):
    """A member of a package. `size` in bytes, `modified` in seconds since 1970.

    `path` is relative, without `./`, `/` or `//`; `kind` is "file", "folder", "symlink", "hardlink" or "other", which
    is a device, a FIFO or a socket. `target` is that of a symbolic link as it is stored, or the path of the member that
    a hard link is another name of.
    """

    path: str
    kind: str
    size: int
    mode: int
    target: str = ""
    modified: int = 0


class PackageEntry(NamedTuple):
    """A member and how its data are stored.

    `stored` is the size in the archive. `extents` are offset and size of the parts of a sparse file that are stored.
    `group` is what the hard links of a cpio archive share: one of them has the data.
    """

    member: PackageMember
    stored: int
    extents: tuple[tuple[int, int], ...] | None = None
    group: tuple[int, int] | None = None


def member_path(name: bytes, place: Callable[[int], Location], at: int) -> str:
    """A name as a relative path in its shortest form; empty for the folder that everything is unpacked to.

    Errors are at `place(at)`: MalformedError for `..`, which would lead out of that folder; UnsupportedError for names
    that are too long.
    """
    if len(name) > LONGEST_NAME or name.count(b"/") > MOST_PARTS:
        expected = f"at most {LONGEST_NAME:,} bytes and {MOST_PARTS} folders"
        raise UnsupportedError(
            "the name of a member is too long", place(at), expected=expected, actual=f"{len(name):,} bytes"
        )
    if _ROUNDABOUT.search(name):
        if b"\0" in name:
            raise MalformedError("the name of a member has a NUL", place(at))
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise MalformedError(
                "a member would be outside the package",
                place(at),
                expected="no `..` in its name",
                actual=os.fsdecode(name),
            )
        name = b"/".join(parts)
    if len(name) > _LONGEST_PART and max(map(len, name.split(b"/"))) > _LONGEST_PART:
        expected = f"at most {_LONGEST_PART} bytes between slashes"
        raise UnsupportedError("the name of a member is too long", place(at), expected=expected)
    return os.fsdecode(name)
