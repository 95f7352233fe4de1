"""A tree of sizes: what every grouping of a kernel's bytes gives, and every report of it takes."""

from typing import NamedTuple


class SizeNode(NamedTuple):
    """A group of bytes and the groups in it, whose sums are its own. Sizes in bytes.

    `file` lies in the Image, `memory` is what the running kernel has of it. Where two builds are compared,
    `file_before` and `memory_before` are those of the old one; else both are 0.
    """

    name: str
    file: int
    memory: int
    file_before: int = 0
    memory_before: int = 0
    children: tuple["SizeNode", ...] = ()
