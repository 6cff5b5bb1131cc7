"""The feature families against their twin and against scikit-image, and how families are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hts.errors import UsageError
from hts.stages.measure import MeasureParams, channel_token
from hts.stages.measure.families.correlation import CorrelationFeatures
from hts.stages.measure.families.intensity import IntensityFeatures
from hts.stages.measure.families.shape import ShapeFeatures
from hts.stages.measure.features import families
from hts.stages.measure.field import _field_data
from tests.reference import measure as twin

BUILT_IN = (ShapeFeatures(), IntensityFeatures(), CorrelationFeatures())
ROLES = ("c0", "c1", "c2")


def objects_of(labels, images, count=None):
    field = _field_data({"cells": labels}, dict(zip(ROLES, images, strict=True)), MeasureParams(), None, 1)
    return replace(field, count=count or field.count).sets["cells"]


def computed(labels, images, count=None):
    objects = objects_of(labels, images, count)
    return {name: value for family in BUILT_IN for name, value in family.compute(objects).items()}


def touching_cells(seed, side=48, cells=9):
    """Cells around random seeds, some at the frame, and three channels of 16 bits that go together."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros((side, side), dtype=np.int32)
    seeds.flat[rng.choice(side * side, cells, replace=False)] = np.arange(1, cells + 1)
    distance, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    labels = np.where(distance < rng.uniform(2, 14), seeds[tuple(nearest)], 0).astype(np.int32)
    first = rng.integers(0, 60000, labels.shape)
    images = np.stack([first, 60000 - first + rng.integers(0, 500, labels.shape), rng.integers(0, 9, labels.shape)])
    return labels, images.astype(np.uint16)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_features_equal_their_twin(seed):
    labels, images = touching_cells(seed)
    labels[labels == 4] = 0  # a gap
    ours = computed(labels, images)
    for name, expected in twin.features(labels, images, len(ours["AreaShape_Area"])).items():
        if name.endswith(("MinorAxisLength", "MajorAxisLength")):  # the twin loses digits in lines: compare variances
            np.testing.assert_allclose(ours[name] ** 2, expected**2, rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_allclose(ours[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_features_equal_scikit_image(seed):
    labels, images = touching_cells(seed)
    ours = computed(labels, images)
    peer = twin.scikit_image(labels, np.moveaxis(images, 0, -1))
    assert peer.keys() <= ours.keys()
    round_objects = ours["AreaShape_Eccentricity"] < 1e-4
    for name, expected in peer.items():
        if name.endswith("Orientation"):  # an angle is the same after half a turn, and means nothing in a circle
            apart = np.abs(ours[name] - expected)[~round_objects]
            np.testing.assert_allclose(np.minimum(apart, 180 - apart), 0, atol=1e-6, err_msg=name)
        elif name.endswith(("AxisLength", "Eccentricity")):  # roots: the peer loses digits near 0
            np.testing.assert_allclose(ours[name] ** 2, expected**2, rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_allclose(ours[name], expected, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("pixels", "degrees"),
    [
        ([(0, 0), (1, 0), (2, 0)], 0.0),
        ([(0, 0), (0, 1), (0, 2)], 90.0),
        ([(0, 0), (1, 1), (2, 2)], 45.0),
        ([(0, 2), (1, 1), (2, 0)], -45.0),
        ([(0, 0), (0, 1), (1, 0), (1, 1)], -45.0),
    ],
)
def test_orientation_is_the_angle_to_the_row_axis(pixels, degrees):
    labels = np.zeros((3, 3), dtype=np.int32)
    labels[tuple(zip(*pixels, strict=True))] = 1
    ours = computed(labels, np.zeros((3, 3, 3), np.uint8))
    assert ours["AreaShape_Orientation"].item() == degrees
    peer = twin.scikit_image(labels, np.zeros((3, 3, 3), np.uint8))
    assert peer["AreaShape_Orientation"].item() == pytest.approx(degrees)


def test_an_object_without_pixels_has_no_value():
    labels = np.array([[1, 1, 3, 3]], dtype=np.int32)
    for dtype in (np.uint16, np.float32):
        images = np.arange(12).reshape(3, 1, 4).astype(dtype)
        with np.errstate(all="raise"):
            ours = computed(labels, images, count=4)
        np.testing.assert_array_equal(ours.pop("AreaShape_Area"), [2, np.nan, 2, np.nan])
        for name, values in ours.items():
            assert np.isnan(values[[1, 3]]).all(), name
            assert np.isfinite(values[[0, 2]]).all() or name.endswith(("FormFactor", "Convexity")), name


def test_one_pixel_has_no_outline_and_no_correlation():
    ours = computed(np.ones((1, 1), np.int32), np.ones((3, 1, 1), np.uint8))
    assert ours["AreaShape_Perimeter"].item() == ours["AreaShape_Compactness"].item() == 0
    assert ours["AreaShape_Eccentricity"].item() == ours["Intensity_StdIntensity_C0"].item() == 0
    assert np.isnan(ours["AreaShape_FormFactor"].item())
    assert np.isnan(ours["Correlation_Correlation_C0_C1"].item())


def test_correlation_of_equal_opposite_and_constant_channels():
    ramp = np.arange(50, dtype=np.uint16).reshape(5, 10)
    ours = computed(np.ones(ramp.shape, np.int32), np.stack([ramp + 65000, 49 - ramp, np.full_like(ramp, 7)]))
    assert ours["Correlation_Correlation_C0_C1"].item() == -1.0
    assert np.isnan(ours["Correlation_Correlation_C0_C2"].item())


@pytest.mark.parametrize("family", BUILT_IN, ids=lambda family: family.name)
def test_a_family_computes_what_it_declares(family):
    infos = family.catalogue(ROLES)
    values = family.compute(objects_of(*touching_cells(0)))
    assert [info.name for info in infos] == list(values)
    assert all(value.dtype == np.float64 for value in values.values())
    assert all(info.family == family.name and info.unit and info.definition for info in infos)


def test_channel_tokens():
    assert [channel_token(role) for role in ("dna", "er", "reporter", "agp")] == ["DNA", "ER", "Reporter", "AGP"]


def test_families_come_from_entry_points_once_and_in_order():
    found = families(("intensity", "shape", "intensity"))
    assert [family.name for family in found] == ["intensity", "shape"]


def test_an_unknown_family_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"correlation, .*shape.*\n  found: 'shap'.*\n.*did you mean 'shape'"):
        families(("shap",))
    with pytest.raises(UsageError, match="install the package that provides it"):
        families(("haralick",))
