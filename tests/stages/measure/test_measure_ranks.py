"""Ranks, quantiles and edges: kernels against their twins, values by hand, sizes that must not explode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hts.stages.measure.shared.objects import FieldData
from hts.stages.measure.shared.ranks import CUMULATIVE, LINEAR, order_of
from hts.stages.measure.shared.runs import runs_of
from tests.reference import edges, ranks

LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12), elements=st.integers(0, 4)
)
SORT, INTEGERS, FLOATS = ranks.KERNELS
COUNT_EDGES, LIST_EDGES = edges.KERNELS


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(0, 400), bits=st.integers(1, 63))
def test_keys_are_sorted(seed, size, bits):
    keys = np.random.default_rng(seed).integers(0, 2**bits, size).astype(np.uint64)
    np.testing.assert_array_equal(SORT.call(keys), SORT.twin(keys))


@pytest.mark.parametrize("top", [2, 9, 300, 65535])
@settings(deadline=None, max_examples=40)
@given(labels=LABELS, seed=st.integers(0, 2**32 - 1))
def test_order_of_whole_grey_levels(top, labels, seed):
    image = np.random.default_rng(seed).integers(0, top, labels.shape, endpoint=True).astype(np.uint16)
    check(INTEGERS, labels, image)


@pytest.mark.parametrize("top", [0, 2, 1e6])
@settings(deadline=None, max_examples=40)
@given(labels=LABELS, seed=st.integers(0, 2**32 - 1))
def test_order_of_real_grey_levels(top, labels, seed):
    rng = np.random.default_rng(seed)
    image = (rng.integers(-top, top, labels.shape, endpoint=True) * rng.choice([-0.0, 0.5, 1.0], labels.shape)).astype(
        np.float32
    )
    check(FLOATS, labels, image)


def check(row, labels, image):
    found, expected = row.call(labels, image, 5), row.twin(labels, image, 5)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(found[2], expected[2])


@pytest.mark.parametrize("row", [INTEGERS, FLOATS], ids=["uint16", "float32"])
def test_large_objects_are_ordered_alike(row):
    rng = np.random.default_rng(1)
    labels = np.repeat(np.int32([1, 2]), 3000).reshape(2, 3000)
    for top in (30, 65535):  # counted, and sorted
        check(row, labels, rng.integers(0, top, labels.shape).astype(row.dtypes[0]))


def test_statistics_by_hand():
    labels = np.int32([[1, 1, 1, 2]])
    distinct, statistics, rank = INTEGERS.call(labels, np.uint16([[7, 1, 2, 9]]), 2)
    assert distinct.tolist() == [3, 1]
    assert rank.tolist() == [2, 0, 1, 0]
    assert statistics[0, LINEAR].tolist() == [1.5, 2.0, 4.5, 1.0]
    # At n q = 0.75, 1.5 and 2.25 (past the last); distances 2.5, 2.5 and 3.5 from 4.5, half way between the last two.
    assert statistics[0, CUMULATIVE].tolist() == [1.75, 4.5, 7.0, 3.0]
    assert statistics[1].tolist() == [[9.0, 9.0, 9.0, 0.0]] * 2


def test_without_ranks_the_statistics_are_the_same():
    labels, image = np.int32([[1, 1, 0, 1]]), np.uint16([[5, 65535, 3, 8]])
    with_ranks, without = INTEGERS.call(labels, image, 1), INTEGERS.call(labels, image, 1, ranks=False)
    np.testing.assert_array_equal(with_ranks[1], without[1])
    assert without[2].size == 0


def test_ranks_are_computed_once_for_all_who_ask():
    labels = {"cells": np.int32([[1, 1, 2]])}
    field = FieldData(labels, np.uint16([[[3, 1, 2]]]), ("a",), 2, (0, 0), (1, 3), (65535.0,))
    cells = field.sets["cells"]
    assert cells.order.ranks.size == 0
    cells.release()
    assert cells.ranks is cells.order
    assert cells.ranks.ranks.dtype == np.uint16


def test_pixels_that_are_not_finite_crash_nothing():
    values = np.float32([[np.nan, 1, -np.inf, np.inf, np.nan, -np.nan] * 20])
    runs = runs_of(np.ones((1, values.size), np.int32), 1)
    assert order_of(runs, values, ranks=True).ranks.shape == values.shape


def test_no_channel_no_object_no_pixel():
    for labels, channels in ((np.zeros((3, 3), np.int32), 2), (np.ones((2, 2), np.int32), 0)):
        runs = runs_of(labels, int(labels.max()))
        order = order_of(runs, np.zeros((channels, int(runs.offset[-1])), np.uint16), ranks=True)
        assert order.statistics.shape == (labels.max(), channels, 2, 4)


@pytest.mark.parametrize("row", [COUNT_EDGES, LIST_EDGES], ids=["count", "list"])
@settings(deadline=None, max_examples=60)
@given(labels=LABELS, wide=st.booleans())
def test_edges_equal_their_twin(row, labels, wide):
    labels = np.kron(labels, np.ones((2, 3), np.int32)) if wide else labels
    assert row.call(labels, 5) == row.twin(labels, 5)


def test_the_frame_is_no_edge():
    assert LIST_EDGES.call(np.ones((3, 3), np.int32), 1) == []
    assert LIST_EDGES.call(np.int32([[1, 1, 2], [1, 1, 2]]), 2) == [1, 3, 4, 5]
