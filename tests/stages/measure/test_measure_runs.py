"""Objects as runs: kernels against their twins on random labels, and work shared among threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hts.stages.measure.shared.runs import in_threads, over_objects, runs_of
from tests.reference.runs import KERNELS

LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12), elements=st.integers(0, 5)
)
COUNT, LIST, GATHER = KERNELS


@pytest.mark.parametrize("row", [COUNT, LIST], ids=["count", "list"])
@settings(deadline=None, max_examples=80)
@given(labels=LABELS)
def test_runs_equal_their_twin(row, labels):
    np.testing.assert_array_equal(row.call(labels, 6), row.twin(labels, 6))


@pytest.mark.parametrize("dtype", GATHER.dtypes)
@settings(deadline=None, max_examples=40)
@given(labels=LABELS)
def test_grey_levels_are_listed_object_by_object(dtype, labels):
    image = np.arange(labels.size).reshape(labels.shape).astype(dtype)
    np.testing.assert_array_equal(GATHER.call(labels, image, 6), GATHER.twin(labels, image, 6))


@pytest.mark.parametrize("threads", [1, 2, 5])
@settings(deadline=None, max_examples=40)
@given(labels=LABELS)
def test_every_object_has_its_turn_once(threads, labels):
    turns = np.zeros(6, int)

    def kernel(first, stop, runs):
        turns[first:stop] += 1

    over_objects(kernel, runs_of(labels, 6), threads=threads)
    np.testing.assert_array_equal(turns, 1)


def test_results_of_threads_keep_their_order():
    assert in_threads([lambda number=number: number for number in range(20)], 3) == list(range(20))
