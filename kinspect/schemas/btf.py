"""BTF: the types of a kernel. Source of all: include/uapi/linux/btf.h; Documentation/bpf/btf.rst.

The header is `kinspect.schemas.tables.BtfHeader`. Every type starts with BtfType; what follows depends on its kind.
"""

from typing import NamedTuple

from kinspect.schemas.record import S32, U32

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(12, 20)
KINDS = (
    "UNKN",
    "INT",
    "PTR",
    "ARRAY",
    "STRUCT",
    "UNION",
    "ENUM",
    "FWD",
    "TYPEDEF",
    "VOLATILE",
    "CONST",
    "RESTRICT",
    "FUNC",
    "FUNC_PROTO",
    "VAR",
    "DATASEC",
    "FLOAT",
    "DECL_TAG",
    "TYPE_TAG",
    "ENUM64",
)
"""The kinds of types: BTF_KIND_INT is number 1, and so on."""
MOST_TYPES = 0x000FFFFF
"""The kernel's limit, BTF_MAX_TYPE."""


class BtfType(NamedTuple):
    """struct btf_type: what every type starts with.

    `info`: bits 0 to 15 are vlen, the number of rows that follow; bits 24 to 28 the kind; bit 31 is kind_flag.
    `size_or_type`: the size in bytes, or the id of the type that it refers to.
    """

    name_off: U32
    info: U32
    size_or_type: U32


class BtfInt(NamedTuple):
    """The word of an INT. Bits 0 to 7 are the number of bits, 16 to 23 the offset, 24 to 27 the encoding."""

    encoding: U32


class BtfArray(NamedTuple):
    """struct btf_array."""

    type: U32
    index_type: U32
    nelems: U32


class BtfMember(NamedTuple):
    """struct btf_member.

    `offset` is in bits; with kind_flag, its bits 0 to 23 are, and bits 24 to 31 are the size of a bitfield.
    """

    name_off: U32
    type: U32
    offset: U32


class BtfEnum(NamedTuple):
    """struct btf_enum."""

    name_off: U32
    val: S32


class BtfEnum64(NamedTuple):
    """struct btf_enum64."""

    name_off: U32
    val_lo32: U32
    val_hi32: U32


class BtfParam(NamedTuple):
    """struct btf_param. The last is (0, 0) for a function that takes `...`."""

    name_off: U32
    type: U32


class BtfVar(NamedTuple):
    """struct btf_var."""

    linkage: U32


class BtfVarSecinfo(NamedTuple):
    """struct btf_var_secinfo: a variable in a DATASEC. Offset and size in bytes."""

    type: U32
    offset: U32
    size: U32


class BtfDeclTag(NamedTuple):
    """struct btf_decl_tag: -1 for the type itself, else the number of its member or parameter."""

    component_idx: S32


FOLLOWING: tuple[tuple[type[NamedTuple] | None, bool], ...] = (
    (None, False),
    (BtfInt, False),
    (None, False),
    (BtfArray, False),
    (BtfMember, True),
    (BtfMember, True),
    (BtfEnum, True),
    (None, False),
    (None, False),
    (None, False),
    (None, False),
    (None, False),
    (None, False),
    (BtfParam, True),
    (BtfVar, False),
    (BtfVarSecinfo, True),
    (None, False),
    (BtfDeclTag, False),
    (None, False),
    (BtfEnum64, True),
)
"""For each kind, the record that follows, and whether there are vlen of it (otherwise one)."""
