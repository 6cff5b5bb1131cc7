from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hts.store.pyramid import SMALLEST_PX, halve_image, halve_labels, level_shapes
from tests.reference.pyramid import halve_floats, halve_integers

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)))
def test_levels_halve_until_the_plane_is_small(shape):
    shapes = level_shapes(shape)
    assert shapes[0] == shape
    assert max(shapes[-1]) < SMALLEST_PX
    for before, after in itertools.pairwise(shapes):
        assert max(before) >= SMALLEST_PX
        assert after == tuple(-(-edge // 2) for edge in before)


def test_known_levels():
    assert level_shapes((640, 640)) == [(640, 640), (320, 320), (160, 160)]
    assert level_shapes((255, 255)) == [(255, 255)]
    assert level_shapes((256, 3)) == [(256, 3), (128, 2)]
    assert len(level_shapes((2048, 2048))) == 5


INTEGERS = ["u1", "<u2", ">u2", "i2", "u4", "i4", "u8", "i8"]


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(INTEGERS).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES, elements=hnp.from_dtype(np.dtype(dtype))))
)
def test_halving_integers_is_the_rounded_area_average(plane):
    half = halve_image(plane)
    assert half.dtype == plane.dtype.newbyteorder("=")
    np.testing.assert_array_equal(half, halve_integers(plane))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["f2", "f4", ">f4", "f8"]).flatmap(
        lambda dtype: hnp.arrays(dtype, SHAPES, elements=st.integers(0, 2000).map(float))
    )
)
def test_halving_floats_is_the_area_average(plane):
    half = halve_image(plane)
    assert half.dtype == plane.dtype.newbyteorder("=")
    np.testing.assert_allclose(half, halve_floats(plane), rtol=1e-3 if plane.dtype.itemsize == 2 else 1e-6)


def test_halving_reads_any_memory_and_keeps_nan():
    plane = np.arange(30, dtype=np.uint16).reshape(5, 6)
    plane.flags.writeable = False
    for view in (plane, plane.T, plane[::-1], plane[:, ::2]):
        np.testing.assert_array_equal(halve_image(view), halve_integers(view))
    assert np.isnan(halve_image(np.array([[1, np.nan], [1, 1]], np.float32))).all()


@given(hnp.arrays("u4", SHAPES, elements=st.integers(0, 2**32 - 1)))
def test_halving_labels_takes_pixels_as_they_are(plane):
    half = halve_labels(plane)
    assert half.shape == tuple(-(-edge // 2) for edge in plane.shape)
    for y, x in np.ndindex(half.shape):
        assert half[y, x] == plane[2 * y, 2 * x]


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_saturated_planes_stay_saturated(dtype):
    full = np.full((5, 4), np.iinfo(dtype).max, dtype)
    assert (halve_image(full) == np.iinfo(dtype).max).all()
