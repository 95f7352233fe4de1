"""Flattened device trees (.dtb, .dtbo, FIT images). All numbers are big-endian."""

from typing import NamedTuple

from kinspect.schemas.record import B32, B64

MAGIC = 0xD00DFEED
VERSION = 17
COMPATIBLE_VERSION = 16
"""The current version of the format, and the oldest one that it is compatible with."""

BEGIN_NODE = 1
END_NODE = 2
PROP = 3
NOP = 4
END = 9
"""Tokens of the structure block: a name follows BEGIN_NODE, a PropertyHeader and a value follow PROP."""


class FdtHeader(NamedTuple):
    """The 40 bytes that open a device tree; version 16 ends before the last field.

    Source: Devicetree Specification v0.4, 5.2 "Header".
    """

    magic: B32
    totalsize: B32
    off_dt_struct: B32
    off_dt_strings: B32
    off_mem_rsvmap: B32
    version: B32
    last_comp_version: B32
    boot_cpuid_phys: B32
    size_dt_strings: B32
    size_dt_struct: B32


class ReserveEntry(NamedTuple):
    """A range of memory that the kernel must not use; in the last entry address and size are 0.

    Source: Devicetree Specification v0.4, 5.3.2 "Format" of the memory reservation block.
    """

    address: B64
    size: B64

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.size


class PropertyHeader(NamedTuple):
    """What follows a PROP token: the size of the value after it, and the offset of its name in the strings block.

    Source: Devicetree Specification v0.4, 5.4.1 "Lexical structure".
    """

    len: B32
    nameoff: B32
