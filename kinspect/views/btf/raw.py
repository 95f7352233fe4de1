"""All types, as `bpftool btf dump file FILE format raw` prints them."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from kinspect.artifacts.btf.table import Btf
from kinspect.schemas import btf
from kinspect.schemas.btf import KINDS
from kinspect.views.btf.declarations import MEMBER, PARAM, enum_values

_ENCODINGS = {0: "(none)", 1: "SIGNED", 2: "CHAR", 4: "BOOL"}
_LINKAGES = ("static", "global", "extern")


def raw_lines(types: Btf) -> Iterator[str]:
    """A line for each type, and one for each of its rows. Raises as the table does."""
    for number in types.ids:
        kind, record = types.kind_of(number), types.record_of(number)
        count, flag = record.info & 0xFFFF, bool(record.info >> 31)
        found = RawType(types, number, types.rows_of(number), record.size_or_type, count, flag)
        tail, *rows = _LINES[kind](found)
        yield f"[{number}] {KINDS[kind]} '{_named(types, record.name_off)}' {tail}"
        yield from rows


class RawType(NamedTuple):
    """One type: its rows, its third word, the number of rows, kind_flag."""

    types: Btf
    id: int
    rows: list[int]
    last: int
    vlen: int
    flag: bool


def _named(types: Btf, offset: int) -> str:
    return types.text(offset) or "(anon)"


def _linkage(value: int) -> str:
    return _LINKAGES[value] if value < len(_LINKAGES) else "(unknown)"


def _integer(raw: RawType) -> Iterator[str]:
    word = raw.rows[0]
    encoding = _ENCODINGS.get(word >> 24 & 0xF, "UNKN")
    yield f"size={raw.last} bits_offset={word >> 16 & 0xFF} nr_bits={word & 0xFF} encoding={encoding}"


def _reference(raw: RawType) -> Iterator[str]:
    yield f"type_id={raw.last}"


def _array(raw: RawType) -> Iterator[str]:
    yield "type_id={} index_type_id={} nr_elems={}".format(*raw.rows)


def _composite(raw: RawType) -> Iterator[str]:
    yield f"size={raw.last} vlen={raw.vlen}"
    rows = raw.rows
    for name, member, offset in zip(rows[::MEMBER], rows[1::MEMBER], rows[2::MEMBER], strict=True):
        bits, size = (offset & 0xFFFFFF, offset >> 24) if raw.flag else (offset, 0)
        bitfield = f" bitfield_size={size}" if size else ""
        yield f"\t'{_named(raw.types, name)}' type_id={member} bits_offset={bits}{bitfield}"


def _enum(raw: RawType) -> Iterator[str]:
    yield f"encoding={'SIGNED' if raw.flag else 'UNSIGNED'} size={raw.last} vlen={raw.vlen}"
    suffix = "ULL" if raw.types.kind_of(raw.id) == btf.ENUM64 and not raw.flag else ""
    for name, value in enum_values(raw.types, raw.id):
        yield f"\t'{name or '(anon)'}' val={value}{suffix}"


def _forward(raw: RawType) -> Iterator[str]:
    yield f"fwd_kind={'union' if raw.flag else 'struct'}"


def _function(raw: RawType) -> Iterator[str]:
    yield f"type_id={raw.last} linkage={_linkage(raw.vlen)}"


def _prototype(raw: RawType) -> Iterator[str]:
    yield f"ret_type_id={raw.last} vlen={raw.vlen}"
    for name, parameter in zip(raw.rows[::PARAM], raw.rows[1::PARAM], strict=True):
        yield f"\t'{_named(raw.types, name)}' type_id={parameter}"


def _variable(raw: RawType) -> Iterator[str]:
    yield f"type_id={raw.last}, linkage={_linkage(raw.rows[0])}"


def _section(raw: RawType) -> Iterator[str]:
    yield f"size={raw.last} vlen={raw.vlen}"
    types = raw.types
    for number, offset, size in zip(raw.rows[::3], raw.rows[1::3], raw.rows[2::3], strict=True):
        kind = KINDS[types.kind_of(number)]
        yield f"\ttype_id={number} offset={offset} size={size} ({kind} '{types.name_of(number)}')"


def _float(raw: RawType) -> Iterator[str]:
    yield f"size={raw.last}"


def _tag(raw: RawType) -> Iterator[str]:
    component = raw.rows[0] - (1 << 32) if raw.rows[0] >> 31 else raw.rows[0]
    yield f"type_id={raw.last} component_idx={component}"


_LINES: dict[int, Callable[[RawType], Iterator[str]]] = {
    btf.INT: _integer,
    btf.ARRAY: _array,
    btf.STRUCT: _composite,
    btf.UNION: _composite,
    btf.ENUM: _enum,
    btf.ENUM64: _enum,
    btf.FWD: _forward,
    btf.FUNC: _function,
    btf.FUNC_PROTO: _prototype,
    btf.VAR: _variable,
    btf.DATASEC: _section,
    btf.FLOAT: _float,
    btf.DECL_TAG: _tag,
    **dict.fromkeys((btf.PTR, btf.CONST, btf.VOLATILE, btf.RESTRICT, btf.TYPEDEF, btf.TYPE_TAG), _reference),
}
