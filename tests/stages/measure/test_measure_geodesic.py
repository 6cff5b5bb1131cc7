"""Paths inside objects: kernel against twin and centrosome, around dents, holes and the turns of spirals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.reference.features.fields import simulated
from tests.reference.geodesic import KERNELS, centrosome, of_graph, of_runs

(ROW,) = KERNELS
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)
LABELS = hnp.arrays(np.int32, SHAPES, elements=st.sampled_from([0, 1, 1, 2, 4]))


@settings(deadline=None, max_examples=150)
@given(labels=LABELS, share=st.floats(0, 1))
def test_lengths_equal_their_twin(labels, share):
    sizes = np.bincount(labels.ravel(), minlength=5)[1:5]
    centre = np.floor(share * (sizes - 1).clip(0)).astype(np.int64)
    np.testing.assert_allclose(ROW.call(labels, 4, centre), ROW.twin(labels, 4, centre), rtol=1e-12)


def test_lengths_equal_centrosome_on_cells():
    labels = simulated().labels
    count = int(labels.max())
    centre = np.bincount(labels.ravel())[1:] // 3
    np.testing.assert_allclose(of_runs(labels, count, centre), centrosome(labels, count, centre), rtol=1e-12)


def corridors(turns: int) -> np.ndarray:
    """One corridor up and down, a pixel wide: every turn needs a sweep of its own."""
    labels = np.zeros((9, 2 * turns + 1), np.int32)
    labels[:, ::2] = 1
    labels[0, 1::4] = labels[-1, 3::4] = 1
    return labels


@pytest.mark.parametrize("turns", [1, 5, 40])
def test_corridors_with_many_turns(turns):
    labels, centre = corridors(turns), np.zeros(1, np.int64)
    np.testing.assert_allclose(of_runs(labels, 1, centre), of_graph(labels, 1, centre), rtol=1e-12)
    np.testing.assert_allclose(of_runs(labels.T.copy(), 1, centre), of_graph(labels.T, 1, centre), rtol=1e-12)


def test_a_spiral():
    labels = np.zeros((41, 41), np.int32)
    for arm in range(0, 20, 2):
        labels[arm, max(arm - 2, 0) : 41 - arm] = labels[40 - arm, arm : 41 - arm] = 1
        labels[arm : 41 - arm, 40 - arm] = labels[arm + 2 : 41 - arm, arm] = 1
    centre = np.zeros(1, np.int64)
    lengths = of_runs(labels, 1, centre)
    np.testing.assert_allclose(lengths, of_graph(labels, 1, centre), rtol=1e-12)
    assert lengths.max() > 10 * 40


def test_lengths_by_hand():
    labels = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]], np.int32)
    expected = [0, 1 + 2**0.5, 1, 2**0.5, np.inf]  # the way to the last but two goes over the second row
    expected[1] = 2 * 2**0.5
    np.testing.assert_allclose(of_runs(labels, 1, np.zeros(1, np.int64)), expected)


def test_no_objects():
    assert of_runs(np.zeros((3, 3), np.int32), 0, np.zeros(0, np.int64)).size == 0
