"""A tree of sizes: the result of grouping a kernel's bytes."""

from typing import NamedTuple


class SizeNode(NamedTuple):
    """A group of bytes and the groups inside it, which sum to it. Sizes in bytes.

    `file` counts bytes in the Image, `memory` bytes of the running kernel. When two builds are compared, `file_before`
    and `memory_before` are the sizes in the old one; otherwise both are 0.
    """

    name: str
    file: int
    memory: int
    file_before: int = 0
    memory_before: int = 0
    children: tuple["SizeNode", ...] = ()
