"""How much of a file is read at most."""

HEAD = 4096
"""Bytes at the start of a file from which its kind is recognised."""
LARGEST_KERNEL = 1 << 30
"""Bytes of a kernel that are searched or compared. No kernel is larger, but a sparse file may be."""
_ALWAYS_UNPACKED = 64 << 20
_HIGHEST_RATIO = 256
"""A kernel is compressed to a tenth; a file that unpacks to much more is a bomb."""


def unpacked_limit(packed: int, most: int) -> int:
    """The bytes to which a stream of `packed` bytes may unpack, at most `most`."""
    return min(most, _ALWAYS_UNPACKED + _HIGHEST_RATIO * packed)
