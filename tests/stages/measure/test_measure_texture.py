"""Texture features: kernels against their twins, levels, values by hand, and where they are undefined."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import exposure, util

from hts.errors import StageError, UsageError
from hts.stages.measure import MeasureParams, measure_field
from hts.stages.measure.families._kernels_texture import FEATURES
from hts.stages.measure.families.texture import TextureFeatures, level_of
from hts.stages.measure.features import families
from tests.reference.texture import KERNELS

TO_LEVELS, HARALICK = KERNELS


def measured(labels, *images, threads=1, full_scale=None, scales_px=(1,)):
    params = MeasureParams(
        features=("texture",), options={"texture": {"scales_px": scales_px}}, full_scale=full_scale, precision="float64"
    )
    roles = {f"c{number}": np.asarray(image) for number, image in enumerate(images)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return measure_field({"cells": np.asarray(labels, np.int32)}, roles, params, threads=threads)


def column(table, feature, direction=0, scale_px=1, levels=256, channel="C0"):
    return table[f"Cells_Texture_{feature}_{channel}_{scale_px}_{direction:02d}_{levels}"].to_numpy()


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    sides=st.tuples(st.integers(1, 15), st.integers(1, 15)),
    block=st.integers(1, 6),
    scale_px=st.integers(1, 3),
    levels=st.sampled_from([1, 2, 7, 255]),
)
def test_features_equal_their_twin(seed, sides, block, scale_px, levels):
    rng = np.random.default_rng(seed)
    objects = rng.integers(0, 4, tuple(-(-side // block) for side in sides))  # several pieces, holes, the frame
    labels = np.kron(objects, np.ones((block, block), int))[: sides[0], : sides[1]].astype(np.int32)
    image = rng.integers(rng.integers(0, levels + 1), levels + 1, sides).astype(np.uint8)
    ours, twin = (call(labels, image, 4, scale_px) for call in (HARALICK.call, HARALICK.twin))
    # The second measure of information is the root of a difference: what rounding leaves of 0 becomes 1e-8.
    np.testing.assert_allclose(ours[..., :12], twin[..., :12], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours[..., 12], twin[..., 12], rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize(("scale_px", "levels"), [(1, 255), (3, 6), (7, 120)])
def test_features_of_smooth_cells_equal_their_twin(scale_px, levels):
    rng = np.random.default_rng(levels)
    labels = np.kron(rng.integers(0, 7, (4, 4)), np.ones((15, 15), int)).astype(np.int32)
    image = (np.cumsum(rng.integers(-2, 3, labels.shape), axis=1) % levels + 1).astype(np.uint8)
    ours, twin = (call(labels, image, 8, scale_px) for call in (HARALICK.call, HARALICK.twin))
    assert np.isfinite(ours).any()
    np.testing.assert_allclose(ours, twin, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(values=hnp.arrays(np.uint16, st.integers(0, 30)), seed=st.integers(0, 9))
def test_levels_are_looked_up(values, seed):
    table = np.random.default_rng(seed).integers(0, 256, 65536).astype(np.uint8)
    np.testing.assert_array_equal(TO_LEVELS.call(values, table), TO_LEVELS.twin(values, table))


def test_levels_are_those_of_cell_profiler():
    steps = np.arange(256, dtype=np.uint8)
    for levels in range(2, 257):
        theirs = exposure.rescale_intensity(steps, in_range=(0, 255), out_range=(0, levels - 1)).astype(np.uint8)
        np.testing.assert_array_equal(level_of(steps, 255.0, levels), theirs)
    grey = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(level_of(grey, 65535.0, 256), util.img_as_ubyte(grey / 65535))


def test_four_pixels_by_hand():
    # Along the row: pairs (10, 20) and (10, 10); with their mirrors 4 entries: (10,20), (20,10) and twice (10,10).
    table = measured([[1, 1], [1, 1]], np.array([[10, 20], [10, 10]], np.uint8))
    half, quarter = 0.5, 0.25
    entropy = half * 1 + 2 * quarter * 2  # bits
    single = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    expected = {
        "AngularSecondMoment": half**2 + 2 * quarter**2,
        "Contrast": 50,
        "Variance": 0.75 * 0.25 * 100,
        "Correlation": (25 - 50) / (25 + 50),  # variance of the sum - of the difference, over both
        "InverseDifferenceMoment": half + half / 101,
        "SumAverage": 25,
        "SumVariance": 25,
        "SumEntropy": 1,
        "Entropy": entropy,
        "DifferenceVariance": (2 * half**2) / 21 - 1 / 21**2,
        "DifferenceEntropy": 1,
        "InfoMeas1": (entropy - 2 * single) / single,
        "InfoMeas2": np.sqrt(1 - np.exp(-2 * (2 * single - entropy))),
    }
    assert expected.keys() == set(FEATURES)
    for feature, value in expected.items():
        assert column(table, feature).item() == pytest.approx(value, rel=1e-12), feature


def test_directions_are_those_of_cell_profiler():
    image = np.fromfunction(lambda y, x: 10 + 3 * y + 50 * x, (4, 4)).astype(np.uint8)
    table = measured(np.ones((4, 4)), image)
    found = [column(table, "Contrast", direction).item() for direction in range(4)]
    assert found == [50**2, 53**2, 3**2, 47**2]


def test_a_constant_texture_has_no_correlation():
    table = measured(np.ones((6, 6)), np.full((6, 6), 7, np.uint8))
    ones, undefined = {"AngularSecondMoment", "InverseDifferenceMoment"}, {"Correlation", "InfoMeas1"}
    for feature in set(FEATURES) - undefined - {"SumAverage", "DifferenceVariance"}:
        assert column(table, feature).item() == float(feature in ones), feature
    assert column(table, "SumAverage").item() == 14
    assert column(table, "DifferenceVariance").item() == pytest.approx(1 / 8 - 1 / 64)
    for feature in undefined:
        assert np.isnan(column(table, feature).item())


def test_undefined_where_a_direction_has_no_pair():
    labels = np.zeros((12, 12), int)
    labels[0, 0] = 1  # a pixel
    labels[2, :] = 2  # a line
    labels[4:6, 0:12] = 4  # a gap among the numbers; too narrow for a scale of 3
    labels[7:11, 0:4] = 5  # 4 x 4: one pair on each diagonal
    labels[7, 6] = labels[10, 9] = labels[7, 9] = 6  # pairs on one diagonal, along a row and a column, but no more
    table = measured(labels, np.arange(1, 145).reshape(12, 12).astype(np.uint8), scales_px=(1, 3))
    for feature in FEATURES:
        wide, narrow = column(table, feature, 1, scale_px=3), column(table, feature, 2, scale_px=1)
        assert np.isnan(wide[[0, 1, 2, 4]]).all(), feature
        assert np.isnan(narrow[[0, 1, 4]]).all(), feature
        assert np.isfinite(narrow[[2, 3]]).all(), feature
    assert np.isfinite(column(table, "Contrast", 3, scale_px=3)[3])


def test_zeros_take_part_in_no_pair():
    rng = np.random.default_rng(0)
    image = rng.integers(1, 9, (10, 10)).astype(np.uint8)
    holes = rng.random((10, 10)) < 0.2
    with_zeros = measured(np.ones((10, 10)), np.where(holes, 0, image))
    without = measured(~holes, image)
    np.testing.assert_array_equal(with_zeros.filter(like="Texture"), without.filter(like="Texture"))
    assert np.isnan(column(measured(np.ones((9, 9)), np.zeros((9, 9), np.uint8)), "Contrast").item())


def test_full_scale_says_what_the_highest_level_is():
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16)
    twelve_bits = np.round(grey * (4095 / 255)).astype(np.uint16)
    in_8_bits = measured(np.ones((16, 16)), grey.astype(np.uint8))
    in_12_of_16_bits = measured(np.ones((16, 16)), twelve_bits, full_scale=4095)
    as_float = measured(np.ones((16, 16)), (grey / 255).astype(np.float32))
    assert column(in_8_bits, "Contrast", 2).item() == 16**2
    np.testing.assert_allclose(in_12_of_16_bits.filter(like="Texture"), in_8_bits.filter(like="Texture"), rtol=1e-12)
    np.testing.assert_allclose(as_float.filter(like="Texture"), in_8_bits.filter(like="Texture"), rtol=1e-12)
    blunt = measured(np.ones((16, 16)), twelve_bits)
    assert column(blunt, "Entropy", 2).item() < column(in_8_bits, "Entropy", 2).item() / 1.5


@pytest.mark.parametrize(
    ("image", "full_scale", "found"),
    [
        (np.float32([[1, 300], [2, 3]]), None, "1 to 300 inside"),
        (np.float32([[0.5, -0.1], [0.2, 0.3]]), None, "-0.1 to 0.5 inside"),
        (np.uint16([[1, 5000], [2, 3]]), 4095, "1 to 5000 inside"),
    ],
)
def test_grey_levels_off_the_scale_are_refused(image, full_scale, found):
    with pytest.raises(StageError, match=rf"in channel c0(.|\n)*{found}(.|\n)*measure\.full_scale"):
        measured([[1, 1], [1, 1]], image, full_scale=full_scale)
    assert len(measured([[1, 0], [1, 1]], image, full_scale=full_scale or 4095)) == 1  # outside objects anything goes


def test_a_hot_pixel_costs_its_object():
    labels, image = np.kron([[1, 0, 2], [0, 0, 0], [3, 0, 4]], np.ones((4, 4), int)), np.full((12, 12), 700, np.uint16)
    image[1, 1] = 5000
    table = measured(labels, image, full_scale=4095)
    assert table.filter(like="Contrast").isna().all(axis=1).tolist() == [True, False, False, False]


def test_a_pixel_that_is_not_finite_makes_its_object_undefined_and_no_other():
    rng = np.random.default_rng(5)
    image = rng.random((20, 20)).astype(np.float32)
    labels = np.kron([[1, 2], [3, 4]], np.ones((10, 10), int))
    holes = image.copy()
    holes[3, 3], holes[15, 2] = np.nan, np.inf
    ours, whole = measured(labels, holes).filter(like="Texture"), measured(labels, image).filter(like="Texture")
    assert ours.iloc[[0, 2]].isna().all(axis=None)
    np.testing.assert_array_equal(ours.iloc[[1, 3]], whole.iloc[[1, 3]])


def test_threads_change_nothing():
    rng = np.random.default_rng(1)
    labels = np.kron(rng.permutation(36).reshape(6, 6), np.ones((9, 9), int))
    images = rng.integers(0, 65536, (2, 54, 54)).astype(np.uint16)
    one, many = (measured(labels, *images, threads=threads) for threads in (1, 5))
    np.testing.assert_array_equal(one, many)


def test_no_objects_no_channels():
    assert measured(np.zeros((9, 9)), np.zeros((9, 9), np.uint8)).shape[0] == 0
    assert not [name for name in measured(np.ones((9, 9))) if "Texture" in name]


def test_one_object_that_fills_the_field_and_pieces_far_apart():
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (300, 300)).astype(np.uint8)
    (contrast,) = column(measured(np.ones((300, 300)), image, scales_px=(3,)), "Contrast", 0, 3)
    some = (image[:, 3:] > 0) & (image[:, :-3] > 0)
    assert contrast == pytest.approx(np.mean((image[:, 3:] - image[:, :-3].astype(float))[some] ** 2), rel=1e-12)
    labels = np.zeros((300, 300), int)
    labels[:5, :5] = labels[-5:, -5:] = 1
    tight = np.zeros((14, 14), int)
    tight[:5, :5] = tight[-5:, -5:] = 1
    moved = np.zeros((14, 14), np.uint8)
    moved[:5, :5], moved[-5:, -5:] = image[:5, :5], image[-5:, -5:]
    np.testing.assert_array_equal(
        measured(labels, image).filter(like="Texture"), measured(tight, moved).filter(like="Texture")
    )


def test_names_scales_and_levels():
    family = TextureFeatures(TextureFeatures.Params(scales_px=(3, 10), levels=32))
    names = [info.name for info in family.catalogue(("dna", "er"))]
    assert len(names) == len(set(names)) == 2 * 2 * 13 * 4
    assert names[0] == "Texture_AngularSecondMoment_DNA_3_00_32"
    assert names[-1] == "Texture_InfoMeas2_ER_10_03_32"


@pytest.mark.parametrize(
    "options", [{"scales_px": (3, 3)}, {"scales_px": ()}, {"scales_px": (0,)}, {"levels": 1}, {"levels": 257}]
)
def test_settings_that_cannot_be_meant_are_refused(options):
    with pytest.raises(UsageError, match="settings of feature family texture"):
        families(("texture",), {"texture": options})
