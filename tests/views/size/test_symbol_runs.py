"""The columns of symbols divide memory as a walk over them, one by one, in the order of their ranks, would."""

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinspect.artifacts.elf.symbols import RANKS
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.schemas.elf import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHN_ABS,
    STB_GLOBAL,
    STT_FILE,
    STT_FUNC,
    STT_NOTYPE,
    STT_OBJECT,
)
from kinspect.source import Source
from kinspect.views.size.account import SizeSpan
from kinspect.views.size.symbol_runs import symbol_runs
from tests.support import Named, Part, elf_of

patient = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)

START, SIZE = 0xFFFF800080000000, 512
INFOS = (STT_OBJECT, STT_FUNC, STT_NOTYPE, STB_GLOBAL << 4 | STT_FUNC, STB_GLOBAL << 4 | STT_NOTYPE)

sized = st.builds(
    lambda number, place, info, size: (f"s{number}", place, info, size),
    st.integers(0, 9),
    st.integers(0, SIZE + 20),
    st.sampled_from(INFOS),
    st.integers(0, 100),
)


def divided(symbols: Sequence[Named]) -> dict[int, str]:
    """The name of the symbol that each byte of a section of code belongs to, or the name in brackets."""
    part = Part(".text", bytes(SIZE), START, SHF_ALLOC | SHF_EXECINSTR)
    vmlinux = Vmlinux(Source("vmlinux", elf_of(part, symbols=symbols)))
    runs = symbol_runs(vmlinux, [SizeSpan(START, SIZE, SIZE, ".text", "section", "AX", False)])
    found: dict[int, str] = {}
    for start, end, label in zip(runs.starts, [*runs.starts[1:], runs.end], runs.labels, strict=True):
        assert start < end
        name = vmlinux.symbols.name(label) if label >= 0 else runs.others[-1 - label]
        found |= dict.fromkeys(range(start, end), name)
    assert sorted(found) == list(range(SIZE))
    return found


@patient
@given(st.lists(sized, max_size=16))
def test_of_several_symbols_the_first_and_best_has_a_byte(rows: list[tuple[str, int, int, int]]) -> None:
    found = divided([Named(name, START + place, 1, info, size) for name, place, info, size in rows])
    expected: dict[int, str] = {}
    at = 0
    ranked = sorted(enumerate(rows), key=lambda row: (row[1][1], -row[1][3], -RANKS[row[1][2]], row[0]))
    for _, (name, place, _, size) in ranked:
        if size and place < SIZE:
            expected |= dict.fromkeys(range(max(at, place), min(place + size, SIZE)), name)
            at = max(at, min(place + size, SIZE))
    if not expected:
        assert set(found.values()) == {"[.text]"}
        return
    labels = {name for name, _, _, size in rows if not size}
    for place, name in found.items():
        assert name == expected[place] if place in expected else name.startswith("[") or name in labels


def test_a_label_ends_at_the_next_object_or_at_its_end() -> None:
    label = STB_GLOBAL << 4 | STT_NOTYPE
    symbols = [
        Named("a.c", 0, SHN_ABS, STT_FILE),
        Named("$x", START, 1, STT_NOTYPE),
        Named("b.c", 0, SHN_ABS, STT_FILE),
        Named("$x", START + 0x48, 1, STT_NOTYPE),
        Named("one", START, 1, STB_GLOBAL << 4 | STT_FUNC, 8),
        Named("weak", START + 8, 1, STT_NOTYPE),
        Named("table", START + 8, 1, label),
        Named("next", START + 0x90, 1, label),
        Named("next_end", START + 0xA0, 1, label),
    ]
    found = divided(symbols)
    # The global label, up to where the mapping symbol of another object is.
    assert {found[place] for place in range(8, 0x48)} == {"table"}
    assert {found[place] for place in range(0x48, 0x90)} == {"[no symbol]"}
    assert {found[place] for place in range(0x90, 0xA0)} == {"next"}
    # A label that marks an end has no bytes.
    assert {found[place] for place in range(0xA0, SIZE)} == {"[no symbol]"}


def test_without_another_object_a_label_goes_up_to_the_next_symbol() -> None:
    symbols = [
        Named("a.c", 0, SHN_ABS, STT_FILE),
        Named("$x", START, 1, STT_NOTYPE),
        Named("$d", START + 0x48, 1, STT_NOTYPE),
        Named("one", START, 1, STB_GLOBAL << 4 | STT_FUNC, 8),
        Named("table", START + 8, 1, STB_GLOBAL << 4 | STT_NOTYPE),
    ]
    assert {found for place, found in divided(symbols).items() if place >= 8} == {"table"}
