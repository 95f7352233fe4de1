"""How much of a file is read at most."""

import re

from kinspect.errors import Location, MalformedError

HEAD = 4096
"""Bytes at the start of a file from which its kind is recognised."""
LARGEST_KERNEL = 1 << 30
"""Bytes of a kernel that are searched or compared. No kernel is larger, but a sparse file may be."""
LARGEST_LIMIT = 1 << 40
_ALWAYS_UNPACKED = 64 << 20
_HIGHEST_RATIO = 256
"""A kernel is compressed to a tenth; a file that unpacks to much more is a bomb."""
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d{1,15}) ?([KMG]?)(?:iB|B)?")
_given: int | None = None
"""What the user set with --limit, for the whole run: it is the process that has the memory."""


def set_limit(text: str | None) -> None:
    """Set what a file may unpack to, and the memory that a stream may need, such as `2GiB`; None for the defaults.

    MalformedError when the text is no size.
    """
    global _given  # noqa: PLW0603  one process has one limit, as with ulimit
    found = _SIZE.fullmatch(text) if text is not None else None
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if text is not None and not 0 < size <= LARGEST_LIMIT:
        raise MalformedError("not a size", Location("--limit"), expected="bytes, or a size such as 2GiB", actual=text)
    _given = size or None


def unpacked_limit(packed: int, most: int) -> int:
    """The bytes to which a stream of `packed` bytes may unpack: at most `most`, unless the user set a limit."""
    return min(most, _ALWAYS_UNPACKED + _HIGHEST_RATIO * packed) if _given is None else _given


def memory_limit(most: int) -> int:
    """The memory in bytes that a stream may need to be unpacked: `most`, unless the user set a limit."""
    return most if _given is None else _given
