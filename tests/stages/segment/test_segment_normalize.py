"""Percentile normalisation: equal to NumPy's percentiles, pooled like one image, and no pixel that breaks it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hts.errors import StageError
from hts.stages.segment import normalize as module
from hts.stages.segment._kernels_normalize import count_levels, scale_finite, scale_pixels
from hts.stages.segment.normalize import Limits, distribution, limits, normalize, pooled, pooled_limits
from tests.reference import normalize as reference

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)


@pytest.mark.parametrize(("dtype", "levels"), [(np.uint8, 256), (np.uint16, 65_536)])
@pytest.mark.parametrize("size", [0, 1, 2, 777])
def test_levels_are_counted(dtype, levels, size):
    pixels = np.random.default_rng(size).integers(0, min(levels, 300), size).astype(dtype)
    counts = np.zeros(levels, np.int64)
    counts[3] = 5  # what was counted before stays
    count_levels(pixels, counts)
    counts[3] -= 5
    np.testing.assert_array_equal(counts[:300], reference.count_levels(pixels, levels if levels < 300 else 300))
    assert counts.sum() == size


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_pixels_are_scaled(dtype):
    pixels = np.random.default_rng(0).integers(0, 200, 501).astype(dtype)
    out = np.empty(501, np.float32)
    kernel, twin = (
        (scale_finite, reference.scale_finite) if pixels.dtype.kind == "f" else (scale_pixels, reference.scale_pixels)
    )
    kernel(pixels, 12.5, 91.0, out)
    np.testing.assert_allclose(out, twin(pixels, 12.5, 91.0), rtol=1e-6, atol=2e-7)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16]), SHAPES))
def test_limits_of_integers_are_those_of_numpy(image):
    found = limits(image)
    np.testing.assert_allclose((found.low, found.high), np.percentile(image, (1, 99)), rtol=2e-7)
    assert found.n_invalid == 0


@pytest.mark.parametrize("dtype", [np.bool_, np.int16, np.int32, np.uint32, np.float16, np.float32, np.float64])
def test_limits_of_other_types_are_those_of_numpy(dtype):
    image = np.random.default_rng(1).integers(0, 2 if dtype is np.bool_ else 30_000, (50, 60)).astype(dtype)
    expected = np.percentile(image.astype(np.float64), (1, 99))
    found = limits(image)
    np.testing.assert_allclose((found.low, found.high), expected, rtol=2e-7)
    scaled = normalize(image, found)
    assert scaled.dtype == np.float32
    wanted = (image.astype(np.float64) - found.low) / (found.high - found.low)
    np.testing.assert_allclose(scaled, wanted, rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_images_of_a_plate_together_are_as_one_image(dtype):
    rng = np.random.default_rng(2)
    images = [rng.integers(10 * n, 120 + 30 * n, (61, 47 + n)).astype(dtype) for n in range(4)]
    together = np.concatenate([image.ravel() for image in images])[None]
    found = pooled_limits(distribution(image) for image in images)
    np.testing.assert_allclose((found.low, found.high), np.percentile(together, (1, 99)), rtol=2e-7)
    one_by_one = pooled([])
    for image in images:
        one_by_one = pooled([one_by_one, distribution(image)])
    assert pooled_limits([one_by_one]) == found
    assert one_by_one.values.size == np.unique(together).size


def test_large_float_images_are_pooled_by_their_quantiles():
    rng = np.random.default_rng(3)
    images = [rng.normal(100 * n, 10, (200, 300)) for n in range(3)]
    found = pooled_limits(distribution(image) for image in images)
    exact = np.percentile(np.stack(images), (1, 99))
    np.testing.assert_allclose((found.low, found.high), exact, atol=0.05)
    assert all(distribution(image).values.size == module.SKETCH_POINTS for image in images)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(-1e6, 1e6, width=32)), st.data())
def test_pixels_that_are_no_numbers_are_the_low_limit_and_counted(image, data):
    where = data.draw(hnp.arrays(np.bool_, image.shape))
    broken = np.where(where, np.float32(data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))), image)
    found = limits(broken)
    assert found.n_invalid == np.count_nonzero(where)
    scaled = normalize(broken, found)
    assert np.isfinite(scaled).all()
    assert (scaled[where] == 0).all()
    if not where.all():
        assert (found.low, found.high) == pytest.approx(tuple(np.percentile(image[~where], (1, 99))), rel=2e-7)


@pytest.mark.parametrize("value", [0, 7, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_constant_image_becomes_zeros(value, dtype):
    image = np.full((8, 9), value, dtype)
    assert limits(image).is_constant
    np.testing.assert_array_equal(normalize(image, limits(image)), np.zeros((8, 9), np.float32))


def test_small_numbers_are_no_constant():
    image = np.linspace(0, 1e-5, 1000, dtype=np.float32).reshape(20, 50)
    assert not limits(image).is_constant
    assert normalize(image, limits(image)).max() == pytest.approx(1.01, abs=0.01)
    assert Limits(40_000.0, 40_000.0 * (1 + 1e-8)).is_constant


def test_no_pixels_and_no_finite_pixels():
    assert limits(np.zeros((0, 5), np.uint16)) == Limits(0.0, 0.0)
    assert limits(np.full((2, 3), np.nan)) == Limits(0.0, 0.0, 6)
    assert normalize(np.full((2, 3), np.nan), Limits(0.0, 0.0, 6)).tolist() == [[0.0] * 3] * 2
    assert pooled_limits([]) == Limits(0.0, 0.0)
    assert normalize(np.zeros((0, 5), np.uint16), Limits(0.0, 1.0)).shape == (0, 5)


@pytest.mark.parametrize("dtype", [np.complex64, object, "U3"])
def test_what_is_no_image_is_refused(dtype):
    image = np.zeros((2, 2), dtype)
    for call in (lambda: limits(image), lambda: distribution(image), lambda: normalize(image, Limits(0, 1))):
        with pytest.raises(StageError, match="an image of real numbers\n  found: pixels of type"):
            call()


def test_given_limits_values_beyond_them_and_any_memory_layout():
    image = np.asfortranarray(np.arange(12, dtype=np.uint16).reshape(3, 4))
    scaled = normalize(image, Limits(2.0, 4.0))
    np.testing.assert_allclose(scaled, (np.arange(12).reshape(3, 4) - 2) / 2, atol=1e-6)
    assert scaled.flags.c_contiguous
    assert limits(image) == limits(np.ascontiguousarray(image))
    assert limits(image[::2, 1:]) == limits(image[::2, 1:].copy())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_on_a_gpu_the_same(monkeypatch, dtype):
    """The path of CuPy arrays, which is NumPy's functions by another name."""
    image = np.random.default_rng(4).integers(0, 250, (40, 50)).astype(dtype)
    expected = limits(image), normalize(image, limits(image))
    monkeypatch.setattr(module, "is_on_gpu", lambda _: True)
    assert limits(image) == expected[0]
    np.testing.assert_allclose(normalize(image, expected[0]), expected[1], atol=1e-6)
    assert pooled_limits([distribution(image)]) == pytest.approx(expected[0])
