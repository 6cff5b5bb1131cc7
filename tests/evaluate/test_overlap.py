"""The sparse table against the dense one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from scipy.optimize import linear_sum_assignment

from hts.errors import UsageError
from hts.evaluate.overlap import Overlap
from hts.evaluate.scores import IOU_THRESHOLDS
from tests.evaluate.images import label_pairs
from tests.reference import evaluate as twin


@given(label_pairs())
def test_pairs_and_areas_are_those_of_the_pixels(pair):
    truth, prediction = pair
    overlap = Overlap.of(truth, prediction)
    counted = twin.shared_pixels(truth, prediction)
    assert overlap.outside_px == counted.pop((0, 0), 0)
    true, predicted = overlap.truth_ids[overlap.truth], overlap.prediction_ids[overlap.prediction]
    found = dict(zip(zip(true.tolist(), predicted.tolist(), strict=True), overlap.shared_px.tolist(), strict=True))
    assert found == {both: n for both, n in counted.items() if 0 not in both}
    for image, ids, sizes in (
        (truth, overlap.truth_ids, overlap.truth_px),
        (prediction, overlap.prediction_ids, overlap.prediction_px),
    ):
        assert dict(zip(ids.tolist(), sizes.tolist(), strict=True)) == {
            label: int((image == label).sum()) for label in np.unique(image) if label
        }


@given(label_pairs())
def test_matches_are_as_many_as_in_the_optimal_assignment(pair):
    overlap, table = Overlap.of(*pair), twin.iou_table(*pair)
    np.testing.assert_allclose(overlap.iou, table[overlap.truth, overlap.prediction])
    for threshold in IOU_THRESHOLDS:
        found = overlap.matches(threshold)
        assert len(found) == twin.n_matches(table, threshold)
        assert len(set(overlap.truth[found])) == len(set(overlap.prediction[found])) == len(found)
        assert (overlap.iou[found] >= threshold).all()


@given(label_pairs())
def test_matched_pairs_have_the_iou_of_the_optimal_assignment(pair):
    overlap, table = Overlap.of(*pair), twin.iou_table(*pair)
    good = np.where(table >= 0.5, 1 + table, 0)
    assert np.isclose(overlap.iou[overlap.matches(0.5)].sum(), (table * (good > 0))[linear_sum_assignment(-good)].sum())


def test_an_object_that_is_the_sum_of_two_matches_one_of_them():
    halves = np.repeat([[1, 1, 2, 2]], 2, axis=0)
    whole = np.where(halves, 7, 0)
    for pair in ((halves, whole), (whole, halves)):
        overlap = Overlap.of(*pair)
        assert overlap.iou.tolist() == [0.5, 0.5]
        assert len(overlap.matches(0.5)) == 1
        assert len(overlap.matches(0.55)) == 0


@pytest.mark.parametrize("dtypes", [("uint8", "int64"), ("uint64", "int8"), ("uint32", "int32"), ("uint16", "uint16")])
def test_types_of_both_sides_may_differ(dtypes):
    truth, prediction = np.eye(5, dtype=dtypes[0]), np.eye(5, dtype=dtypes[1])[::-1]
    truth[0, 0] = np.iinfo(dtypes[0]).max
    overlap = Overlap.of(truth, prediction)
    assert overlap.truth_ids.tolist() == [1, np.iinfo(dtypes[0]).max]
    assert (overlap.truth_px.tolist(), overlap.prediction_px.tolist()) == ([4, 1], [5])


def test_a_hundred_thousand_objects_that_all_disagree():
    y, x = np.mgrid[:1280, :1280]
    truth = (y // 4 * 320 + x // 4 + 1).astype(np.int32)
    prediction = ((y + 1) // 4 * 321 + (x + 1) // 4 + 1).astype(np.int32)
    overlap = Overlap.of(truth, prediction)
    assert (len(overlap.truth_ids), len(overlap.prediction_ids)) == (102_400, 103_041)
    assert len(overlap.shared_px) == 4 * 102_400
    # 3 × 3 of 16 + 16 − 9 pixels is an IoU of 0.39; in the corner it is 9 of 16.
    assert overlap.matches(0.5).tolist() == [0]
    assert overlap.shared_px.sum() == 1280**2


def test_no_pixel_is_no_object():
    overlap = Overlap.of(np.zeros((0, 5), int), np.zeros((0, 5), int))
    assert (len(overlap.truth_ids), len(overlap.shared_px), overlap.outside_px) == (0, 0, 0)


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), "2 × 2 and 2 × 3 pixels"),
        (np.zeros((2, 2), int), np.zeros((2, 2)), "a prediction of whole numbers(.|\n)*float64"),
        (np.zeros((2, 2), bool), np.zeros((2, 2), int), "a truth of whole numbers(.|\n)*mask of the foreground"),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), int), r"a truth of one label a pixel(.|\n)*\(2, 2, 3\)"),
        (np.zeros((2, 2), int), np.full((2, 2), -1), "a prediction of labels from 0(.|\n)*-1"),
    ],
)
def test_what_is_no_label_image_is_refused(truth, prediction, message):
    with pytest.raises(UsageError, match=message):
        Overlap.of(truth, prediction)


def test_matches_are_unique_from_one_half_only():
    with pytest.raises(UsageError, match=r"at least 0.5(.|\n)*0.3"):
        Overlap.of(np.eye(2, dtype=int), np.eye(2, dtype=int)).matches(0.3)
