"""Correlation and Costes: kernels against their twins, values by hand, and what is undefined."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hts.errors import StageError
from hts.stages.measure import MeasureParams, measure_field
from hts.stages.measure.families._kernels_costes import Line, _turning_steps
from tests.reference.colocalization import KERNELS, doubtful

INTEGERS, FLOATS, COSTES = KERNELS
LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=10), elements=st.integers(0, 3)
)


def measured(family, labels, *images, full_scale=None, **options):
    params = MeasureParams(features=(family,), options={family: options} if options else {}, full_scale=full_scale)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = measure_field({"cells": np.int32(labels)}, dict(zip("abc", images, strict=False)), params)
    return {name.split("_", 2)[2]: table[name].to_numpy() for name in table if "_Correlation_" in name}


@pytest.mark.parametrize("row", [INTEGERS, FLOATS], ids=["uint16", "float32"])
@settings(deadline=None, max_examples=50)
@given(labels=LABELS, top=st.sampled_from([1, 9, 65535]), seed=st.integers(0, 2**32 - 1))
def test_sums_of_pairs_equal_their_twin(row, labels, top, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, top, (3, *labels.shape), endpoint=True).astype(row.dtypes[0])
    number = np.float64 if row is FLOATS else np.int64
    threshold = rng.integers(0, top, (4, 3), endpoint=True).astype(number)
    for found, expected in zip(row.call(labels, images, threshold), row.twin(labels, images, threshold), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", COSTES.dtypes)
@pytest.mark.parametrize(
    ("scales", "steps"), [((255.0, 255.0), 255), ((65535.0, 65535.0), 65535), ((255.0, 65535.0), 65535)]
)
@settings(deadline=None, max_examples=30)
@given(
    side=st.integers(2, 14),
    together=st.sampled_from([-0.9, -0.4, 0.0, 0.4, 0.9, 1.0]),
    middle=st.floats(0.05, 0.8),
    seed=st.integers(0, 2**32 - 1),
)
def test_costes_equals_its_twin(dtype, scales, steps, side, together, middle, seed):
    labels = np.kron(np.int32([[1, 2], [0, 3]]), np.ones((side, side), np.int32))
    z = np.random.default_rng(seed).normal(size=(2, *labels.shape))
    z[1] = together * z[0] + np.sqrt(1 - together**2) * z[1]
    top = np.array(scales)[:, None, None]
    images = np.rint(np.clip(middle + 0.15 * z, 0, 1) * top).astype(dtype)
    found = COSTES.call(labels, images, 4, scales, steps)
    expected = COSTES.twin(labels, images, 4, scales, steps)
    sure = ~doubtful(labels, images, 4, scales, steps)
    np.testing.assert_allclose(found[sure], expected[sure], rtol=1e-9)


@pytest.mark.parametrize("slope", [1.0, 1 + 1e-15, 1 / 3, 2.0, 3e-9, -1.0, -1 / 3, -7.0])
@pytest.mark.parametrize("offset", [0.0, 1 / 3, 1.0, 5e-17, -0.2, 0.1 + 0.2])
@pytest.mark.parametrize("scale", [255.0, 51.0])
def test_a_pixel_turns_at_the_step_at_which_the_comparison_turns(slope, offset, scale):
    """Also where grey levels fall on a step but for rounding."""
    values = np.arange(scale + 1).astype(np.uint16)
    turns = np.empty(values.size, np.int32)
    _turning_steps(values, scale, Line(slope, offset), 255, turns)
    steps = np.arange(256) / 255
    turned = ((values / scale)[:, None] < slope * steps + offset) == (slope > 0)
    np.testing.assert_array_equal(turns, np.where(turned.any(axis=1), turned.argmax(axis=1), 256))


def test_three_pixels_by_hand():
    one, two = np.uint16([[100, 10, 50]]), np.uint16([[40, 80, 10]])
    found = measured("correlation", [[1, 1, 1]], one, two)
    # Thresholds are 15 and 12: bright are the first and third of a, the first and second of b; both is the first.
    # Ranks in a 2, 0, 1 and in b 1, 2, 0: the first differs by 1 of 3.
    expected = {"Overlap_A_B": 1.0, "K_A_B": 0.4, "K_B_A": 2.5, "Manders_A_B": 100 / 150, "Manders_B_A": 40 / 120}
    expected |= {"RWC_A_B": 100 / 150 * 2 / 3, "RWC_B_A": 40 / 120 * 2 / 3}
    expected |= {"Correlation_A_B": np.corrcoef(one[0], two[0])[0, 1], "Slope_A_B": np.polyfit(one[0], two[0], 1)[0]}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx([value], rel=1e-12), name


def test_a_pixel_exactly_at_the_threshold_is_decided_as_by_cellprofiler():
    one, two = np.uint8([[200, 30, 29]]), np.uint8([[9, 9, 9]])
    at_threshold = bool(30 / 255 >= 15 / 100 * (200 / 255))
    found = measured("correlation", [[1, 1, 1]], one, two)["Manders_B_A"]
    assert found == pytest.approx([2 / 3 if at_threshold else 1 / 3])
    assert measured("correlation", [[1, 1, 1]], one, two, threshold_percent=0)["Manders_B_A"] == [1.0]


def test_channels_that_never_meet():
    found = measured("correlation", [[1, 1]], np.uint16([[9, 0]]), np.uint16([[0, 7]]))
    assert all(found[name] == [0.0] for name in ("Manders_A_B", "Manders_B_A", "RWC_A_B", "RWC_B_A"))
    assert all(np.isnan(found[name]).all() for name in ("Overlap_A_B", "K_A_B", "K_B_A"))
    assert found["Correlation_A_B"] == [-1.0]


def test_one_pixel_and_constant_channels():
    found = measured("correlation", [[1, 2, 2]], np.uint16([[5, 4, 4]]), np.uint16([[3, 1, 2]]))
    assert np.isnan(found["Correlation_A_B"]).all()
    assert np.isnan(found["Slope_A_B"]).all()
    assert found["Manders_A_B"].tolist() == [1.0, 1.0]
    turned = measured("correlation", [[1, 2, 2]], np.uint16([[3, 1, 2]]), np.uint16([[5, 4, 4]]))
    np.testing.assert_array_equal(turned["Slope_A_B"], [np.nan, 0.0])


def test_without_light_a_share_is_undefined():
    found = measured("correlation", [[1, 1]], np.uint16([[0, 0]]), np.uint16([[0, 7]]))
    assert np.isnan(found["Manders_A_B"])
    assert np.isnan(found["RWC_A_B"])
    assert found["Manders_B_A"] == [1.0]


@pytest.mark.parametrize("family", ["correlation", "costes"])
def test_a_pixel_that_is_not_finite_leaves_the_pairs_of_its_channel_without_values(family):
    labels = np.repeat(np.int32([[1, 2]]), 20, axis=1).repeat(20, axis=0)
    one, *noise = np.random.default_rng(0).uniform(0.1, 0.4, (3, *labels.shape)).astype(np.float32)
    images = [one, one + noise[0], one + noise[1]]
    images[1][0, 0] = np.nan
    found = measured(family, labels, *images)
    for name, values in found.items():
        assert np.isnan(values[0]) == ("B" in name.split("_")[1:]), name
        assert np.isfinite(values[1]), name


def test_grey_levels_beyond_full_scale_are_refused():
    one = np.float32([[1, 2, 3]])
    with pytest.raises(StageError, match=r"grey levels from 0 to 1 \(the full scale\) in channel a"):
        measured("costes", [[1, 1, 1]], one, one)
    with pytest.raises(StageError, match="found: -1 to 3 inside objects"):
        measured("costes", [[1, 1, 1]], np.float32([[-1, 2, 3]]), one, full_scale=3)


@pytest.mark.parametrize(
    ("one", "two"),
    [([5, 6], [5, 6]), ([0, 0, 9, 8], [0, 0, 3, 4]), ([4, 4, 4, 4], [1, 2, 3, 4]), ([1, 1, 2, 2], [1, 2, 1, 2])],
    ids=["two pixels", "two that are not dark", "constant", "no covariance"],
)
def test_costes_is_undefined(one, two):
    found = measured("costes", [[1] * len(one)], np.uint16([one]), np.uint16([two]))
    assert all(np.isnan(values).all() for values in found.values())


def test_costes_of_five_pixels_by_hand():
    """The line is b = a. Below 51 are all but the brightest: they correlate. Below 50 are three that do not."""
    one, two = np.uint8([[10, 11, 12, 50, 60]]), np.uint8([[12, 11, 10, 50, 60]])
    found = measured("costes", [[1] * 5], one, two)
    assert found["Costes_A_B"] == pytest.approx([60 / 110], rel=1e-14)
    assert found["Costes_B_A"] == pytest.approx([60 / 110], rel=1e-14)


def test_fewer_than_two_channels_have_no_pairs():
    for family in ("correlation", "costes"):
        assert measured(family, [[1, 1, 1]], np.uint16([[1, 2, 3]])) == {}
        assert measured(family, [[1, 1, 1]]) == {}


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_threads_change_no_bit(dtype):
    labels = np.arange(1, 26, dtype=np.int32).reshape(5, 5).repeat(9, axis=0).repeat(9, axis=1)
    one, two = np.random.default_rng(4).integers(0, 5000, (2, *labels.shape))
    images = {"a": one.astype(dtype), "b": (one // 2 + two).astype(dtype)}
    params = MeasureParams(features=("intensity", "correlation", "costes"), full_scale=65535)
    alone, shared = (measure_field({"cells": labels}, images, params, threads=threads) for threads in (1, 3))
    assert alone.equals(shared)


def test_many_small_objects_of_full_range():
    """Two pixels wide, 16 bits: nothing may grow with grey levels times objects."""
    labels = np.arange(1, 10_001, dtype=np.int32).reshape(100, 100).repeat(2, axis=0).repeat(2, axis=1)
    images = np.random.default_rng(2).integers(0, 65536, (2, *labels.shape)).astype(np.uint16)
    params = MeasureParams(features=("intensity", "correlation", "costes"))
    table = measure_field({"cells": labels}, dict(zip("ab", images, strict=True)), params)
    assert len(table) == 10_000
    assert table["Cells_Correlation_Manders_A_B"].notna().all()
