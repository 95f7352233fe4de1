"""Flattened device trees (.dtb, .dtbo, FIT images). Their numbers are big-endian."""

from typing import NamedTuple

from kinspect.schemas.record import B32, B64

MAGIC = 0xD00DFEED
VERSION = 17
COMPATIBLE_VERSION = 16
"""The version of today, and the oldest one whose readers can read it."""

BEGIN_NODE = 1
END_NODE = 2
PROP = 3
NOP = 4
END = 9
"""The tokens of the structure block: a name follows the first, a PropertyHeader and a value the third."""


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
    """Memory that the kernel must not take; address and size of the last one are 0.

    Source: Devicetree Specification v0.4, 5.3.2 "Format" of the memory reservation block.
    """

    address: B64
    size: B64

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.size


class PropertyHeader(NamedTuple):
    """What follows a PROP token: the size of the value behind it, and where in the strings block its name is.

    Source: Devicetree Specification v0.4, 5.4.1 "Lexical structure".
    """

    len: B32
    nameoff: B32
