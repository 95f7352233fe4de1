"""The binary indexes of kmod (modules.*.bin). All numbers are big-endian."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import Raw

MAGIC = 0xB007F457
VERSION = 0x00020001
MAJOR = VERSION >> 16

NODE_PREFIX = 0x80000000
NODE_VALUES = 0x40000000
NODE_CHILDS = 0x20000000
NODE_MASK = 0x0FFFFFFF
"""The offset of a node takes 28 bits; the flags above them say which parts the node has."""
CHILDMAX = 128
"""Keys are ASCII: a node has at most this many children."""


class KmodIndexHeader(NamedTuple):
    """The first 12 bytes of an index; nodes follow.

    A node is [prefix, NUL] [first: u8, last: u8, children: u32 each] [count: u32, (priority: u32, value, NUL) each].
    Source: kmod, libkmod/libkmod-index.c, "Disk format".
    """

    magic_bytes: Annotated[bytes, Raw(4)]
    version_bytes: Annotated[bytes, Raw(4)]
    root_bytes: Annotated[bytes, Raw(4)]

    @property
    def magic(self) -> int:
        """0xB007F457, which spells "BOOTFAST"."""
        return int.from_bytes(self.magic_bytes, "big")

    @property
    def version(self) -> int:
        """The major version of the format in the upper half, the minor version in the lower half."""
        return int.from_bytes(self.version_bytes, "big")

    @property
    def root(self) -> int:
        """The offset of the root node, with its flags."""
        return int.from_bytes(self.root_bytes, "big")
