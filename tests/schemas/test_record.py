"""Properties of every record. A new record is tested without being named here."""

import pkgutil
import struct
from importlib import import_module
from itertools import combinations
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kinspect.schemas
from kinspect.schemas import record as machinery
from kinspect.schemas.elf import NoteEntry
from kinspect.schemas.exports import SymbolFlags
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.pe import WinCertificate
from kinspect.schemas.record import (
    Field,
    Raw,
    Scalar,
    Sized,
    build,
    column,
    layout,
    offsets,
    packed_column,
    parse,
    parse_table,
    size_of,
    table_row,
)
from tests.record_bytes import LITERALS, Literal

Record = type[NamedTuple]


def declared() -> list[Record]:
    """Every record of every module of schemas."""
    names = [module.name for module in pkgutil.walk_packages(kinspect.schemas.__path__, "kinspect.schemas.")]
    return [
        value
        for name in names
        for value in vars(import_module(name)).values()
        if isinstance(value, type) and hasattr(value, "_fields") and value.__module__ == name != machinery.__name__
    ]


def varies(record: Record) -> bool:
    return any(isinstance(field, Sized) for field in layout(record).values())


RECORDS = declared()
FIXED = [record for record in RECORDS if not varies(record)]
VARYING = [record for record in RECORDS if varies(record)]
each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
each_fixed = pytest.mark.parametrize("record", FIXED, ids=lambda record: record.__name__)
each_varying = pytest.mark.parametrize("record", VARYING, ids=lambda record: record.__name__)
# The first example imports Construct.
patient = settings(deadline=None, max_examples=50)


def limits(field: Scalar) -> tuple[int, int]:
    """The smallest and the largest number that a field holds."""
    bits = 8 * struct.calcsize("<" + field.code)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if field.code.islower() else (0, (1 << bits) - 1)


def width(field: Field) -> int:
    assert not isinstance(field, Sized)
    return struct.calcsize("<" + field.code) if isinstance(field, Scalar) else field.size


def values(field: Field) -> st.SearchStrategy[Any]:
    if isinstance(field, Scalar):
        low, high = limits(field)
        return st.one_of(st.sampled_from([low, -1 if low else 1, high]), st.integers(low, high))
    return st.binary(min_size=field.size, max_size=field.size) if isinstance(field, Raw) else st.binary(max_size=40)


@st.composite
def records(draw: st.DrawFn, record: Record) -> NamedTuple:
    """A record with any values and with the right sizes of its varying fields."""
    fields = layout(record)
    found = {name: draw(values(field)) for name, field in fields.items()}
    for name, field in fields.items():
        if isinstance(field, Sized):
            found[field.field] = len(found[name]) + field.without
    return record._make(found[name] for name in record._fields)


def test_that_the_records_are_found() -> None:
    assert len(RECORDS) >= 25
    assert {ImageHeader, NoteEntry, SymbolFlags} <= set(RECORDS)
    assert {NoteEntry, WinCertificate} <= set(VARYING)
    assert len({record.__doc__ for record in RECORDS}) == len(RECORDS)


@pytest.mark.parametrize("literal", LITERALS, ids=lambda literal: f"{type(literal.record).__name__}: {literal.source}")
def test_bytes_that_our_builder_did_not_make(literal: Literal) -> None:
    record, data = type(literal.record), bytes.fromhex(literal.bytes)
    assert parse(record, data) == literal.record
    assert build(literal.record) == data
    if record in FIXED:
        assert parse_table(record, data) == [literal.record]


@each_record
def test_every_record_has_bytes_that_tell_its_fields_apart(record: Record) -> None:
    found = [literal.record for literal in LITERALS if type(literal.record) is record]
    assert found
    fields = layout(record)
    alike = [(one, other) for one, other in combinations(fields, 2) if fields[one] == fields[other]]
    assert [pair for pair in alike if all(getattr(row, pair[0]) == getattr(row, pair[1]) for row in found)] == []


@each_record
@given(data=st.data())
@patient
def test_what_is_built_parses_to_the_same_record(record: Record, data: st.DataObject) -> None:
    made = data.draw(records(record))
    assert parse(record, build(made)) == made
    assert parse(record, build(made) + b"\xff" * 9) == made


@each_fixed
@given(data=st.data())
@patient
def test_any_bytes_parse_and_build_to_the_same_bytes(record: Record, data: st.DataObject) -> None:
    size = size_of(record)
    found = data.draw(st.binary(min_size=size, max_size=size))
    assert build(parse(record, found)) == found


@each_fixed
@given(data=st.data())
@patient
def test_a_table_is_its_rows_and_its_columns(record: Record, data: st.DataObject) -> None:
    made = data.draw(st.lists(records(record), max_size=4))
    table = b"".join(map(build, made))
    assert parse_table(record, table) == made
    assert parse_table(record, table) == [
        parse(record, table[offset:]) for offset in range(0, len(table), size_of(record))
    ]
    for name, field in layout(record).items():
        if isinstance(field, Scalar):
            assert list(column(record, name, table)) == [getattr(row, name) for row in made]
            assert list(packed_column(record, name, table)) == [getattr(row, name) for row in made]


@each_fixed
def test_fields_follow_each_other(record: Record) -> None:
    end = 0
    for name, field in layout(record).items():
        assert offsets(record)[name] == end
        end += width(field)
    assert end == size_of(record) == table_row(record).size
    assert list(offsets(record)) == list(record._fields)


@each_varying
def test_offsets_go_up_to_the_first_field_that_varies(record: Record) -> None:
    names = list(record._fields)
    first = next(name for name, field in layout(record).items() if isinstance(field, Sized))
    assert list(offsets(record)) == names[: names.index(first) + 1]
    assert offsets(record)[first] == sum(width(layout(record)[name]) for name in names[: names.index(first)])


@each_varying
def test_what_varies_in_size_has_no_table(record: Record) -> None:
    for asked in (
        lambda: parse_table(record, b""),
        lambda: size_of(record),
        lambda: column(record, record._fields[0], b""),
    ):
        with pytest.raises(TypeError, match=rf"{record.__name__}\.\w+ varies in size"):
            asked()


@each_fixed
def test_a_table_with_half_a_row_is_refused(record: Record) -> None:
    size = size_of(record)
    if size > 1:
        with pytest.raises(ValueError, match=f"{2 * size - 1} bytes are not a whole number of {record.__name__} rows"):
            parse_table(record, bytes(2 * size - 1))
    assert parse_table(record, b"") == []


@each_fixed
def test_bytes_that_end_too_early_name_the_field(record: Record) -> None:
    data = bytes(size_of(record))
    for name, start in offsets(record).items():
        for have in range(start, start + width(layout(record)[name])):
            with pytest.raises(ValueError, match=rf"^{record.__name__}\.{name} is cut off: only {have} bytes"):
                parse(record, data[:have])


@each_varying
@given(data=st.data())
@patient
def test_varying_bytes_that_end_too_early_name_a_field(record: Record, data: st.DataObject) -> None:
    whole = build(data.draw(records(record)))
    have = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match=rf"^{record.__name__}\.\w+ is cut off: only {have} bytes"):
        parse(record, whole[:have])


def zero(field: Field) -> int | bytes:
    if isinstance(field, Scalar):
        return 0
    return bytes(field.size) if isinstance(field, Raw) else b""


def zeros(record: Record) -> NamedTuple:
    """The record of nothing but zeros."""
    return record._make(zero(field) for field in layout(record).values())


@each_record
def test_a_value_that_does_not_fit_is_not_built(record: Record) -> None:
    for name, field in layout(record).items():
        if isinstance(field, Scalar):
            low, high = limits(field)
            wrong: list[int | bytes] = [low - 1, high + 1]
        else:
            wrong = [b"x" * (field.size + 1)] if isinstance(field, Raw) else [b"more than its size says"]
        for value in wrong:
            with pytest.raises(ValueError, match=record.__name__):
                build(zeros(record)._replace(**{name: value}))
    assert parse(record, build(zeros(record))) == zeros(record)
