"""Records: bytes with names.

A record is a NamedTuple whose annotations are its layout. From that one declaration come the Construct Struct
that decodes and builds it, the `struct.Struct` that decodes whole tables at C speed, and the offsets of its fields:

    class Crc(NamedTuple):
        crc: U32

    parse(Crc, data)          one record of fixed or varying size (Construct)
    build(record)             its bytes (Construct)
    parse_table(Crc, data)    rows of fixed size (struct)
    column(Crc, "crc", data)  one field of every row, as plain numbers

Numbers are little-endian, as in every header and table of an arm64 kernel; those of a device tree are big-endian. No
record mixes both. A record of varying size cannot be decoded as a table: that is a TypeError, never a slow fallback.
"""

import struct
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, cast

R = TypeVar("R", bound=NamedTuple)


class Scalar(NamedTuple):
    """A number: its code in struct, its name in Construct, and its byte order in struct's notation."""

    code: str
    construct: str
    order: str = "<"


class Raw(NamedTuple):
    """A fixed number of bytes."""

    size: int


class Sized(NamedTuple):
    """As many bytes as an earlier field says (minus `without`), padded with zeros to `alignment`."""

    field: str
    alignment: int = 1
    without: int = 0


Field = Scalar | Raw | Sized

U8 = Annotated[int, Scalar("B", "Int8ul")]
U16 = Annotated[int, Scalar("H", "Int16ul")]
U32 = Annotated[int, Scalar("I", "Int32ul")]
U64 = Annotated[int, Scalar("Q", "Int64ul")]
S8 = Annotated[int, Scalar("b", "Int8sl")]
S16 = Annotated[int, Scalar("h", "Int16sl")]
S32 = Annotated[int, Scalar("i", "Int32sl")]
S64 = Annotated[int, Scalar("q", "Int64sl")]
B16 = Annotated[int, Scalar("H", "Int16ub", ">")]
B32 = Annotated[int, Scalar("I", "Int32ub", ">")]
B64 = Annotated[int, Scalar("Q", "Int64ub", ">")]
"""Big-endian, unsigned."""


@cache
def layout(record: type[NamedTuple]) -> dict[str, Field]:
    """The fields of a record, in order."""
    return {name: record.__annotations__[name].__metadata__[0] for name in record._fields}


@cache
def table_row(record: type[NamedTuple]) -> struct.Struct:
    """The struct that decodes one row. TypeError when the record varies in size."""
    codes = []
    for name, field in layout(record).items():
        if isinstance(field, Sized):
            raise TypeError(f"{record.__name__}.{name} varies in size: it cannot be decoded as a table")
        codes.append(field.code if isinstance(field, Scalar) else f"{field.size}s")
    return struct.Struct(_order(record) + "".join(codes))


def _order(record: type[NamedTuple]) -> str:
    """The byte order of a record's numbers, in struct's notation; single bytes have none."""
    scalars = (field for field in layout(record).values() if isinstance(field, Scalar))
    orders = {field.order for field in scalars if field.code not in "bB"} or {"<"}
    if len(orders) > 1:
        raise TypeError(f"{record.__name__} mixes byte orders")
    return orders.pop()


@cache
def size_of(record: type[NamedTuple]) -> int:
    """The size of a record in bytes. TypeError when it varies."""
    return table_row(record).size


@cache
def offsets(record: type[NamedTuple]) -> dict[str, int]:
    """The offset of each field in bytes, up to and including the first that varies in size."""
    found, offset = {}, 0
    for name, field in layout(record).items():
        found[name] = offset
        if isinstance(field, Sized):
            break
        offset += struct.calcsize("<" + field.code) if isinstance(field, Scalar) else field.size
    return found


def parse_table(record: type[R], data: bytes | bytearray | memoryview) -> list[R]:
    """Every row of a table. ValueError when `data` is not a whole number of rows."""
    row = table_row(record)
    if len(data) % row.size:
        raise ValueError(f"{len(data)} bytes are not a whole number of {record.__name__} rows of {row.size} bytes")
    return list(map(record._make, row.iter_unpack(data)))


def column(record: type[NamedTuple], field: str, data: bytes | bytearray | memoryview) -> Sequence[int]:
    """One numeric field of every row: a view into `data` where the alignment allows it, else a list."""
    code, start, step = _stride(record, field)
    if step:
        return memoryview(data).cast("B").cast(cast(Any, code))[start::step]
    index = record._fields.index(field)
    return [values[index] for values in table_row(record).iter_unpack(data)]


def packed_column(record: type[NamedTuple], field: str, data: bytes) -> Sequence[int]:
    """One numeric field of every row as a view of its own, without gaps: a tenth of the memory of a list of numbers."""
    code, start, size = cast(Scalar, layout(record)[field]).code, offsets(record)[field], size_of(record)
    width = struct.calcsize("<" + code)
    if not data:
        return ()
    own = "<" if sys.byteorder == "little" else ">"
    packed = bytearray(len(data) // size * width)
    # Byte by byte of the number, for all rows at once.
    for byte in range(width):
        packed[byte if _order(record) == own else width - 1 - byte :: width] = data[start + byte :: size]
    return memoryview(packed).toreadonly().cast(cast(Any, code))


@cache
def _stride(record: type[NamedTuple], field: str) -> tuple[str, int, int]:
    """A field's code, its first index and its stride, in units of its width; stride 0 when it is not aligned."""
    code, offset, size = cast(Scalar, layout(record)[field]).code, offsets(record)[field], size_of(record)
    width = struct.calcsize("<" + code)
    own = "<" if sys.byteorder == "little" else ">"
    aligned = _order(record) == own and offset % width == 0 and size % width == 0
    return code, offset // width, size // width if aligned else 0


def parse(record: type[R], data: bytes | memoryview) -> R:
    """The record at the start of `data`, through Construct. ValueError names the field that is cut off."""
    from construct import ConstructError

    try:
        found = _construct(record).parse(bytes(data))
    except ConstructError as reason:
        field = (getattr(reason, "path", None) or "").removeprefix("(parsing) -> ") or record._fields[0]
        raise ValueError(f"{record.__name__}.{field} is cut off: only {len(data)} bytes") from reason
    return record._make(found[name] for name in record._fields)


def build(record: NamedTuple) -> bytes:
    """The bytes of a record, through Construct. ValueError when a value does not fit its field."""
    from construct import ConstructError

    try:
        return cast(bytes, _construct(type(record)).build(record._asdict()))
    except ConstructError as reason:
        raise ValueError(f"{type(record).__name__}: {reason}") from reason


@cache
def _construct(record: type[NamedTuple]) -> Any:
    # Importing Construct takes 38 ms: a command that only walks tables does not pay for it.
    import construct

    def subcon(field: Field) -> Any:
        if isinstance(field, Scalar):
            return getattr(construct, field.construct)
        if isinstance(field, Raw):
            return construct.Bytes(field.size)
        return construct.Aligned(field.alignment, construct.Bytes(_length(field)))

    return construct.Struct(*(name / subcon(field) for name, field in layout(record).items()))


def _length(field: Sized) -> Callable[[Any], int]:
    return lambda context: max(0, context[field.field] - field.without)
