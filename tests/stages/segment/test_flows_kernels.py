"""Each kernel between flows and masks against its slow twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks._crowded import FieldSpec
from benchmarks.bench_flows import make_flows
from hts.stages.segment import warm_up
from tests.reference.table import KERNELS

ROWS = {row.kernel.rpartition(".")[2]: row for row in KERNELS if ".flows." in row.kernel}
FEW = settings(deadline=None, max_examples=40)


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    warm_up()


@st.composite
def label_images(draw):
    """Objects that touch, have holes, lie in pieces, enclose one another; gaps in the numbers."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=11))
    labels = draw(hnp.arrays(np.int32, shape, elements=st.sampled_from([0, 1, 1, 2, 4, 7]), fill=st.just(0)))
    return np.kron(labels, np.ones((2, 3), np.int32)) if draw(st.booleans()) else labels


@st.composite
def planes_of_ends(draw):
    """Points of which many end in few places, some outside."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    middle = rng.integers(0, shape, (draw(st.integers(1, 6)), 2))
    chosen = middle[rng.integers(0, len(middle), shape[0] * shape[1])]
    spots = (chosen + rng.normal(scale=draw(st.sampled_from([0, 0.8, 2.5])), size=chosen.shape)).round().astype(int)
    places = spots[:, 0].clip(0, shape[0] - 1) * shape[1] + spots[:, 1].clip(0, shape[1] - 1)
    return np.where(rng.random(len(places)) < 0.9, places, -1).astype(np.int32).reshape(shape)


@FEW
@given(labels=label_images())
def test_boxes_and_numbers_and_holes(labels):
    for name in ("object_boxes", "fill_holes"):
        np.testing.assert_array_equal(ROWS[name].call(labels), ROWS[name].twin(labels), err_msg=name)
    for divisor in (2, 3, 100):
        kept = np.arange(labels.max(initial=0) + 1) % divisor > 0
        found = ROWS["renumber"].call(labels, kept)
        np.testing.assert_array_equal(found, ROWS["renumber"].twin(labels, kept))


def test_four_pixels_corner_to_corner_have_a_hole():
    labels = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.int32)
    expected = labels.copy()
    expected[1, 1] = 1
    np.testing.assert_array_equal(ROWS["fill_holes"].call(labels), expected)
    np.testing.assert_array_equal(ROWS["fill_holes"].twin(labels), expected)


@FEW
@given(labels=label_images(), seed=st.integers(0, 2**32 - 1))
def test_heat(labels, seed):
    flows, inside = ROWS["flows_of_objects"].call(labels)
    np.testing.assert_array_equal(inside, labels > 0)
    np.testing.assert_allclose(flows, ROWS["flows_of_objects"].twin(labels), atol=1e-6)
    given_flows = (5 * flows + np.random.default_rng(seed).normal(size=flows.shape)).astype(np.float32)
    errors = ROWS["flow_errors"].call(labels, given_flows)
    np.testing.assert_allclose(errors, ROWS["flow_errors"].twin(labels, given_flows), rtol=1e-9, atol=1e-12)


@FEW
@given(ends=planes_of_ends())
def test_sinks(ends):
    counts = ROWS["count_ends"].call(ends)
    np.testing.assert_array_equal(counts, ROWS["count_ends"].twin(ends))
    seeds = ROWS["find_seeds"].call(counts)
    assert seeds == ROWS["find_seeds"].twin(counts)
    order = np.array(seeds[::-1], np.int64)
    owners = ROWS["grow_sinks"].call(counts, order)
    np.testing.assert_array_equal(owners, ROWS["grow_sinks"].twin(counts, order))
    np.testing.assert_array_equal(ROWS["label_points"].call(ends, owners), ROWS["label_points"].twin(ends, owners))


@FEW
@given(data=st.data(), threshold=st.sampled_from([-np.inf, -1.0, 0.1, np.inf]))
def test_pixels_that_take_part(data, threshold):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6))
    flows = data.draw(hnp.arrays(np.float32, (2, *shape), elements=st.floats(width=32)))
    values = st.one_of(st.floats(width=32), st.just(float(np.float32(0.1))))
    probability = data.draw(hnp.arrays(np.float32, shape, elements=values))
    found = ROWS["prepare_field"].call(flows, probability, threshold)
    for ours, twins in zip(found, ROWS["prepare_field"].twin(flows, probability, threshold), strict=True):
        np.testing.assert_array_equal(ours, twins)
    assert np.isfinite(found[0]).all()


@pytest.mark.parametrize("noise", [0.0, 0.15, 0.4])
@pytest.mark.parametrize("steps", [0, 1, 10, 57, 200])
def test_points_that_stop_early_end_where_all_steps_lead(noise, steps):
    _, flows, probability = make_flows(FieldSpec(side_px=160, cells=12, channels=1), noise=noise)
    field, starts, count = ROWS["prepare_field"].call(flows, probability, 0.0)
    found, expected = (of(field, steps, starts) for of in (ROWS["follow"].call, ROWS["follow"].twin))
    np.testing.assert_array_equal(found < 0, expected < 0)
    off = np.hypot(*(np.array(np.divmod(found, 160)) - np.array(np.divmod(expected, 160))))[starts >= 0]
    assert count > 20000
    assert off.max() < 1.5
    assert (off == 0).mean() > 0.999


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (2, 2), (3, 17), (17, 3)])
def test_points_stay_in_the_plane(shape):
    rng = np.random.default_rng(sum(shape))
    for scale in (1, 50, 1e38):
        flows = (scale * rng.uniform(-3, 3, (2, *shape))).astype(np.float32)
        field, starts, count = ROWS["prepare_field"].call(flows, np.ones(shape, np.float32), 0.0)
        ends = ROWS["follow"].call(field, 40, starts)
        assert count == np.prod(shape)
        assert ends.min() >= 0
        assert ends.max() < count
