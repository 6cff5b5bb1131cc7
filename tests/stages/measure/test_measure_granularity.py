"""Granularity: kernels against their twins, values by hand, object sets that share the work, and what is undefined."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from cp_measure.core.measuregranularity import get_granularity
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hts.errors import UsageError
from hts.stages.measure import MeasureParams, measure_field
from hts.stages.measure.families import granularity
from hts.stages.measure.families.granularity import GranularityFeatures, GranularityParams, structures
from hts.stages.measure.features import families
from tests.reference.granularity import KERNELS

SAMPLE, ERODE, RECONSTRUCT, COUNT, LIST, SUM = KERNELS
FEW = st.integers(0, 4).map(float)  # plateaus
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)
ALL_PIXELS = {"subsample": 1.0, "background_subsample": 1.0, "scales": 4}


def measured(labels, *images, threads=1, **options):
    params = MeasureParams(features=("granularity",), options={"granularity": options}, precision="float64")
    sets = labels if isinstance(labels, dict) else {"cells": np.asarray(labels, np.int32)}
    roles = {f"c{number}": np.asarray(image) for number, image in enumerate(images)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return measure_field(sets, roles, params, threads=threads)


def spectrum(table, channel="C0", objects="Cells"):
    return table.filter(regex=rf"^{objects}_Granularity_\d+_{channel}$").to_numpy()


def spots(shape=(160, 160), seed=0, channels=1):
    """Cells on a grid, and bright spots of many sizes on a slope."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    labels = np.where(((y % 20) > 2) & ((x % 20) > 2), y // 20 * (shape[1] // 20) + x // 20 + 1, 0).astype(np.int32)
    images = np.empty((channels, *shape))
    for image in images:
        image[:] = 200 + y + 0.5 * x + rng.random(shape) * 30
        for _ in range(60):
            (cy, cx), radius = rng.integers(0, shape), rng.uniform(1, 16)
            image[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] += rng.uniform(50, 900)
    return labels, images.astype(np.uint16)


@pytest.mark.parametrize("dtype", SAMPLE.dtypes)
@settings(deadline=None, max_examples=40)
@given(data=st.data(), shape=SHAPES)
def test_samples_equal_their_twin(dtype, data, shape):
    image = data.draw(hnp.arrays(dtype, shape, elements=st.integers(0, 1000)))
    rows, columns = (
        np.array(data.draw(st.lists(st.floats(-1, side), max_size=9)), float) for side in shape
    )  # some outside
    ours, twin = (call(image, rows, columns) for call in (SAMPLE.call, SAMPLE.twin))
    np.testing.assert_allclose(ours, twin, rtol=1e-12, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(image=SHAPES.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=st.integers(-9, 9).map(float))))
@pytest.mark.parametrize("reach", [[1, 0], [2, 2, 1], [3, 3, 2, 0], [0], [10, 9, 9, 9, 9, 8, 8, 7, 6, 4, 0]])
def test_smallest_values_equal_their_twin(reach, image):
    np.testing.assert_array_equal(*(call(image, np.array(reach)) for call in (ERODE.call, ERODE.twin)))


@settings(deadline=None, max_examples=200)
@given(data=st.data(), shape=SHAPES)
def test_what_spreads_equals_its_twin(data, shape):
    mask, image = (data.draw(hnp.arrays(np.float64, shape, elements=FEW)) for _ in range(2))
    image = np.minimum(mask, image)
    np.testing.assert_array_equal(*(call(mask, image) for call in (RECONSTRUCT.call, RECONSTRUCT.twin)))


def test_values_find_their_way_through_a_maze():
    wall = np.zeros((41, 41))
    wall[::2] = 9.0
    wall[1::4, -1] = wall[3::4, 0] = 9.0  # open at the right, then at the left: one way back and forth, 20 times
    for mask in (wall, wall.T.copy(), wall[::-1].copy(), wall[:, ::-1].T.copy()):
        for corner in ((0, 0), (-1, -1), (0, -1), (-1, 0)):
            seed = np.zeros_like(mask)
            seed[corner] = mask[corner]
            result = RECONSTRUCT.call(mask, seed)
            np.testing.assert_array_equal(result, RECONSTRUCT.twin(mask, seed))
            assert mask[corner] == 0 or result.sum() == mask.sum()


@pytest.mark.parametrize("row", [COUNT, LIST], ids=["count", "list"])
@settings(deadline=None, max_examples=40)
@given(data=st.data(), shape=st.tuples(st.integers(2, 20), st.integers(2, 20)))
def test_weights_equal_their_twin(row, data, shape):
    labels = data.draw(hnp.arrays(np.int32, shape, elements=st.integers(0, 3)))
    size = tuple(data.draw(st.integers(2, side)) for side in shape)
    np.testing.assert_allclose(row.call(labels, size, 4), row.twin(labels, size, 4), rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), shape=st.tuples(st.integers(2, 20), st.integers(2, 20)))
def test_sums_equal_their_twin(data, shape):
    labels = data.draw(hnp.arrays(np.int32, shape, elements=st.integers(0, 3)))
    plane = data.draw(hnp.arrays(np.float64, st.tuples(*(st.integers(2, side) for side in shape)), elements=FEW))
    np.testing.assert_allclose(SUM.call(labels, plane, 4), SUM.twin(labels, plane, 4), rtol=1e-12, atol=1e-12)


def test_rounding_puts_the_last_row_outside():
    labels = np.ones((160, 70), np.int32)  # 159 * (63 / 159) is 63.00000000000001
    assert 159 * (63 / 159) > 63
    plane = np.ones((64, 30))
    assert SUM.call(labels, plane, 1).item() == pytest.approx(SUM.twin(labels, plane, 1).item(), rel=1e-12)
    assert SUM.call(labels, plane, 1).item() < labels.size - 60


@pytest.mark.parametrize("shape", [(160, 160), (47, 160), (9, 300), (8, 8)])
@pytest.mark.parametrize("subsample", [0.25, 0.4, 1.0])
def test_spectra_are_those_of_cell_profiler(shape, subsample):
    labels, images = spots(shape)
    labels = np.ones(shape, np.int32) if labels.max() < 2 else labels
    ours = spectrum(measured(labels, *images, subsample=subsample, background_subsample=0.3, background_radius_px=4))
    theirs = get_granularity(labels, images[0] / 65535, subsample, 0.3, 4)
    np.testing.assert_allclose(ours, np.stack(list(theirs.values()), axis=1), rtol=1e-9, atol=1e-9)


def test_one_spot_by_hand():
    image = np.zeros((41, 41), np.uint16)
    image[10, 10] = 500  # gone after scale 1
    image[18:23, 18:23] = 100  # 5 x 5: its centre is left at scale 2, and all of it comes back; gone after scale 3
    table = measured(np.ones((41, 41)), image, **ALL_PIXELS)
    np.testing.assert_allclose(spectrum(table), [[100 * 500 / 3000, 0, 100 * 2500 / 3000, 0]], rtol=1e-12, atol=1e-12)


def test_background_is_what_no_large_disk_fits_into():
    image = np.full((41, 41), 1000, np.uint16)
    image[20, 20] = 3000
    table = measured(np.ones((41, 41)), image, **ALL_PIXELS)
    left = 2000 / image.sum()  # the first difference is to the mean of the image with its background
    np.testing.assert_allclose(spectrum(table), [[100, 0, 0, 0]], atol=1e-9)
    assert structures(image, (41, 41), GranularityParams(**ALL_PIXELS)).sum() / image.sum() == pytest.approx(left)


def test_a_field_that_is_sampled_to_less_than_two_pixels_has_no_spectrum():
    for shape in ((7, 80), (80, 7), (1, 1), (1, 60)):
        table = measured(np.ones(shape), np.ones(shape, np.uint16))
        assert spectrum(table).shape == (1, 16)
        assert np.isnan(spectrum(table)).all()
    assert np.isfinite(spectrum(measured(np.ones((8, 80)), np.ones((8, 80), np.uint16)))).all()


def test_an_object_without_light_has_no_spectrum():
    labels, images = spots()
    images[0][labels == 3] = 0
    ours = spectrum(measured(labels, *images))
    assert np.isnan(ours[2]).all()
    assert np.isfinite(np.delete(ours, 2, axis=0)).all()
    below = images[0].astype(np.float32)
    below[labels == 3] = -1.0
    assert np.isnan(spectrum(measured(labels, below))[2]).all()


def test_a_pixel_that_is_not_finite_is_dark_for_its_neighbours():
    labels, images = spots()
    holes = images.astype(np.float32)
    dark = holes.copy()
    holes[0, 30, 30], holes[0, 90, 52] = np.nan, np.inf
    dark[0, 30, 30] = dark[0, 90, 52] = 0
    ours, theirs = spectrum(measured(labels, *holes)), spectrum(measured(labels, *dark))
    with_hole = np.isin(np.arange(1, labels.max() + 1), [labels[30, 30], labels[90, 52]])
    assert with_hole.sum() == 2
    assert np.isnan(ours[with_hole]).all()
    np.testing.assert_array_equal(ours[~with_hole], theirs[~with_hole])


def test_all_object_sets_are_summed_at_once_and_each_is_as_if_alone(monkeypatch):
    labels, images = spots(channels=2)
    nuclei = np.where((np.indices(labels.shape) % 20 < 10).all(axis=0), labels, 0).astype(np.int32)
    gaps = np.where(labels % 3 == 0, labels, 0).astype(np.int32)
    alone = {name: measured(each, *images) for name, each in (("a", nuclei), ("b", labels), ("c", gaps))}
    made = []
    monkeypatch.setattr(granularity, "structures", lambda *given: made.append(1) or structures(*given))
    together = measured({"a": nuclei, "b": labels, "c": gaps}, *images)
    assert len(made) == 2  # channels
    for name, table in alone.items():
        ours = spectrum(together, objects=name.capitalize())
        there = ~np.isnan(ours).all(axis=1)
        np.testing.assert_array_equal(ours[there], spectrum(table))


def test_threads_change_nothing():
    labels, images = spots(channels=3)
    np.testing.assert_array_equal(*(measured(labels, *images, threads=threads) for threads in (1, 4)))


def test_no_objects_no_channels_one_pixel():
    labels, images = spots()
    assert measured(np.zeros_like(labels), *images).shape[0] == 0
    assert not [name for name in measured(labels) if "Granularity" in name]
    one = np.zeros_like(labels)
    one[77, 33] = 1
    theirs = get_granularity(one, images[0] / 65535)
    np.testing.assert_allclose(spectrum(measured(one, *images))[0], np.concatenate(list(theirs.values())), atol=1e-8)


def test_names_and_units():
    infos = GranularityFeatures(GranularityParams(scales=3)).catalogue(("dna", "er"))
    assert [info.name for info in infos][:4] == [
        "Granularity_1_DNA",
        "Granularity_2_DNA",
        "Granularity_3_DNA",
        "Granularity_1_ER",
    ]
    assert {info.unit for info in infos} == {"1"}


@pytest.mark.parametrize("options", [{"subsample": 0}, {"subsample": 1.1}, {"scales": 0}, {"background_radius_px": 0}])
def test_settings_that_cannot_be_meant_are_refused(options):
    with pytest.raises(UsageError, match="settings of feature family granularity"):
        families(("granularity",), {"granularity": options})
