"""The object identifiers that a kernel knows, and how it names others in its log.

Source: lib/oid_registry.c; lib/build_OID_registry, which writes the tables.
"""

import struct
from itertools import pairwise

_FIRST = bytes.fromhex("2a8648ce2e0403 2a8648ce380401 2a8648ce3d0201")
"""The first three: id_dsa_with_sha1, id_dsa and id_ecPublicKey."""
_INDEX = struct.pack("<4H", 0, 7, 14, 21)
_MOST, _LONGEST = 1024, 32


def kernel_oids(kernel: bytes) -> tuple[bytes, ...]:
    """The identifiers in DER, in the order of their numbers; empty when the tables are not found."""
    start, index = kernel.find(_FIRST), kernel.find(_INDEX)
    if start < 0:
        return ()
    while index >= 0:
        ends = struct.unpack_from(f"<{min(_MOST, (len(kernel) - index) // 2)}H", kernel, index)
        gaps = (other - one for one, other in pairwise(ends))
        count = next((at for at, gap in enumerate(gaps, start=1) if not 0 < gap <= _LONGEST), len(ends))
        if count > len(_INDEX):
            return tuple(kernel[start + one : start + other] for one, other in pairwise(ends[:count]))
        index = kernel.find(_INDEX, index + 1)
    return ()


def dotted(oid: bytes) -> str:
    """An identifier as the kernel writes it. Source: lib/oid_registry.c, sprint_oid()."""
    if not oid:
        return ""
    parts, number = [oid[0] // 40, oid[0] % 40], 0
    for byte in oid[1:]:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            parts.append(number)
            number = 0
    return ".".join(map(str, parts))
