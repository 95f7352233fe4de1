"""Which of some marks are in the order of the link."""

from itertools import combinations, pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinspect.views.size.string_owners import in_order, words_in

patient = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


def test_marks_that_moved_are_left_out() -> None:
    """Objects 9 and 7 have a string that an earlier object has too."""
    marks = list(enumerate([1, 1, 9, 2, 3, 7, 3, 4, 8, 9]))
    assert in_order(marks) == [mark for mark in marks if mark not in ((2, 9), (5, 7))]
    assert in_order([]) == []


@patient
@given(st.lists(st.integers(0, 9), max_size=9))
def test_no_more_marks_are_in_order(owners: list[int]) -> None:
    marks = list(enumerate(owners))
    found = in_order(marks)
    assert all(before[0] < after[0] and before[1] <= after[1] for before, after in pairwise(found))
    assert set(found) <= set(marks)
    longer = combinations(owners, len(found) + 1)
    assert not any(all(before <= after for before, after in pairwise(chosen)) for chosen in longer)


WORDS = st.sampled_from((0, 1, 0xFFFF800080000000, 0xFFFF800081000000, 0xFFFF8000810000FF, 0xFFFF7FFFFFFFFFFF))


@patient
@given(st.lists(WORDS | st.integers(0, (1 << 64) - 1), max_size=9), st.binary(max_size=7), st.tuples(WORDS, WORDS))
def test_words_are_found_as_one_by_one(words: list[int], rest: bytes, bounds: tuple[int, int]) -> None:
    low, high = min(bounds), max(bounds) + 1
    data = b"".join(word.to_bytes(8, "little") for word in words) + rest
    assert list(words_in(data, low, high)) == [(at, word) for at, word in enumerate(words) if low <= word < high]
