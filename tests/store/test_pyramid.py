from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hts.store.pyramid import SMALLEST_PX, halve_image, halve_labels, level_shapes

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


def _twin(plane: np.ndarray) -> np.ndarray:
    """Mean of each 2 × 2 block, one at a time in Python's numbers; what lies outside is the nearest pixel inside."""
    rows, columns = plane.shape
    out = np.zeros((-(-rows // 2), -(-columns // 2)), plane.dtype)
    for y, x in np.ndindex(out.shape):
        ys, xs = (2 * y, min(2 * y + 1, rows - 1)), (2 * x, min(2 * x + 1, columns - 1))
        values = [plane[a, b].item() for a in ys for b in xs]
        out[y, x] = (sum(values) + 2) // 4 if np.issubdtype(plane.dtype, np.integer) else sum(values) / 4
    return out


@settings(max_examples=60)
@given(
    st.sampled_from(["u1", "u2", "u4", "i2"]).flatmap(
        lambda dtype: hnp.arrays(dtype, SHAPES, elements=hnp.from_dtype(np.dtype(dtype)))
    )
)
def test_halving_integers_is_the_rounded_area_average(plane):
    half = halve_image(plane)
    assert half.dtype == plane.dtype
    np.testing.assert_array_equal(half, _twin(plane))


@settings(max_examples=40)
@given(hnp.arrays("f4", SHAPES, elements=st.floats(0, 65535, width=32)))
def test_halving_floats_is_the_area_average(plane):
    half = halve_image(plane)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, _twin(plane), rtol=1e-6)


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
