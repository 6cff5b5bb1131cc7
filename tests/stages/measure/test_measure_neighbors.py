"""Neighbours: kernels against their twins, values by hand, and what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from hts.stages.measure import MeasureParams, measure_field
from hts.stages.measure.families.neighbors import closest_two
from tests.reference.features.fields import simulated
from tests.reference.neighbors import KERNELS, by_scipy

EXPAND, COUNT = KERNELS
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
LABELS = hnp.arrays(np.int32, SHAPES, elements=st.sampled_from([0, 0, 0, 1, 1, 2, 4]))


def measured(labels, *methods, **more):
    params = MeasureParams(features=("neighbors",), options={"neighbors": {"methods": methods}} if methods else {})
    table = measure_field({"cells": np.asarray(labels, np.int32)}, {}, params, **more)
    return table.rename(columns=lambda name: name.replace("Cells_Neighbors_", ""))


@settings(deadline=None, max_examples=120)
@given(labels=LABELS)
def test_expanded_labels_equal_their_twin_and_scipy(labels):
    expanded = EXPAND.call(labels)
    np.testing.assert_array_equal(expanded, EXPAND.twin(labels))
    np.testing.assert_array_equal(expanded, EXPAND.peer(labels))


def test_expanded_cells_equal_scipy():
    labels = simulated().labels
    np.testing.assert_array_equal(EXPAND.call(labels), by_scipy(labels))


@pytest.mark.parametrize("distance_px", [1, 2, 5])
@settings(deadline=None, max_examples=60)
@given(labels=LABELS)
def test_counts_equal_their_twin(distance_px, labels):
    np.testing.assert_array_equal(COUNT.call(labels, 4, distance_px), COUNT.twin(labels, 4, distance_px))


def test_three_pixels_by_hand():
    labels = np.zeros((5, 7), np.int32)
    labels[1, 1], labels[1, 2], labels[4, 1] = 1, 2, 3
    values = measured(labels)
    assert values["NumberOfNeighbors_Adjacent"].tolist() == [1, 1, 0]
    assert values["NumberOfNeighbors_Expanded"].tolist() == [2, 2, 2]
    assert values["PercentTouching_Adjacent"].tolist() == [100, 100, 0]
    assert values["FirstClosestDistance_Adjacent"].tolist() == [1, 1, 3]
    np.testing.assert_allclose(values["SecondClosestDistance_Adjacent"], [3, 10**0.5, 10**0.5])
    degrees = np.degrees([np.pi / 2, np.arctan2(3, 1), np.arctan2(1, 3)])
    np.testing.assert_allclose(values["AngleBetweenNeighbors_Adjacent"], degrees)


def test_a_corner_touches_but_is_no_neighbour():
    values = measured(np.array([[1, 0], [0, 2]]), "adjacent")
    assert values["NumberOfNeighbors_Adjacent"].tolist() == [0, 0]
    assert values["PercentTouching_Adjacent"].tolist() == [100, 100]


def test_within_a_distance():
    labels = np.zeros((3, 12), np.int32)
    labels[1, 0], labels[1, 4], labels[1, 11] = 1, 2, 3
    assert measured(labels, 3, 4)["NumberOfNeighbors_3"].tolist() == [0, 0, 0]
    assert measured(labels, 3, 4)["NumberOfNeighbors_4"].tolist() == [1, 1, 0]


def test_an_object_alone_and_a_pair():
    alone = measured(np.array([[0, 3, 0]])).loc[0]
    assert alone["NumberOfNeighbors_Adjacent"] == alone["PercentTouching_Expanded"] == 0
    undefined = ["FirstClosestDistance_Adjacent", "SecondClosestDistance_Adjacent", "AngleBetweenNeighbors_Expanded"]
    assert alone[undefined].isna().all()
    pair = measured(np.array([[1, 0, 4]]))
    assert pair["FirstClosestDistance_Adjacent"].tolist() == [2, 2]
    assert pair[undefined[1:]].isna().all(axis=None)


def test_no_objects_have_no_rows():
    assert len(measured(np.zeros((4, 4)))) == 0


def test_centres_at_one_place_have_no_angle():
    labels = np.ones((5, 7), np.int32)
    labels[2, 2:5], labels[0, 0] = 2, 0
    labels[-1, -1] = 0
    labels[0, 6] = 3
    labels[4, 0] = 1
    labels[0, 6] = 1
    labels[2, 3] = 3  # 2 lies to both sides of 3, and 1 all around
    values = measured(labels)
    assert values["FirstClosestDistance_Adjacent"].tolist() == [0, 0, 0]
    assert values["AngleBetweenNeighbors_Adjacent"].isna().all()


def brute(centres):
    found = np.full((2, len(centres), 2), np.nan)
    for i, centre in enumerate(centres):
        others = np.delete(np.arange(len(centres)), i)
        away = ((centres[others] - centre) ** 2).sum(axis=1)
        nearest = others[np.argsort(away, kind="stable")[:2]]
        found[: len(nearest), i] = centres[nearest] - centre
    return found


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=40))
def test_of_equally_close_objects_the_first_is_taken(places):
    centres = np.array(places, np.float64).reshape(-1, 2)
    np.testing.assert_array_equal(closest_two(centres), brute(centres))


def test_gaps_among_the_numbers_change_nothing():
    labels = simulated().labels
    np.testing.assert_array_equal(
        measured(labels).filter(like="Adjacent"), measured(labels * 3).filter(like="Adjacent")
    )


def test_threads_change_nothing():
    labels = simulated().labels
    np.testing.assert_array_equal(measured(labels, "adjacent", 6), measured(labels, "adjacent", 6, threads=4))


@pytest.mark.parametrize("method", ["touching", 0, 1000])
def test_other_methods_are_refused(method):
    with pytest.raises(ValidationError, match="methods"):
        measured(np.ones((2, 2)), method)
