"""Hulls, circles, holes, radii and moments: kernels against their twins, values by hand, families at their limits."""

from __future__ import annotations

import centrosome.zernike
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.polynomial.chebyshev import chebval2d

from hts.errors import UsageError
from hts.stages.measure.features import families
from hts.stages.measure.shared.objects import FieldData
from hts.stages.measure.shared.zernike import zernike_indices, zernike_matrix
from tests.reference.features.peers import ParityField
from tests.reference.features.shape import sizes_of
from tests.reference.outline import KERNELS, power_sums_exact, power_sums_found

LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.integers(0, 3)
)
OF_LABELS, (DISC, WEIGHTED) = KERNELS[:-2], KERNELS[-2:]


@pytest.mark.parametrize("row", OF_LABELS, ids=lambda row: row.kernel.rpartition(".")[2])
@settings(deadline=None, max_examples=60)
@given(labels=LABELS)
def test_kernels_equal_their_twin(row, labels):
    ours, theirs = row.call(labels, 4), row.twin(labels, 4)
    if isinstance(ours, list):
        assert ours == theirs
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("row", [DISC, WEIGHTED], ids=["shape", "values"])
@pytest.mark.parametrize("dtype", WEIGHTED.dtypes)
@settings(deadline=None, max_examples=40)
@given(labels=LABELS)
def test_sums_in_discs_equal_their_twin(row, dtype, labels):
    image = None if row is DISC else (np.arange(labels.size).reshape(labels.shape) * 7 % 50).astype(dtype)
    np.testing.assert_allclose(row.call(labels, image, 4), row.twin(labels, image, 4), rtol=1e-11, atol=1e-9)


NAMES = ("shape", "moments", "zernike", "radial_zernike")


def values_of(labels, images=(), count=None, origin=(0, 0), degree=9):
    """All features by name of the families of this file, with every warning an error."""
    planes = (
        np.array(images).reshape(len(images), *labels.shape) if len(images) else np.zeros((0, *labels.shape), np.uint16)
    )
    roles, count = ("dna", "er")[: len(planes)], int(labels.max(initial=0)) if count is None else count
    field = FieldData({"cells": labels}, planes, roles, count, origin, (500, 500), (65535.0,) * len(planes))
    options = {"zernike": {"degree": degree}, "radial_zernike": {"degree": degree}}
    found = {}
    with np.errstate(all="raise"):
        for family in families(NAMES, options):
            computed = family.compute(field.sets["cells"])
            assert [info.name for info in family.catalogue(roles)] == list(computed)
            found.update(computed)
    return found


def of_picture(*rows):
    """Features of one object, drawn."""
    labels = np.array([[int(pixel == "#") for pixel in row] for row in rows], np.int32)
    return {name.removeprefix("AreaShape_"): values.item() for name, values in values_of(labels).items()}


def test_three_pixels_by_hand():
    """Corners (0, 0), (0, 1), (1, 0): a right triangle, with its circle around the middle of the long side."""
    found = of_picture("##", "#.")
    expected = {
        "MaxFeretDiameter": 2**0.5,
        "MinFeretDiameter": 0.5**0.5,
        "ConvexArea": 3,
        "Solidity": 1,
        "EulerNumber": 1,
        "FilledArea": 3,
        "MaximumRadius": 1,
        "MedianRadius": 1,
        "Convexity": (2 + 2**0.5) / found["Perimeter"],
        "SpatialMoment_0_1": 1,
        "SpatialMoment_1_1": 0,
        "SpatialMoment_2_0": 1,
        "CentralMoment_2_0": 2 / 3,
        "CentralMoment_1_1": -1 / 3,
        "NormalizedMoment_1_1": -1 / 27,
        "HuMoment_0": 4 / 27,
        "InertiaTensor_0_1": 1 / 9,
        "InertiaTensorEigenvalues_0": 1 / 3,
        "InertiaTensorEigenvalues_1": 1 / 9,
        "Zernike_0_0": 3 / (np.pi / 2),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_two_pixels_have_a_direction():
    """At x = -1 with 3 and x = 1 with 1: the moment of degree 1 is i (1 - 3), of which CellProfiler's phase is pi."""
    labels, image = np.array([[1, 1]], np.int32), np.array([[3, 1]], np.uint16)
    found = values_of(labels, [image])
    assert found["AreaShape_Zernike_1_1"].item() == 0
    assert found["AreaShape_Zernike_2_2"].item() == pytest.approx(2 / (np.pi / 4))
    assert found["RadialDistribution_ZernikeMagnitude_DNA_0_0"].item() == 2
    assert found["RadialDistribution_ZernikeMagnitude_DNA_1_1"].item() == pytest.approx(1)
    assert abs(found["RadialDistribution_ZernikePhase_DNA_1_1"].item()) == pytest.approx(np.pi)
    assert found["AreaShape_MinFeretDiameter"].item() == 0
    assert found["AreaShape_MaxFeretDiameter"].item() == 1


@pytest.mark.parametrize(
    ("picture", "euler", "filled", "convex"),
    [
        (("###", "#.#", "###"), 0, 9, 9),
        ((".#.", "#.#", ".#."), 0, 4, 5),  # the hole leaks over its corners, and is one all the same
        (("#..", "...", "..#"), 2, 2, 3),
        (("#.", ".#"), 1, 2, 2),
        (("#####", "#.#.#", "##.##", "#####"), -2, 20, 20),  # holes that touch over a corner are filled as one
        (("####", "#...", "####"), 1, 9, 12),  # a bay is no hole
    ],
)
def test_pieces_and_holes(picture, euler, filled, convex):
    found = of_picture(*picture)
    assert (found["EulerNumber"], found["FilledArea"], found["ConvexArea"]) == (euler, filled, convex)


def test_one_pixel():
    found = values_of(np.ones((1, 1), np.int32), [np.full((1, 1), 9, np.uint16)])
    undefined = {name for name, value in found.items() if np.isnan(value.item())}
    assert {name for name in found if "Zernike" in name} < undefined
    assert undefined - {name for name in found if "Zernike" in name} == {
        "AreaShape_FormFactor",
        "AreaShape_Convexity",
        *(f"AreaShape_NormalizedMoment_{order}" for order in ("0_0", "0_1", "1_0")),
    }
    assert found["AreaShape_MaximumRadius"].item() == found["AreaShape_ConvexArea"].item() == 1
    assert found["AreaShape_MaxFeretDiameter"].item() == 0


def test_gaps_and_pixels_that_are_not_finite():
    labels = np.repeat(np.array([[1, 1, 3, 3, 5, 5]], np.int32), 3, axis=0)
    images = np.arange(36, dtype=np.float32).reshape(2, 3, 6)
    images[0, 1, 2], images[1, 0, 5] = np.nan, np.inf
    found = values_of(labels, images, count=6)
    for name, values in found.items():
        expected = {"DNA": [0, 4], "ER": [0, 2]}.get(name.split("_")[2] if "Radial" in name else "", [0, 2, 4])
        if not name.endswith(("NormalizedMoment_0_0", "NormalizedMoment_0_1", "NormalizedMoment_1_0")):
            np.testing.assert_array_equal(np.flatnonzero(~np.isnan(values)), expected, err_msg=name)


@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (7, 7)])
def test_no_objects(shape):
    found = values_of(np.zeros(shape, np.int32), [np.zeros(shape, np.uint16)])
    assert {values.shape for values in found.values()} == {(0,)}


def test_many_small_objects():
    labels = np.kron(np.arange(40_000, dtype=np.int32).reshape(200, 200) + 1, np.array([[1, 1], [1, 0]], np.int32))
    found = values_of(labels, [np.full(labels.shape, 7, np.uint16)])
    for name in ("Zernike_4_2", "ConvexArea", "MedianRadius", "HuMoment_1"):
        assert np.ptp(found[f"AreaShape_{name}"]) < 1e-12
    np.testing.assert_allclose(found["RadialDistribution_ZernikeMagnitude_DNA_0_0"], 7)


def test_a_part_of_a_field_gives_the_same_numbers_to_the_last_digit():
    rng = np.random.default_rng(5)
    y, x = np.indices((90, 80))
    labels = ((y - 41.2) ** 2 + (x - 37.7) ** 2 < 30**2).astype(np.int32)
    image = rng.integers(0, 4000, labels.shape).astype(np.uint16)
    whole, part = values_of(labels, [image]), values_of(labels[9:80, 5:], [image[9:80, 5:]], origin=(9, 5))
    for name, values in whole.items():
        np.testing.assert_array_equal(values, part[name], err_msg=name)


def test_moments_that_vanish_do_so_on_their_scale():
    """Odd moments of a disc and of a rectangle are 0; ours are 0 but for 1e-13 of what does not cancel."""
    y, x = np.indices((90, 150))
    labels = np.where((y - 45) ** 2 + (x - 40) ** 2 < 38**2, 1, 0).astype(np.int32)
    labels[20:71, 90:140] = 2
    found, sizes = power_sums_found(labels, 2)[1], sizes_of(ParityField("", labels, np.zeros((0, 90, 150)), ()))
    exact = power_sums_exact(labels, 2)[1]
    for p in range(3):
        for q in range(4):
            assert (np.abs(found - exact)[:, p, q] <= 1e-13 * sizes[f"CentralMoment_{p}_{q}"]).all()


@pytest.mark.parametrize("degree", [0, 1, 9, 20])
def test_polynomials_of_any_degree_are_centrosomes(degree):
    rng = np.random.default_rng(0)
    radius, angle = np.sqrt(rng.random(50)), rng.random(50) * 7
    y, x = radius * np.cos(angle), radius * np.sin(angle)
    one = np.eye(degree + 1)
    products = [chebval2d(y, x, np.outer(one[q], one[p])) for q in range(degree + 1) for p in range(degree + 1 - q)]
    theirs = centrosome.zernike.construct_zernike_polynomials(x, y, np.array(zernike_indices(degree)))
    np.testing.assert_allclose(zernike_matrix(degree) @ products, theirs.T, atol=1e-13 * 3.0**degree)


def test_the_degree_is_a_setting():
    labels, image = np.ones((7, 5), np.int32), np.arange(35, dtype=np.uint16).reshape(7, 5)
    four, nine = values_of(labels, [image], degree=4), values_of(labels, [image])
    assert len([name for name in four if "_Zernike_" in name]) == 9
    for name, values in four.items():
        np.testing.assert_allclose(values, nine[name], rtol=1e-9, atol=1e-9)
    with pytest.raises(UsageError, match=r"settings of feature family zernike.*\n.*degree"):
        families(("zernike",), {"zernike": {"degree": -1}})
