"""The binary indexes of kmod (modules.*.bin). Their numbers are big-endian, alone among what kinspect reads."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import Raw

MAGIC = 0xB007F457
VERSION = 0x00020001
MAJOR = VERSION >> 16

NODE_PREFIX = 0x80000000
NODE_VALUES = 0x40000000
NODE_CHILDS = 0x20000000
NODE_MASK = 0x0FFFFFFF
"""A place in the file is 28 bits; the flags above say which parts the node there has."""
CHILDMAX = 128
"""Keys are ASCII: a node has at most this many children."""


class KmodIndexHeader(NamedTuple):
    """The 12 bytes that open an index; nodes follow.

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
        """The format's major number in the high half, the minor one in the low half."""
        return int.from_bytes(self.version_bytes, "big")

    @property
    def root(self) -> int:
        """Where the first node is, with its flags."""
        return int.from_bytes(self.root_bytes, "big")
