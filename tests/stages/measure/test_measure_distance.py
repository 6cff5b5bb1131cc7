"""Distance to the edge of the object: kernel against twin and scipy, and objects at and across the frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.reference.distance import KERNELS, of_runs, scipy_edt
from tests.reference.features.fields import simulated

(ROW,) = KERNELS
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=14)
LABELS = hnp.arrays(np.int32, SHAPES, elements=st.sampled_from([0, 1, 1, 1, 3]))


@pytest.mark.parametrize("closed", [True, False])
@settings(deadline=None, max_examples=120)
@given(labels=LABELS)
def test_distances_equal_their_twin(labels, closed):
    if not closed and labels.size and (labels == labels.flat[0]).all():
        return  # no edge at all
    np.testing.assert_array_equal(ROW.call(labels, 4, closed), ROW.twin(labels, 4, closed))


@pytest.mark.parametrize("closed", [True, False])
def test_distances_equal_scipy_on_cells(closed):
    labels = simulated().labels
    count = int(labels.max())
    np.testing.assert_array_equal(of_runs(labels, count, closed), scipy_edt(labels, count, closed))


def test_an_object_that_fills_the_field_ends_at_the_frame():
    labels = np.ones((3, 5), np.int32)
    assert of_runs(labels, 1).reshape(labels.shape).tolist() == [[1, 1, 1, 1, 1], [1, 4, 4, 4, 1], [1, 1, 1, 1, 1]]


def test_an_open_frame_is_no_edge():
    labels = np.array([[1, 1, 1, 0]], np.int32)
    assert of_runs(labels, 1, False).tolist() == [9, 4, 1]


def test_an_object_in_pieces_far_apart_costs_its_pixels_only():
    labels = np.zeros((3000, 3000), np.int32)
    labels[0, 0] = labels[-1, -1] = 1
    labels[1500, 1499:1502] = 2
    assert of_runs(labels, 2).tolist() == [1, 1, 1, 1, 1]


def test_no_objects():
    assert of_runs(np.zeros((4, 4), np.int32), 0).tolist() == []
