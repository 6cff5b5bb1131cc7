"""Cells grown from seeds: the kernel against its twin, and what holds for every image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from hts.errors import StageError
from hts.stages.segment import segment_field, warm_up
from hts.stages.segment.propagate import PropagateParams, PropagateSegmenter
from hts.stages.segment.threshold import ThresholdParams, ThresholdSegmenter
from tests.reference.table import KERNELS
from tests.stages.segment.conformance import SegmenterConformance, blobs, objects

ROW = next(row for row in KERNELS if row.kernel.endswith("_kernels_propagate.propagate"))
ANYWHERE = np.ones((3, 3), np.bool_)


class TestConformance(SegmenterConformance):
    segmenter = PropagateSegmenter()
    own_numbers = False
    params = (
        PropagateParams(max_distance_px=6),
        PropagateParams(threshold="none", max_distance_px=3, smooth_px=0),
        PropagateParams(threshold="local", max_distance_px=20, regularization=2),
    )


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    warm_up()


@st.composite
def fields(draw):
    """A small image, seeds of several pixels (whole or in pieces) with gaps in their numbers, and a mask."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coarse = draw(st.booleans())  # whole numbers have many ties
    image = (rng.integers(0, 3, shape) if coarse else rng.random(shape)).astype(np.float32)
    seeds = draw(hnp.arrays(np.int32, shape, elements=st.sampled_from([0, 0, 0, 1, 4, 7]), fill=st.just(0)))
    return image, seeds, rng.random(shape) < draw(st.sampled_from([0.5, 0.8, 1.0]))


@settings(deadline=None, max_examples=120)
@given(field=fields(), regularization=st.sampled_from([0.01, 0.1, 1.0, 30.0]))
def test_kernel_equals_its_twin(field, regularization):
    image, seeds, mask = field
    labels, cost = ROW.call(image, seeds, mask, regularization)
    expected = ROW.twin(image, seeds, mask, regularization)
    if not expected:
        assert not labels.any()
        assert np.isinf(cost).all()
        return
    numbers, costs = np.array(list(expected)), np.stack(list(expected.values()))
    least = costs.min(axis=0)
    np.testing.assert_array_equal(cost, least)
    np.testing.assert_array_equal(labels > 0, np.isfinite(least))
    one = ((costs == least).sum(axis=0) == 1) & np.isfinite(least)
    np.testing.assert_array_equal(labels[one], numbers[costs.argmin(axis=0)][one])
    assert (np.take_along_axis(costs, np.searchsorted(numbers, labels)[None], 0)[0] == least)[labels > 0].all()


def test_costs_equal_the_twin_on_a_larger_field():
    """Only here does the heap grow deep enough for its order to matter."""
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.random((40, 48)), 1.5).astype(np.float32) * 20
    seeds = np.zeros(image.shape, np.int32)
    seeds[5, 5], seeds[30:33, 40] = 1, 2
    labels, cost = ROW.call(image, seeds, np.ones(image.shape, np.bool_), 0.01)
    first, second = ROW.twin(image, seeds, np.ones(image.shape, np.bool_), 0.01).values()
    np.testing.assert_array_equal(cost, np.minimum(first, second))
    np.testing.assert_array_equal(labels[first != second], np.where(first < second, 1, 2)[first != second])


@settings(deadline=None, max_examples=120)
@given(field=fields(), regularization=st.sampled_from([0.01, 1.0]))
def test_regions_stay_in_the_mask_and_hang_together(field, regularization):
    image, seeds, mask = field
    labels, _ = ROW.call(image, seeds, mask, regularization)
    np.testing.assert_array_equal(labels[seeds > 0], seeds[seeds > 0])
    assert not labels[~mask & (seeds == 0)].any()
    assert set(labels[labels > 0]) == set(seeds[seeds > 0])
    for label in np.unique(seeds[seeds > 0]):
        parts, count = ndimage.label(labels == label, ANYWHERE)
        assert all((seeds[parts == part] == label).any() for part in range(1, count + 1))
    reachable, count = ndimage.label(mask | (seeds > 0), ANYWHERE)
    enclosed = [part for part in range(1, count + 1) if (seeds[reachable == part] == 0).all()]
    np.testing.assert_array_equal(labels == 0, np.isin(reachable, [0, *enclosed]))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_heavy_distance_gives_voronoi_cells(seed):
    rng = np.random.default_rng(seed)
    seeds = np.zeros((40, 50), np.int32)
    seeds.flat[rng.choice(seeds.size, 6, replace=False)] = np.arange(1, 7)
    labels, _ = ROW.call(rng.random(seeds.shape, np.float32), seeds, np.ones(seeds.shape, np.bool_), 1e4)
    distances = np.stack([ndimage.distance_transform_edt(seeds != number) for number in range(1, 7)])
    _, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    first, second = np.sort(distances, axis=0)[:2]
    # Steps go in eight directions: a path is up to 8.3 % longer than the straight line.
    clear = second > 1.083 * first
    assert clear.mean() > 0.4
    np.testing.assert_array_equal(labels[clear], seeds[tuple(nearest)][clear])


def grow(image, seeds, **settings):
    return PropagateSegmenter().segment({"reporter": image}, {"nuclei": seeds}, PropagateParams(**settings))


def test_a_step_in_the_image_is_a_border():
    image = np.full((31, 61), 100, np.uint16)
    image[:, 20:] = 1000
    seeds = np.zeros(image.shape, np.int32)
    seeds[15, 5], seeds[15, 55] = 3, 8
    bright = {"smooth_px": 0, "threshold": "none", "max_distance_px": 100}
    found = grow(image, seeds, regularization=0.01, **bright)
    assert (found[:, :19] == 3).all()
    assert (found[:, 22:] == 8).all()
    assert (grow(image, seeds, regularization=100, **bright)[:, 20:29] == 3).all()


@settings(deadline=None, max_examples=25)
@given(max_distance_px=st.floats(0.5, 12), seed=st.integers(0, 2**32 - 1))
def test_cells_end_at_their_distance_from_the_nuclei(max_distance_px, seed):
    rng = np.random.default_rng(seed)
    seeds = np.where(rng.random((40, 40)) < 0.004, 5, 0).astype(np.int32)
    seeds[20, 20] = 2
    image = rng.random(seeds.shape).astype(np.float32)
    found = grow(image, seeds, threshold="none", max_distance_px=max_distance_px)
    distance = ndimage.distance_transform_edt(seeds == 0)
    assert not found[distance > max_distance_px].any()
    if max_distance_px >= 1.5:  # nearer than a diagonal step there is nothing to walk on
        assert (found[distance <= max_distance_px] > 0).mean() > 0.95


def test_the_threshold_says_what_is_cell_but_seeds_stay():
    image = np.full((40, 60), 20, np.uint16)
    image[10:30, 10:30] = 200
    seeds = np.zeros(image.shape, np.int32)
    seeds[18:22, 18:22], seeds[5:8, 50:53] = 1, 6
    found = grow(image, seeds, smooth_px=0)
    np.testing.assert_array_equal(found, np.where(image > 100, 1, np.where(seeds == 6, 6, 0)))
    # Otsu's threshold of two levels lies in the first of 256 bins above the lower: 600 such heights pass the upper.
    np.testing.assert_array_equal(grow(image, seeds, smooth_px=0, correction=600), seeds)


def test_gain_and_offset_do_not_matter():
    image, seeds = blobs((96, 120), np.float32), objects((96, 120), 7)
    plain = {"threshold": "none", "max_distance_px": 15.0}
    expected = grow(image, seeds, **plain)
    found = grow(image * 16 + 512, seeds, **plain)
    assert (found != expected).mean() < 0.001


def test_a_hot_pixel_does_not_drown_the_image():
    image = np.full((31, 61), 100, np.uint16)
    image[:, 20:] = 1000
    seeds = np.zeros(image.shape, np.int32)
    seeds[15, 5], seeds[15, 55] = 3, 8
    plain = {"smooth_px": 0, "threshold": "none", "max_distance_px": 100}
    expected = grow(image, seeds, **plain)
    image[2, 58] = 65535
    found = grow(image, seeds, **plain)
    np.testing.assert_array_equal(found[:, :50], expected[:, :50])
    assert (found[:, 22:50] == 8).all()


def test_without_seeds_there_are_no_cells():
    image = blobs((48, 60))
    found = grow(image, np.zeros(image.shape, np.int32), threshold="none")
    assert found.dtype == np.int32
    assert not found.any()


def test_seeds_of_another_shape_are_refused():
    with pytest.raises(StageError, match=r"seeds and image of one shape\n  found: \(4, 4\) and \(48, 60\)"):
        grow(blobs((48, 60)), np.ones((4, 4), np.int32))


def test_steps_see_the_object_sets_made_before_them():
    image = blobs((96, 120))
    nuclei = (ThresholdSegmenter(), ThresholdParams(diameter_px=10))
    cells = (PropagateSegmenter(), PropagateParams(channel="dna", threshold="none", max_distance_px=4))
    labels = segment_field({"dna": image}, {"nuclei": nuclei, "cells": cells})
    assert list(labels) == ["nuclei", "cells"]
    inside = labels["nuclei"] > 0
    np.testing.assert_array_equal(labels["cells"][inside], labels["nuclei"][inside])
    assert (labels["cells"] > 0).sum() > 1.3 * inside.sum()
    with pytest.raises(KeyError, match="nuclei"):
        segment_field({"dna": image}, {"cells": cells})
