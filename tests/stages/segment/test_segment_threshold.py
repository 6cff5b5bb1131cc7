"""Threshold and watershed on made scenes: what is foreground, what is split, what is dropped, who is number one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError
from scipy import ndimage
from skimage.filters import threshold_otsu

from hts.stages.segment.threshold import ThresholdParams, ThresholdSegmenter, foreground, smooth, split_touching
from tests.stages.segment.conformance import SegmenterConformance, blobs

EVERYTHING = {"min_area_px": 1, "smooth_px": 0.0}


class TestConformance(SegmenterConformance):
    segmenter = ThresholdSegmenter()
    params = (
        # Without the check of the contrast, so that noise is the worst case and not an empty field.
        ThresholdParams(diameter_px=10, min_contrast=0),
        ThresholdParams(diameter_px=10, min_contrast=0, threshold="local", min_area_px=1),
        ThresholdParams(diameter_px=10, min_contrast=0, smooth_px=0, correction=0.9, max_area_px=400),
    )


def segment(image, **settings):
    return ThresholdSegmenter().segment({"dna": image}, {}, ThresholdParams(**settings))


def disc(shape, center, radius):
    y, x = np.indices(shape)
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2


def scene(*masks):
    """100 grey levels on 20."""
    return np.where(np.any(masks, axis=0), 100, 20).astype(np.uint16)


@pytest.mark.parametrize("correction", [0.8, 1.0, 1.3])
def test_foreground_is_what_scikit_image_calls_so(correction):
    image = blobs((96, 120))
    smoothed = ndimage.gaussian_filter(image.astype(np.float32), 1.5)
    background = np.percentile(smoothed, 5)
    level = background + correction * (threshold_otsu(smoothed) - background)
    expected = ndimage.binary_fill_holes(smoothed > level)
    found = segment(image, smooth_px=1.5, correction=correction, min_area_px=1, diameter_px=10)
    assert expected.any()
    np.testing.assert_array_equal(found > 0, expected)


def test_holes_are_filled():
    ring = disc((40, 40), (20, 20), 12) & ~disc((40, 40), (20, 20), 6)
    np.testing.assert_array_equal(segment(scene(ring), **EVERYTHING), disc((40, 40), (20, 20), 12))


def test_smoothing_takes_single_bright_pixels_away():
    image = scene(disc((60, 60), (30, 30), 10))
    image[5, 5] = 100
    assert segment(image, smooth_px=0, min_area_px=1).max() == 2
    assert segment(image, smooth_px=1.5, min_area_px=1).max() == 1


def test_the_local_threshold_follows_uneven_light():
    shape, centers = (256, 256), [(y, x) for y in range(32, 256, 48) for x in range(32, 256, 48)]
    cells = ndimage.gaussian_filter(np.any([disc(shape, center, 9) for center in centers], axis=0) * 1.0, 1)
    light = np.linspace(1, 0.25, shape[1])  # from left to right
    image = np.random.default_rng(0).poisson(light * (100 + 500 * cells)).astype(np.uint16)
    found = {method: segment(image, threshold=method, diameter_px=18) for method in ("otsu", "local")}
    assert found["otsu"].max() == 20
    assert not found["otsu"][:, 200:].any()
    area = np.bincount(found["local"].ravel())[1:]
    assert len(area) == 25
    assert area.min() > 180  # of 253
    assert area.max() < 400


def test_the_local_threshold_leaves_empty_regions_empty():
    image = np.random.default_rng(0).poisson(100, (256, 256)).astype(np.uint16)
    image[disc(image.shape, (40, 40), 10)] += 400
    found = segment(image, threshold="local", diameter_px=20)
    assert found.max() == 1
    assert found[40, 40] == 1


@pytest.mark.parametrize("vignetting", [0.0, 0.25])
@pytest.mark.parametrize("threshold", ["otsu", "local"])
def test_a_field_without_objects_is_empty(threshold, vignetting):
    """Otsu has no idea of emptiness: without the check of the contrast noise becomes objects."""
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    light = 300 * (1 - vignetting * (y**2 + x**2) / 2)
    noise = np.random.default_rng(0).poisson(light).astype(np.uint16)
    assert segment(noise, threshold=threshold).max() == 0
    assert segment(noise, threshold=threshold, min_contrast=0).max() > 0


def test_a_single_object_in_an_empty_field_is_found():
    rng = np.random.default_rng(0)
    field = rng.poisson(300 + 200 * disc((256, 256), (100, 140), 10)).astype(np.uint16)
    found = segment(field)
    assert found.max() == 1
    assert found[100, 140] == 1


@pytest.mark.parametrize("offset", [0, 300, 20_000])
def test_the_offset_of_the_camera_does_not_matter(offset):
    image = blobs((96, 120)).astype(np.uint16)
    np.testing.assert_array_equal(segment(image + np.uint16(offset), correction=0.8), segment(image, correction=0.8))


@settings(deadline=None, max_examples=30)
@given(angle=st.floats(0, np.pi), apart=st.floats(1.5, 1.9), radius=st.floats(8, 14))
def test_two_touching_discs_are_two(angle, apart, radius):
    middle, half = np.array([40.0, 40.0]), apart * radius / 2 * np.array([np.sin(angle), np.cos(angle)])
    discs = [disc((80, 80), middle + side * half, radius) for side in (-1, 1)]
    found = split_touching(np.any(discs, axis=0), 2 * radius)
    assert found.max() == 2
    for own, other in (discs, discs[::-1]):
        alone = found[own & ~other]
        assert (alone == np.bincount(alone).argmax()).mean() > 0.97


@settings(deadline=None, max_examples=20)
@given(angle=st.floats(0, np.pi), apart=st.floats(0.55, 0.7), radius=st.floats(12, 16))
def test_peaks_nearer_than_four_tenths_of_the_diameter_are_one_object(angle, apart, radius):
    half = apart * radius / 2 * np.array([np.sin(angle), np.cos(angle)])
    mask = np.any([disc((80, 80), 40 + side * half, radius) for side in (-1, 1)], axis=0)
    np.testing.assert_array_equal(split_touching(mask, 2 * radius), mask)


@settings(deadline=None, max_examples=30)
@given(angle=st.floats(0, np.pi), ratio=st.floats(1, 2.2), radius=st.floats(7, 12))
def test_an_ellipse_stays_whole(angle, ratio, radius):
    y, x = np.indices((80, 80)) - 40.0
    along, across = y * np.sin(angle) + x * np.cos(angle), y * np.cos(angle) - x * np.sin(angle)
    mask = (along / (radius * ratio)) ** 2 + (across / radius) ** 2 <= 1
    np.testing.assert_array_equal(split_touching(mask, 2 * radius), mask)


@settings(deadline=None, max_examples=60)
@given(
    mask=hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24)),
    coarse=st.booleans(),
    diameter_px=st.sampled_from([2.0, 8.0, 30.0]),
)
def test_splitting_loses_and_joins_nothing(mask, coarse, diameter_px):
    mask = np.kron(mask, np.ones((3, 3), np.bool_)) if coarse else mask
    found = split_touching(mask, diameter_px)
    np.testing.assert_array_equal(found > 0, mask)
    for label in range(1, found.max() + 1):
        assert ndimage.label(found == label)[1] == 1


def test_areas_bound_what_is_kept():
    masks = [disc((60, 120), (30, x), radius) for x, radius in ((15, 3), (50, 8), (95, 14))]
    areas = [int(mask.sum()) for mask in masks]
    image = scene(*masks)
    wide = {**EVERYTHING, "diameter_px": 30}

    def kept(**bounds):
        return np.bincount(segment(image, **{**wide, **bounds}).ravel())[1:].tolist()

    assert sorted(kept()) == areas
    assert sorted(kept(min_area_px=areas[1])) == areas[1:]
    assert sorted(kept(min_area_px=areas[1] + 1)) == areas[2:]
    assert sorted(kept(max_area_px=areas[1])) == areas[:2]
    assert sorted(kept(max_area_px=areas[1] - 1)) == areas[:1]
    assert kept(min_area_px=areas[1], max_area_px=areas[1]) == areas[1:2]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_numbers_run_in_raster_order_of_the_first_pixel(seed):
    rng = np.random.default_rng(seed)
    spots = ndimage.gaussian_filter(rng.random((64, 64)), 3)
    found = segment((1000 * spots).astype(np.float32), smooth_px=0, min_area_px=5, diameter_px=6, min_contrast=0)
    ids, first = np.unique(found[found > 0], return_index=True)
    assert len(ids) > 1
    assert ids.tolist() == list(range(1, len(ids) + 1))
    assert (np.diff(first) > 0).all()


def test_smooth_gives_float32_and_leaves_the_image():
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert smooth(image, 0).dtype == smooth(image, 2).dtype == np.float32
    np.testing.assert_array_equal(smooth(image, 0), image)
    assert not np.shares_memory(smooth(image.astype(np.float32), 0), image)


@pytest.mark.parametrize("method", ["otsu", "local"])
def test_a_constant_image_has_no_foreground(method):
    assert not foreground(np.full((5, 6), 7, np.float32), method, 0.5, 10).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": "li"}, "'otsu' or 'local'"),
        ({"correction": 0}, "greater than 0"),
        ({"diameter_px": 1}, "greater than 1"),
        ({"min_area_px": 0}, "greater than or equal to 1"),
        ({"smooth": 1}, "Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        ThresholdParams(**settings)
