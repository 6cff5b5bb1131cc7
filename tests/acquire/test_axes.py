from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hts.acquire.axes import Axis, typical_step

NUMBERS = st.sets(st.integers(-1000, 10**9), min_size=1, max_size=30)


def test_numbers_that_follow_one_another_are_no_news() -> None:
    assert Axis.of("z", [5, 4, 6, 4], fill=True) == Axis({4: 0, 5: 1, 6: 2})
    assert Axis.of("z", [7], fill=False) == Axis({7: 0})


def test_a_number_between_others_is_a_gap_where_the_vendor_counts() -> None:
    axis = Axis.of("z", {1, 2, 4}, fill=True)
    assert axis.index == {1: 0, 2: 1, 3: 2, 4: 3}
    assert (axis.gaps, axis.stride) == ((2,), 1)
    assert axis.note == "no file has z number 3: such planes are expected and listed as missing"


def test_a_gap_is_one_of_the_common_step() -> None:
    axis = Axis.of("t", {2, 4, 8}, fill=True)
    assert (dict(axis.index), axis.gaps, axis.stride) == ({2: 0, 4: 1, 6: 2, 8: 3}, (2,), 2)


def test_every_second_number_is_a_stride_and_no_gap() -> None:
    axis = Axis.of("t", {1, 3}, fill=True)
    assert (dict(axis.index), axis.gaps, axis.stride) == ({1: 0, 3: 1}, (), 2)
    assert axis.note == "t is numbered 1, 3: these are the indices 0 to 1, with none between"


def test_elsewhere_gaps_are_closed_and_named() -> None:
    axis = Axis.of("t", {1, 2, 10}, fill=False)
    assert (dict(axis.index), axis.gaps, axis.stride) == ({1: 0, 2: 1, 10: 2}, (), 1)
    assert axis.note == "t is numbered 1, 2, 10: these are the indices 0 to 2, with none between"
    assert axis == Axis.of("t", {1, 2, 10}, fill=True)


@given(NUMBERS, st.booleans())
def test_indices_keep_the_order_and_leave_none_out(numbers: set[int], fill: bool) -> None:
    axis = Axis.of("z", numbers, fill)
    assert list(axis.index.values()) == list(range(len(axis.index)))
    assert list(axis.index) == sorted(axis.index)
    there = {axis.index[number] for number in numbers}
    assert there | set(axis.gaps) == set(axis.index.values())
    assert not there & set(axis.gaps)
    assert len(axis.index) <= 2 * len(numbers)


def test_the_step_is_that_of_most_numbers_and_above_zero() -> None:
    assert typical_step([{0: 0.0, 1: 10.0, 3: 30.0}, {5: 1.0}, {0: 0.0, 1: 99.0}]) == 10.0
    assert typical_step([{0: 5.0, 1: 5.0}]) is None
    assert typical_step([]) is None
