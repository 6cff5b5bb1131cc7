"""The fused pass against its slow twin, on random labels, and what it refuses."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import hts
from hts.errors import StageError
from hts.stages.measure import warm_up
from hts.stages.measure.shared.moments import MAX_SIDE_PX, ObjectMoments, object_moments
from tests.reference.rows import KernelRow
from tests.reference.table import KERNELS

MEASURE = [row for row in KERNELS if "_kernels_moments." in row.kernel]
CASES = [pytest.param(row, dtype, id=dtype.__name__) for row in MEASURE for dtype in row.dtypes]


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    warm_up()


@st.composite
def fields(draw, dtype):
    """Labels with touching, single-pixel, border and missing objects, and two channels."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))
    blocky = draw(hnp.arrays(np.int32, shape, elements=st.integers(0, 6), fill=st.just(0)))
    if draw(st.booleans()):  # larger, smoother objects with inner pixels
        blocky = np.kron(blocky, np.ones((3, 4), dtype=np.int32))
    top = 1e6 if dtype is np.float32 else np.iinfo(dtype).max
    seed = draw(st.integers(0, 2**32 - 1))
    images = np.random.default_rng(seed).uniform(0, top, (2, *blocky.shape)).astype(dtype)
    return blocky, images


def about_zero(m: ObjectMoments, dtype) -> dict[str, np.ndarray]:
    """The sums of ``m`` by name, with the shift of float images undone."""
    area, shift = m.area[:, None], m.shift
    found = {name: getattr(m, name) for name in vars(m) if name != "shift"}
    if dtype is np.float32:
        found["total"] = m.total + area * shift
        found["squares"] = m.squares + 2 * shift * m.total + area * shift**2
    return found


@pytest.mark.parametrize(("row", "dtype"), CASES)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_kernel_equals_its_twin(row: KernelRow, dtype, data):
    labels, images = data.draw(fields(dtype))
    expected = row.twin(labels, images, 7)
    found = about_zero(row.call(labels, images, 7), dtype)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if np.issubdtype(values.dtype, np.integer):
            np.testing.assert_array_equal(found[name], values, err_msg=name)
        else:
            np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)


def test_every_kernel_has_a_twin():
    root = Path(hts.__file__).parent
    public = {
        ".".join(("hts", *path.relative_to(root).with_suffix("").parts, node.name))
        for path in (root / "stages").rglob("_kernels*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.decorator_list and not node.name.startswith("_")
    }
    assert public == {row.kernel for row in KERNELS}


@pytest.mark.parametrize(("row", "dtype"), CASES)
def test_image_edges_and_thin_fields(row: KernelRow, dtype):
    for shape in ((1, 1), (1, 5), (5, 1), (2, 2), (3, 3), (4, 7)):
        labels = np.ones(shape, dtype=np.int32)
        images = np.arange(2 * labels.size).reshape(2, *shape).astype(dtype)
        expected = row.twin(labels, images, 1)
        found = row.call(labels, images)
        assert found.perimeter_px == pytest.approx(expected["perimeter_px"], rel=1e-12)
        assert found.bbox.tolist() == [[0, 0, *shape]]


def test_sums_of_a_full_bright_field_are_exact():
    side = 2048
    labels = np.ones((side, side), dtype=np.int32)
    m = object_moments(labels, np.full((1, side, side), 65535, dtype=np.uint16))
    along = sum(range(side))
    assert m.total.item() == 65535 * side**2
    assert m.squares.item() == 65535**2 * side**2
    assert m.sum_xx.item() == m.sum_yy.item() == side * sum(x * x for x in range(side))
    assert m.sum_xy.item() == along**2
    assert m.squared_deviations(0).item() == 0.0


def test_sums_fit_at_the_largest_side():
    labels = np.zeros((3, MAX_SIDE_PX), dtype=np.int32)
    labels[1] = 1
    m = object_moments(labels, np.full((1, *labels.shape), 65535, dtype=np.uint16))
    assert m.total.item() == 65535 * MAX_SIDE_PX
    assert m.squares.item() == 65535**2 * MAX_SIDE_PX
    assert m.sum_xx.item() == sum(x * x for x in range(MAX_SIDE_PX))


@pytest.mark.parametrize(("dtype", "base"), [(np.uint16, 65000), (np.float32, 1e7)])
def test_flat_bright_objects_keep_their_deviation(dtype, base):
    image = np.full((397, 401), base, dtype=dtype)
    image[::3, ::7] += 1
    labels = np.ones(image.shape, dtype=np.int32)
    m = object_moments(labels, image[None])
    raised = int((image > base).sum())
    expected = raised - raised**2 / image.size
    assert m.squared_deviations(0).item() == pytest.approx(expected, rel=1e-12)


def test_a_hot_first_pixel_spoils_no_digits():
    image = np.full((300, 300), 10.0, dtype=np.float32)
    image[::2] = 11.0
    image[0, 0] = 60000.0
    m = object_moments(np.ones(image.shape, dtype=np.int32), image[None])
    assert m.squared_deviations(0).item() == pytest.approx(image.astype(np.float64).var() * image.size, rel=1e-10)
    assert m.mean(0).item() == pytest.approx(image.astype(np.float64).mean(), rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (1, 1)])
def test_a_pixel_that_is_not_finite_marks_its_object_only(bad, place):
    labels = np.array([[1, 1, 2], [1, 1, 2]], dtype=np.int32)
    image = np.arange(6, dtype=np.float32).reshape(2, 3)
    image[place] = bad
    m = object_moments(labels, np.stack([image, np.ones_like(image)]))
    assert np.isnan(m.lowest[0, 0])
    assert np.isnan(m.integrated(0)[0])
    assert np.isnan(m.squared_deviations(0)[0])
    assert m.integrated(0)[1] == 7.0
    assert m.integrated(1).tolist() == [4.0, 2.0]


def test_read_only_and_strided_arrays_are_measured_alike():
    labels = np.array([[1, 2, 2], [1, 0, 2]], dtype=np.int32)
    images = np.arange(12, dtype=np.uint16).reshape(2, 2, 3)
    expected = object_moments(labels, images)
    labels.flags.writeable = False
    strided = np.asfortranarray(images)
    found = object_moments(labels, strided)
    assert found.total.tolist() == expected.total.tolist()
    assert images.flags.writeable


def test_no_labels_no_channels_no_pixels():
    m = object_moments(np.zeros((4, 5), dtype=np.int32), np.zeros((2, 4, 5), dtype=np.uint8))
    assert m.area.shape == (0,)
    assert m.total.shape == (0, 2)
    assert object_moments(np.ones((2, 2), np.int32), np.zeros((0, 2, 2), np.uint16)).area.tolist() == [4]
    assert object_moments(np.zeros((0, 3), np.int32), np.zeros((1, 0, 3), np.uint16)).area.size == 0


@pytest.mark.parametrize(
    ("labels", "images", "message"),
    [
        (np.zeros((2, 2), np.int64), np.zeros((1, 2, 2), np.uint8), "type int32\n  found: int64"),
        (np.zeros((1, 2, 2), np.int32), np.zeros((1, 2, 2), np.uint8), r"labels of shape \(Y, X\)"),
        (np.zeros((2, 2), np.int32), np.zeros((1, 2, 2), np.float64), "uint8, uint16 or float32\n  found: float64"),
        (np.zeros((2, 2), np.int32), np.zeros((1, 2, 3), np.uint8), r"images of shape \(C, 2, 2\)"),
        (np.zeros((2, 2), np.int32), np.zeros((2, 2), np.uint8), r"images of shape \(C, 2, 2\)"),
        (
            np.array([[0, -3]], np.int32),
            np.zeros((1, 1, 2), np.uint8),
            r"labels of 0 \(background\).*\n  found: label -3",
        ),
        (
            np.array([[0, 2**31 - 1]], np.int32),
            np.zeros((1, 1, 2), np.uint8),
            "labels up to the number of pixels, 2, or 1000000",
        ),
        (np.zeros((1, 32769), np.int32), np.zeros((0, 1, 32769), np.uint8), "at most 32768 pixels a side"),
    ],
)
def test_bad_arrays_are_refused(labels, images, message):
    with pytest.raises(StageError, match=message):
        object_moments(labels, images)


def test_labels_above_count_are_refused():
    labels, images = np.full((2, 2), 3, np.int32), np.zeros((1, 2, 2), np.uint8)
    with pytest.raises(StageError, match="labels from 0 to 2\n  found: label 3"):
        object_moments(labels, images, count=2)
