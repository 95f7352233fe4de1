"""The symbol table by column: names are found as in a walk from the first symbol to the last."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinspect.artifacts.elf.symbols import Symbols
from kinspect.schemas.elf import STB_GLOBAL, STB_LOCAL, Symbol
from kinspect.schemas.record import build

patient = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)

NAMES = ("_end", "_text", "text", "the_end", "end", "x", "_init_end")
STRINGS = b"\0the_end\0_text\0x\0_end\0_init_end\0"
"""The names, some of them twice: as a string, and as the tail of another."""

rows = st.lists(
    st.builds(
        Symbol,
        st.integers(0, len(STRINGS) + 2),
        st.sampled_from((STB_LOCAL << 4, STB_GLOBAL << 4 | 2)),
        st.just(0),
        st.just(1),
        st.integers(0, (1 << 64) - 1),
        st.just(0),
    ),
    max_size=12,
)


def _symbols(table: list[Symbol]) -> Symbols:
    return Symbols(b"".join(map(build, table)), STRINGS)


@patient
@given(rows, st.lists(st.sampled_from(NAMES), max_size=4))
def test_names_are_found_together_as_one_by_one(table: list[Symbol], wanted: list[str]) -> None:
    symbols = _symbols(table)
    for names in ((), wanted, NAMES):
        found = symbols.find_all(names)
        assert found.keys() == set(names)
        for name, index in found.items():
            walk = [number for number in range(len(table)) if symbols.name(number) == name]
            assert index == (walk[0] if walk else None)
            assert symbols.value(name) == (table[walk[0]].st_value if walk else None)


@patient
@given(rows)
def test_many_names_are_found_as_few_are(table: list[Symbol]) -> None:
    symbols, fresh = _symbols(table), _symbols(table)
    symbols.find_all(f"absent{number}" for number in range(100))
    assert symbols.find_all(NAMES) == fresh.find_all(NAMES)


@patient
@given(rows)
def test_columns_are_those_of_the_rows(table: list[Symbol]) -> None:
    symbols = _symbols(table)
    assert list(symbols.values) == [row.st_value for row in table]
    assert list(symbols.name_offsets) == [row.st_name for row in table]
    assert list(symbols.infos) == [row.st_info for row in table]
    assert symbols.names(range(len(table))) == [symbols.name(index) for index in range(len(table))]
    globals_ = [index for index, row in enumerate(table) if row.st_info >> 4 != STB_LOCAL]
    assert symbols.first_global == (globals_[0] if globals_ else len(table))


edges = st.builds(
    lambda half, rest: max(0, (half << 16) + rest), st.sampled_from((0, 1, 2, 255, 256)), st.integers(-2, 2)
)


@patient
@given(st.lists(edges, max_size=6), edges)
def test_the_highest_name_is_found(offsets: list[int], limit: int) -> None:
    table = [Symbol(offset, 0, 0, 1, 0, 0) for offset in offsets]
    assert _symbols(table).names_are_below(limit) == all(offset < limit for offset in offsets)
