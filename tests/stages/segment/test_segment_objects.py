"""Object sets of one field: linked, numbered on, dropped at the frame."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hts.stages.segment.objects import link, numbered_above, object_areas, renumbered, touching_frame, without
from tests.reference.segment import link as slow_link


def image(text: str) -> NDArray[np.int32]:
    """Labels drawn as digits, a dot for the background, one row a word."""
    return np.array([[int(sign) if sign != "." else 0 for sign in row] for row in text.split()], np.int32)


@st.composite
def pairs_of_sets(draw: st.DrawFn) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Two label images of scattered rectangles, numbers with gaps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    both = []
    for _ in range(2):
        labels = np.zeros(shape, np.int32)
        for number in rng.permutation(60)[: rng.integers(0, 14)] + 1:
            y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
            labels[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] = number
        both.append(labels)
    return both[0], both[1]


def outlines(labels: NDArray[np.int32]) -> set[bytes]:
    return {(labels == number).tobytes() for number in np.unique(labels[labels > 0])}


@settings(deadline=None, max_examples=200)
@given(sets=pairs_of_sets(), above=st.integers(0, 100))
def test_linking_equals_its_slow_twin_and_keeps_every_outline(sets, above) -> None:
    labels, partner = sets
    before = labels.copy(), partner.copy()
    linked = link(labels, partner, above)
    np.testing.assert_array_equal(linked, slow_link(labels, partner, above))
    assert linked.dtype == np.int32
    assert outlines(linked) == outlines(labels)
    np.testing.assert_array_equal(labels, before[0])
    np.testing.assert_array_equal(partner, before[1])


@settings(deadline=None, max_examples=50)
@given(sets=pairs_of_sets())
def test_what_is_linked_is_linked_again_to_the_same(sets) -> None:
    labels, partner = sets
    linked = link(labels, partner)
    again = link(linked, partner)
    paired = np.isin(linked, np.unique(partner[partner > 0]))
    np.testing.assert_array_equal(again[paired], linked[paired])


def test_cells_take_the_numbers_of_their_nuclei() -> None:
    nuclei = image("....... .5.3.1. .5.3.1. .......")
    cells = image("111.222 111.222 111.222 444....")
    np.testing.assert_array_equal(link(cells, nuclei), image("555.111 555.111 555.111 666...."))


def test_half_of_the_smaller_object_is_enough_and_less_is_not() -> None:
    nuclei = image("1111.... ")
    assert link(image("..11...."), nuclei).max() == 1
    assert set(link(image("...11..."), nuclei).ravel()) == {0, 1}
    assert set(link(image("...111.."), nuclei).ravel()) == {0, 2}


def test_of_two_nuclei_in_a_cell_the_larger_one_gets_it_and_the_other_stays_alone() -> None:
    nuclei = image("1.222")
    np.testing.assert_array_equal(link(image("33333"), nuclei), image("22222"))
    np.testing.assert_array_equal(link(image("33333"), image("22.11")), image("11111"))


def test_of_two_cells_on_a_nucleus_the_second_is_an_orphan_above_all_numbers() -> None:
    found = link(image("77788"), image("44444"), above=20)
    np.testing.assert_array_equal(found, np.array([[4, 4, 4, 21, 21]]))


def test_a_set_without_objects_links_to_nothing() -> None:
    empty, one = np.zeros((3, 4), np.int32), np.full((3, 4), 7, np.int32)
    assert not link(empty, one).any()
    assert (link(one, empty) == 8).all()
    assert link(np.zeros((0, 0), np.int32), np.zeros((0, 0), np.int32)).shape == (0, 0)


def test_a_hundred_thousand_objects_are_linked_sparsely() -> None:
    """A table of all pairs would have 10^10 places."""
    rows = np.arange(320 * 320, dtype=np.int32).reshape(320, 320) + 1
    nuclei = np.kron(rows, np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]], np.int32))
    shuffled = np.random.default_rng(0).permutation(rows.size).astype(np.int32) + 1
    cells = np.kron(shuffled.reshape(rows.shape), np.ones((3, 3), np.int32))
    found = link(cells, nuclei)
    np.testing.assert_array_equal(found, np.kron(rows, np.ones((3, 3), np.int32)))


def test_objects_at_each_side_of_the_frame_are_found() -> None:
    labels = image("..1.. ..... 2.9.3 ..9.. 4.5..")
    assert touching_frame(labels).tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(without(labels, touching_frame(labels)), np.where(labels == 9, 9, 0))
    assert touching_frame(np.zeros((0, 5), np.int32)).size == 0
    assert without(labels, np.array([100], np.int32)).tolist() == labels.tolist()


def test_areas_and_numbers_above() -> None:
    labels = image("11.3 33..")
    assert object_areas(labels).tolist() == [0, 2, 0, 3]
    np.testing.assert_array_equal(numbered_above(labels, 40), np.where(labels, labels + 40, 0))
    assert numbered_above(labels, 40).dtype == np.int32
    assert renumbered(labels).tolist() == [[1, 1, 0, 2], [2, 2, 0, 0]]
