"""Masks from flows against cellpose 3.1, on the host and on a torch device, and on input that is hard or bad."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import ndimage

from benchmarks._crowded import FieldSpec, make_field
from benchmarks.bench_flows import make_flows
from hts.errors import UsageError
from hts.stages.segment import warm_up
from hts.stages.segment.flows import FlowParams, masks, masks_from_flows
from hts.stages.segment.flows.targets import flows_of_labels
from tests.reference.flows import cellpose_flows, cellpose_masks
from tests.stages.segment.matching import overlaps

torch = pytest.importorskip("torch")
from hts.stages.segment.flows import device  # noqa: E402

PARAMS = FlowParams()
SMALL = FieldSpec(side_px=256, cells=40, channels=1)
EVERYTHING = FlowParams(flow_threshold=0, min_area_px=0, max_fraction=1)
pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    warm_up()


@pytest.fixture(autouse=True)
def _seeds_of_equal_height_in_raster_order(monkeypatch):
    """cellpose leaves the order of seeds of equally many points to torch's unstable sort; ours is defined."""
    unstable = torch.Tensor.argsort
    monkeypatch.setattr(torch.Tensor, "argsort", lambda values, **given: unstable(values, **{**given, "stable": True}))


def on_device(flows, probability, params=PARAMS):
    """The torch path, on the CPU."""
    raw = device.raw_masks_on_device(torch.from_numpy(flows), torch.from_numpy(probability), params)
    return masks.finish(raw, params)


def perfect(labels):
    """Flows and probability a network that makes no mistake would give."""
    flows, inside = flows_of_labels(labels)
    return 5 * flows, np.where(inside, 5, -5).astype(np.float32)


def numbered(labels):
    """`labels` 1…n in the order of a raster scan."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    numbers = np.zeros(len(first), np.int32)
    order = [index for index in np.argsort(first) if labels.reshape(-1)[first[index]] > 0]
    numbers[order] = np.arange(1, len(order) + 1)
    return numbers[inverse].reshape(labels.shape)


def assert_same_objects(ours, peers):
    table = overlaps(peers, ours)
    assert table.shape == (peers.max(), ours.max())
    assert (table > 0.9).sum() == len(table) == table.shape[1]


# --- the same as cellpose ----------------------------------------------------------------------------------------


def test_targets_are_cellposes():
    labels, _ = make_field(FieldSpec(side_px=200, cells=60, channels=1))
    labels[labels % 7 == 3] = 0  # numbers with gaps, touching and single cells, pieces
    labels[5:8, 100:180] = 90  # an object thin and long
    labels[150:153, 10:13] = labels[20, 120]
    flows, inside = flows_of_labels(labels)
    np.testing.assert_allclose(flows, cellpose_flows(labels), atol=2e-6)
    np.testing.assert_array_equal(inside, labels > 0)
    assert flows.dtype == np.float32


@pytest.mark.parametrize(("side", "noise", "wrong"), [(256, 0.0, 0.0), (512, 0.15, 0.1), (256, 0.4, 0.2)])
def test_masks_are_cellposes(side, noise, wrong):
    spec = FieldSpec(side_px=side, cells=side * side // 1600, channels=1)
    labels, flows, probability = make_flows(spec, noise, wrong)
    found = masks_from_flows(flows, probability, PARAMS)
    assert_same_objects(found, cellpose_masks(flows, probability))
    kept_bad = masks_from_flows(flows, probability, FlowParams(flow_threshold=0)).max() - found.max()
    assert kept_bad >= wrong * labels.max() / 2  # the flow error did have work to do
    np.testing.assert_array_equal(on_device(flows, probability), found)


def test_masks_are_cellposes_on_a_large_field_of_its_own_flows():
    labels, _ = make_field(FieldSpec(side_px=1024, cells=2000, channels=1))
    rng = np.random.default_rng(3)
    flows = (5 * cellpose_flows(labels) + rng.normal(scale=0.8, size=(2, 1024, 1024))).astype(np.float32)
    probability = np.where(labels > 0, 2, -2) + rng.normal(scale=0.8, size=labels.shape)
    found = masks_from_flows(flows, probability, PARAMS)
    assert found.max() > 1700
    assert_same_objects(found, cellpose_masks(flows, probability.astype(np.float32)))


def test_the_same_objects_fail_the_flow_error():
    from cellpose import dynamics

    _, flows, _ = make_flows(SMALL, wrong=0.3)
    labels = numbered(make_field(SMALL)[0])
    for threshold in (0.1, 0.4, 0.7):
        peers = dynamics.remove_bad_flow_masks(labels.copy(), flows, threshold, torch.device("cpu"))
        ours = masks.drop_bad_flows(labels.copy(), flows, FlowParams(flow_threshold=threshold))
        np.testing.assert_array_equal(ours > 0, peers > 0)
        assert 0 < ours.max() < labels.max()


def test_holes_are_filled_and_small_objects_removed_as_cellpose_does():
    from cellpose import utils

    rng = np.random.default_rng(1)
    labels, _ = make_field(SMALL)
    labels[rng.random(labels.shape) < 0.2] = 0
    labels[ndimage.distance_transform_edt(labels != 5) < 2] = 0
    labels[60:64, 60:64] = 41
    labels[61:63, 61:63] = 42  # an object within another
    labels[100:102, 100:107] = 43
    labels = numbered(labels)
    peers = utils.fill_holes_and_remove_small_masks(labels.copy(), min_size=15)
    np.testing.assert_array_equal(masks.finish(labels.copy(), PARAMS), peers)
    assert 30 < peers.max() < labels.max() - 1
    assert (peers > 0).sum() > 1.1 * (labels > 0).sum()


def test_small_objects_go_before_their_holes_count():
    from cellpose import utils

    labels = np.pad(np.ones((4, 4), np.int32), 2)
    labels[3:5, 3:5] = 0  # 12 pixels around 4
    for least in (12, 13, 17):
        peers = utils.fill_holes_and_remove_small_masks(labels.copy(), min_size=least)
        found = masks.finish(labels.copy(), FlowParams(min_area_px=least))
        np.testing.assert_array_equal(found, peers)
        assert (found > 0).sum() == (16 if least == 12 else 0)


def test_small_objects_go_also_where_others_went_before():
    """As shipped, cellpose takes the second object away here, by its place among the numbers left."""
    labels = np.zeros((60, 60), np.int32)
    for number, (top, side) in enumerate([(2, 12), (18, 12), (34, 3), (42, 12)], 1):
        labels[top : top + side, 4 : 4 + side] = number
    flows, probability = perfect(labels)
    flows[:, labels == 1] *= -1
    raw = labels.copy()
    expected = numbered(np.where((labels == 2) | (labels == 4), labels, 0))
    np.testing.assert_array_equal(masks.finish(masks.drop_bad_flows(raw, flows, PARAMS), PARAMS), expected)
    assert probability.max() > 0


# --- on a device -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [PARAMS, EVERYTHING, FlowParams(0.45, 0.5, 35, 60, 0.025)])
def test_device_gives_the_masks_of_the_host(params, monkeypatch):
    monkeypatch.setattr(device, "POINTS_AT_A_TIME", 5000)
    monkeypatch.setattr(device, "SEEDS_AT_A_TIME", 7)
    monkeypatch.setattr("hts.stages.segment.flows._device_heat.ELEMENTS_AT_A_TIME", 20_000)
    _, flows, probability = make_flows(SMALL, noise=0.3)
    found = on_device(flows, probability, params)
    np.testing.assert_array_equal(found, masks_from_flows(flows, probability, params))
    assert 5 < found.max() < masks_from_flows(flows, probability, EVERYTHING).max() or params == EVERYTHING


@pytest.mark.gpu
def test_accelerator_gives_the_masks_of_the_host():
    _, flows, probability = make_flows(FieldSpec(side_px=1024, cells=260, channels=1))
    there = torch.from_numpy(flows).cuda(), torch.from_numpy(probability).cuda()
    np.testing.assert_array_equal(masks_from_flows(*there, PARAMS), masks_from_flows(flows, probability, PARAMS))


def test_tensors_in_host_memory_are_worked_on_as_arrays():
    _, flows, probability = make_flows(SMALL)
    expected = masks_from_flows(flows, probability, PARAMS)
    tensors = torch.from_numpy(flows).requires_grad_(), torch.from_numpy(probability).double()
    np.testing.assert_array_equal(masks_from_flows(*tensors, PARAMS), expected)


# --- hard and bad input ------------------------------------------------------------------------------------------


def everywhere(flows, probability, params=PARAMS):
    """The masks; both paths have to agree on them."""
    found = masks_from_flows(flows, probability, params)
    np.testing.assert_array_equal(on_device(flows, probability, params), found)
    assert found.dtype == np.int32
    assert found.shape == probability.shape
    return found


@pytest.mark.parametrize("shape", [(0, 0), (0, 5)])
def test_fields_without_pixels(shape):
    assert masks_from_flows(np.zeros((2, *shape)), np.zeros(shape), PARAMS).shape == shape


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (2, 2), (5, 1), (3, 17), (17, 3)])
def test_tiny_fields(shape):
    ones = np.ones(shape, np.float32)
    rng = np.random.default_rng(5)
    assert not everywhere(np.zeros((2, *shape), np.float32), -ones).any()
    assert not everywhere(rng.normal(size=(2, *shape)).astype(np.float32) * 5, ones).any()


def test_a_field_that_is_one_object_is_kept_when_that_is_allowed():
    for shape in ((3, 17), (17, 3), (6, 6)):
        flows, probability = perfect(np.ones(shape, np.int32))
        assert (everywhere(flows, probability, FlowParams(max_fraction=1)) == 1).all()
        assert everywhere(flows, probability).max() == 0


@pytest.mark.parametrize("level", [0.0, 3.0, -1e38, np.nan, np.inf])
def test_constant_flows(level):
    flows = np.full((2, 40, 50), level, np.float32)
    found = everywhere(flows, np.ones((40, 50), np.float32), EVERYTHING)
    assert found.max() == (1 if level in (3.0, -1e38) else 0)  # all run into a corner


@pytest.mark.parametrize("level", [np.nan, -np.inf, np.inf])
def test_constant_probability(level):
    flows, probability = perfect(np.pad(np.ones((20, 20), np.int32), 20))
    found = everywhere(flows, np.full_like(probability, level))
    assert found.max() == (1 if level == np.inf else 0)


def test_pixels_that_are_not_numbers_are_outside():
    labels = numbered(make_field(SMALL)[0])
    flows, probability = perfect(labels)
    whole = everywhere(flows, probability)
    assert whole.max() == labels.max()
    broken = np.zeros(labels.shape, np.bool_)
    broken[:, 100:120] = True
    flows[0, broken] = np.nan
    flows[1, :50, 110] = -np.inf
    flows_as_outside, outside = np.where(broken, 0, flows), np.where(broken, -5, probability).astype(np.float32)
    np.testing.assert_array_equal(everywhere(flows, probability), everywhere(flows_as_outside, outside))
    probability[broken] = np.nan
    np.testing.assert_array_equal(everywhere(np.nan_to_num(flows), probability), everywhere(flows_as_outside, outside))


def test_more_than_65535_objects():
    side, cell = 1300, 5
    tile = np.pad(np.ones((cell - 1, cell - 1), np.int32), ((0, 1), (0, 1)))
    inside = np.tile(tile, (side // cell, side // cell))
    labels = numbered(ndimage.label(inside)[0].astype(np.int32))
    flows, probability = perfect(labels)
    found = masks_from_flows(flows, probability, PARAMS)
    assert labels.max() == 67600
    np.testing.assert_array_equal(found, labels)


def test_objects_too_small_and_too_large():
    labels = np.zeros((100, 100), np.int32)
    labels[2:72, 2:60] = 1
    labels[80:84, 5:9] = 2
    labels[80:83, 20:25] = 3
    labels[80:84, 40:44] = 4
    labels[[80, 83], [40, 43]] = 0
    flows, probability = perfect(labels)
    found = everywhere(flows, probability)
    np.testing.assert_array_equal(found, numbered(np.where((labels == 2) | (labels == 3), labels, 0)))
    assert everywhere(flows, probability, FlowParams(max_fraction=0.5, min_area_px=14)).max() == 4


def test_wrong_input_is_refused():
    flows, probability = perfect(np.ones((4, 5), np.int32))
    for wrong in (flows[0], flows[:, :3], np.concatenate((flows, flows))):
        with pytest.raises(UsageError, match="of one shape"):
            masks_from_flows(wrong, probability, PARAMS)
    huge = np.broadcast_to(np.float32(1), (2, 2**16, 2**15))
    with pytest.raises(UsageError, match="in blocks"):
        masks_from_flows(huge, huge[0], PARAMS)
    for setting in ({"steps": -1}, {"min_area_px": -1}, {"max_fraction": float("nan")}, {"flow_threshold": -0.1}):
        with pytest.raises(UsageError, match="numbers from 0"):
            FlowParams(**setting)


def test_labels_for_targets():
    large = np.zeros((9, 9), np.int64)
    large[2:5, 2:5] = 2**40
    large[6:9, 6:9] = 3
    small = np.where(large == 2**40, 1, large).astype(np.uint8)
    np.testing.assert_array_equal(flows_of_labels(large)[0], flows_of_labels(small)[0])
    assert not flows_of_labels(np.zeros((3, 0), np.int32))[1].any()
    for wrong in (large.astype(float), large[None], -large):
        with pytest.raises(UsageError, match="labels are"):
            flows_of_labels(wrong)


def test_masks_on_the_host_need_no_torch():
    """Importing it takes seconds that a plate without networks need not pay."""
    import subprocess

    code = "import numpy as np; from hts.stages.segment.flows import FlowParams, masks_from_flows as m; import sys; "
    code += "m(np.zeros((2, 9, 9)), np.ones((9, 9)), FlowParams()); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
