"""The size of a struct, from the type information (BTF) in a kernel. Source: include/uapi/linux/btf.h."""

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.schemas.btf import STRUCT
from kinspect.schemas.record import parse_table, size_of
from kinspect.schemas.tables import BTF_MAGIC, BtfHeader
from kinspect.views.btf.kernel import types_place

_MEMBERS = range(11, 300)
_LARGEST, _CACHE_LINE = 1 << 14, 64
"""Limits of a large struct that is aligned to a cache line; sizes in bytes."""


def struct_size(kernel: Image | Vmlinux, name: bytes) -> int | None:
    """The size in bytes of a large, aligned struct; None without BTF, or when several of that name differ."""
    place = types_place(kernel)
    data = kernel.source.read(*place, ".BTF") if place else b""
    if len(data) < size_of(BtfHeader):
        return None
    header = parse_table(BtfHeader, data[: size_of(BtfHeader)])[0]
    strings = data[header.hdr_len + header.str_off :][: header.str_len]
    found = strings.find(b"\0" + name + b"\0")
    if header.magic != BTF_MAGIC or found < 0:
        return None
    types = data[header.hdr_len + header.type_off :][: header.type_len & ~3]
    name_off = (found + 1).to_bytes(4, "little")
    sizes = set()
    at = types.find(name_off)
    # Rows of the table vary in size, and to walk them takes longer than to search: other words may equal the name's
    # offset, but then what follows them does not look like a large struct.
    while at >= 0:
        # struct btf_type: name_off, info (the number of members in bits 0 to 15, the kind in bits 24 to 28), size.
        info, size = (int.from_bytes(types[at + field : at + field + 4], "little") for field in (4, 8))
        struct = info >> 24 & 0x1F == STRUCT and info & 0xFFFF in _MEMBERS
        if at % 4 == 0 and struct and size % _CACHE_LINE == 0 and size < _LARGEST:
            sizes.add(size)
        at = types.find(name_off, at + 1)
    return sizes.pop() if len(sizes) == 1 else None
