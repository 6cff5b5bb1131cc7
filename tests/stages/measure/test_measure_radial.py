"""Radial distribution: kernels against their twins, values by hand, and what is undefined."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from hts.stages.measure import MeasureParams, measure_field
from hts.stages.measure.families._kernels_radial import Rings
from hts.stages.measure.families.radial import RadialFeatures
from tests.reference.radial import KERNELS

CODES, SUMS = KERNELS
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)
LABELS = hnp.arrays(np.int32, SHAPES, elements=st.sampled_from([0, 1, 1, 1, 2, 4]))


def measured(labels, image, **settings_of_family):
    params = MeasureParams(features=("radial",), options={"radial": settings_of_family})
    table = measure_field({"cells": np.asarray(labels, np.int32)}, {"dna": np.asarray(image)}, params)
    return table.rename(columns=lambda name: name.replace("Cells_RadialDistribution_", ""))


@pytest.mark.parametrize("rings", [Rings(4, True, 1.0), Rings(3, False, 5.0)], ids=["scaled", "unscaled"])
@settings(deadline=None, max_examples=80)
@given(labels=LABELS)
def test_codes_equal_their_twin(rings, labels):
    np.testing.assert_array_equal(CODES.call(labels, 4, rings), CODES.twin(labels, 4, rings))


@pytest.mark.parametrize("dtype", SUMS.dtypes)
@settings(deadline=None, max_examples=40)
@given(labels=LABELS)
def test_sums_equal_their_twin(dtype, labels):
    values = np.arange(np.count_nonzero(labels)).astype(dtype)
    np.testing.assert_array_equal(SUMS.call(labels, 4, values), SUMS.twin(labels, 4, values))


def test_a_line_of_three_pixels_by_hand():
    """All pixels are 1 px from the edge, so that the first is the centre: 0, 1 / 2.001 and 2 / 3.001 of the way."""
    table = measured([[0] * 5, [0, 1, 1, 1, 0], [0] * 5], np.array([[0] * 5, [0, 10, 20, 70, 0], [0] * 5], np.uint16))
    values = table.loc[0]
    assert [values[f"FracAtD_DNA_{ring}of4"] for ring in (1, 2, 3, 4)] == [0.1, 0.2, 0.7, 0.0]
    np.testing.assert_allclose([values[f"MeanFrac_DNA_{ring}of4"] for ring in (1, 2, 3)], [0.3, 0.6, 2.1])
    assert [values[f"RadialCV_DNA_{ring}of4"] for ring in (1, 2, 3)] == [0, 0, 0]
    assert np.isnan([values["MeanFrac_DNA_4of4"], values["RadialCV_DNA_4of4"]]).all()


def test_the_overflow_ring_is_what_lies_beyond_the_last():
    table = measured(
        [[1, 1, 1, 1, 0]], np.array([[1, 2, 3, 4, 0]], np.uint16), scaled=False, bins=2, maximum_radius_px=2
    )
    values = table.loc[0]  # the frame is no edge: the centre is the first pixel
    names = ["1of2", "2of2", "Overflow"]
    np.testing.assert_allclose([values[f"FracAtD_DNA_{name}"] for name in names], [0.1, 0.2, 0.7])


def test_the_slices_of_a_ring():
    """A square of 3 with its centre in the middle: the 4 pixels beside it are in one ring, each in its own slice."""
    labels, image = np.zeros((5, 5), np.int32), np.zeros((5, 5), np.uint16)
    labels[1:4, 1:4] = 1
    image[2, 2], image[1, 2], image[2, 1], image[2, 3], image[3, 2] = 50, 1, 2, 3, 4
    values = measured(labels, image).loc[0]
    beside = [1, 2, 3, 4]  # 1 / 2.001 of the way, the corners are 1.41 / 2.41 of it
    assert values["FracAtD_DNA_2of4"] == 10 / 60
    np.testing.assert_allclose(values["RadialCV_DNA_2of4"], np.std(beside) / np.mean(beside))


def test_a_piece_that_the_centre_cannot_reach_counts_nowhere():
    labels = np.array([[1, 1, 1, 0, 0, 1], [1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0]])
    image = np.full(labels.shape, 7, np.uint16)
    other = image.copy()
    other[0, 5] = 60000
    pd.testing.assert_frame_equal(measured(labels, image), measured(labels, other))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_make_their_object_undefined(value):
    image = np.ones((4, 6), np.float32)
    image[0, 0] = value
    labels = np.zeros((4, 6), np.int32)
    labels[:, :2], labels[:, 4:] = 1, 2
    table = measured(labels, image).filter(like="DNA")
    assert table.loc[0].isna().all()
    assert table.filter(like="FracAtD").loc[1].sum() == pytest.approx(1)


def test_a_dark_object_has_no_distribution():
    table = measured(np.ones((3, 3)), np.zeros((3, 3), np.uint16))
    assert table.filter(like="DNA").loc[0].isna().all()


def test_gaps_no_objects_and_no_channels():
    labels = np.zeros((6, 6), np.int32)
    image = np.ones((6, 6), np.uint16)
    assert len(measured(labels, image)) == 0
    labels[2, 2] = 5
    assert measured(labels, image)["FracAtD_DNA_1of4"].tolist() == [1.0]
    assert RadialFeatures().catalogue(()) == ()


def test_many_small_objects():
    labels = np.zeros((300, 300), np.int32)
    labels[::2, ::2] = np.arange(150 * 150).reshape(150, 150) + 1
    assert (measured(labels, np.ones(labels.shape, np.uint16))["FracAtD_DNA_1of4"] == 1).all()


def test_threads_change_nothing():
    rng = np.random.default_rng(0)
    labels = np.kron(np.arange(1, 37).reshape(6, 6), np.ones((9, 9))).astype(np.int32)
    images = {"dna": rng.integers(0, 60000, labels.shape).astype(np.uint16)}
    params = MeasureParams(features=("radial",))
    one, four = (measure_field({"cells": labels}, images, params, threads=threads) for threads in (1, 4))
    pd.testing.assert_frame_equal(one, four)


def test_settings_that_make_no_rings_are_refused():
    with pytest.raises(ValidationError, match="bins: Input should be greater than or equal to 1"):
        MeasureParams(features=("radial",), options={"radial": {"bins": 0}})
