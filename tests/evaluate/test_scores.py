"""Scores against cellpose's, scikit-image's and the definitions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from skimage.metrics import adapted_rand_error, variation_of_information

from hts.errors import UsageError
from hts.evaluate import IOU_THRESHOLDS, Hits, pool, score_objects
from tests.evaluate.images import label_pairs, scene
from tests.reference import evaluate as twin

EMPTY = np.zeros((6, 6), np.int32)


def consecutive(labels):
    return np.unique(np.append(0, labels), return_inverse=True)[1][1:].reshape(labels.shape).astype(np.int32)


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_cellpose_and_scikit_image(seed):
    from cellpose.metrics import average_precision

    truth, prediction = map(consecutive, scene(seed))
    scores = score_objects(truth, prediction)
    ap, tp, fp, fn = average_precision(truth, prediction, list(IOU_THRESHOLDS))
    np.testing.assert_array_equal([[hits.tp, hits.fp, hits.fn] for hits in scores.hits], np.transpose([tp, fp, fn]))
    np.testing.assert_allclose([hits.jaccard for hits in scores.hits], ap, rtol=1e-6)
    np.testing.assert_allclose(scores.partition.rand_error, adapted_rand_error(truth, prediction)[0])
    np.testing.assert_allclose(
        [scores.partition.vi_split, scores.partition.vi_merge], variation_of_information(truth, prediction)
    )


@settings(max_examples=60)
@given(label_pairs())
def test_equal_to_cellpose_on_anything(pair):
    from cellpose.metrics import average_precision

    truth, prediction = map(consecutive, pair)
    if truth.any():
        _, tp, fp, fn = average_precision(truth, prediction, list(IOU_THRESHOLDS))
        hits = score_objects(truth, prediction).hits
        np.testing.assert_array_equal([[hit.tp, hit.fp, hit.fn] for hit in hits], np.transpose([tp, fp, fn]))


@settings(max_examples=60)
@given(label_pairs())
def test_equal_to_scikit_image_on_anything(pair):
    found = score_objects(*pair).partition
    np.testing.assert_allclose([found.vi_split, found.vi_merge], variation_of_information(*pair), atol=1e-9)
    theirs = adapted_rand_error(*pair)[0] if (pair[0] > 0).any() else 0.0
    if not math.isnan(theirs):
        np.testing.assert_allclose(found.rand_error, theirs, atol=1e-9)


@given(label_pairs())
def test_mistakes_are_those_of_the_definition(pair):
    scores = score_objects(*pair)
    assert {name: getattr(scores, name) for name in ("split", "merged", "missed", "added")} == twin.mistakes(*pair)


@given(label_pairs())
def test_the_sides_are_mirror_images(pair):
    one, other = score_objects(*pair), score_objects(*pair[::-1])
    assert [hits.precision for hits in one.hits] == [hits.recall for hits in other.hits]
    assert (one.split, one.missed) == (other.merged, other.added)
    assert one.panoptic() == pytest.approx(other.panoptic())
    assert one.touching()["precision"] == other.touching()["recall"]
    assert one.pixels == Hits(other.pixels.tp, other.pixels.fn, other.pixels.fp)


@given(label_pairs())
def test_names_of_the_labels_do_not_count(pair):
    truth, prediction = pair
    renamed = np.where(prediction > 0, 1000 - prediction, 0)
    before, after = score_objects(truth, prediction).values(), score_objects(truth * 50_000, renamed).values()
    assert before == pytest.approx(after)


@given(label_pairs())
def test_pixels_are_those_of_the_foreground(pair):
    truth, prediction = (image > 0 for image in pair)
    pixels = score_objects(*pair).pixels
    assert (pixels.tp, pixels.fp, pixels.fn) == (
        (truth & prediction).sum(), (~truth & prediction).sum(), (truth & ~prediction).sum()
    )  # fmt: skip


@given(label_pairs())
def test_everything_is_perfect_against_itself(pair):
    scores = score_objects(pair[0], pair[0])
    values = scores.ratios()
    errors = {name: values.pop(name) for name in ("rand_error", "vi_split", "vi_merge")}
    assert set(values.values()) == {1.0}
    assert errors == pytest.approx(dict.fromkeys(errors, 0.0), abs=1e-9)
    assert (scores.split, scores.merged, scores.missed, scores.added) == (0, 0, 0, 0)


def blocks(*columns):
    """One row of labels, three pixels high."""
    return np.repeat([columns], 3, axis=0)


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        pytest.param(blocks(1, 1, 1, 1, 0), blocks(1, 1, 2, 2, 0), "1 split", id="cut in half"),
        pytest.param(blocks(1, 1, 2, 2, 0), blocks(1, 1, 1, 1, 0), "1 merged", id="two made one"),
        pytest.param(blocks(1, 1, 1, 0, 2), blocks(1, 1, 1, 1, 1), "1 merged", id="a small one swallowed"),
        pytest.param(blocks(1, 1, 0, 0, 2), blocks(1, 1, 0, 0, 0), "1 missed", id="overlooked"),
        pytest.param(blocks(1, 1, 0, 0, 0), blocks(1, 1, 0, 0, 2), "1 added", id="invented"),
        pytest.param(blocks(1, 1, 1, 1, 0), blocks(0, 0, 1, 0, 0), "", id="much too small is no other mistake"),
        pytest.param(blocks(1, 1, 0, 0, 0), blocks(0, 1, 1, 0, 0), "1 missed, 1 added", id="half is not enough"),
        pytest.param(blocks(1, 1, 1, 2, 2, 2), blocks(1, 1, 2, 2, 2, 2), "", id="a border moved"),
    ],
)
def test_kinds_of_mistakes(truth, prediction, expected):
    scores = score_objects(truth, prediction)
    counts = {name: getattr(scores, name) for name in ("split", "merged", "missed", "added")}
    assert ", ".join(f"{n} {name}" for name, n in counts.items() if n) == expected


def test_figures_by_hand():
    # One exact (IoU 1), one with 6 of 9 pixels (0.67), one missed, one added that touches nothing.
    truth, prediction = blocks(1, 1, 0, 2, 2, 2, 0, 3, 0, 0), blocks(5, 5, 0, 6, 6, 0, 0, 0, 0, 7)
    scores = score_objects(truth, prediction)
    assert scores.hits[0] == Hits(2, 1, 1)
    assert scores.hits[4] == Hits(1, 2, 2)
    panoptic = {"pq": (1 + 2 / 3) / (2 + 0.5 + 0.5), "sq": 5 / 6, "rq": 2 / 3}
    assert scores.panoptic() == pytest.approx(panoptic)
    assert scores.mean_ap == pytest.approx((4 * 2 / 4 + 6 * 1 / 5) / 10)
    assert scores.pixels == Hits(12, 3, 6)
    assert scores.touching() == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "dice": 2 / 3})
    assert scores.values()["f1_0.70"] == pytest.approx(1 / 3)
    assert scores.values()["pixels_dice"] == pytest.approx(24 / 33)


@pytest.mark.parametrize(
    ("truth", "prediction", "precision", "recall", "f1"),
    [(EMPTY, EMPTY, 1, 1, 1), (EMPTY, EMPTY + 1, 0, 1, 0), (EMPTY + 1, EMPTY, 1, 0, 0)],
)
def test_empty_images(truth, prediction, precision, recall, f1):
    scores = score_objects(truth, prediction)
    for hits in (*scores.hits, scores.pixels):
        assert (hits.precision, hits.recall, hits.f1, hits.jaccard) == (precision, recall, f1, f1)
    assert scores.touching() == {"precision": precision, "recall": recall, "dice": f1}
    assert scores.panoptic() == {"pq": f1, "sq": f1, "rq": f1}
    assert all(math.isfinite(value) for value in scores.values().values())


class TestComponents:
    """Objects as the label-free nuclei are judged: connected pieces of a mask, found when they overlap at all."""

    truth = np.array([[1, 0, 0, 1, 1, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]], bool)
    prediction = np.array([[0, 0, 0, 1, 1, 1], [0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]], bool)

    def test_pieces_that_meet_at_corners_are_one(self):
        scores = score_objects(self.truth, self.prediction, components=True)
        assert (scores.n_truth, scores.n_prediction) == (3, 2)
        assert (scores.touched_truth, scores.touched_prediction) == (2, 2)
        assert scores.touching() == pytest.approx({"precision": 1, "recall": 2 / 3, "dice": 0.8})

    def test_grey_masks_are_masks_too(self):
        grey = [np.where(mask, 255, 0).astype(np.uint8) for mask in (self.truth, self.prediction)]
        assert score_objects(*grey, components=True) == score_objects(self.truth, self.prediction, components=True)
        assert score_objects(*grey).n_truth == 1

    def test_colour_pictures_stay_refused(self):
        with pytest.raises(UsageError, match="one label a pixel"):
            score_objects(np.zeros((4, 4, 3), bool), np.zeros((4, 4), bool), components=True)


class TestPool:
    def test_counts_are_added_up(self):
        pairs = [scene(seed, size_px=60, cells=6) for seed in (1, 2, 3)]
        side_by_side = score_objects(
            np.hstack([np.where(truth, truth + 100 * i, 0) for i, (truth, _) in enumerate(pairs)]),
            np.hstack([np.where(found, found + 100 * i, 0) for i, (_, found) in enumerate(pairs)]),
        )
        pooled, whole = pool(score_objects(*pair) for pair in pairs).values(), side_by_side.values()
        for name in ("rand_error", "vi_split", "vi_merge"):
            del whole[name]
        assert pooled == pytest.approx(whole)

    def test_nothing_has_no_score(self):
        with pytest.raises(UsageError, match="at least one image"):
            pool([])


def test_json_holds_every_score():
    scores = score_objects(*scene(4))
    told = json.loads(json.dumps(scores.to_json()))
    assert told["iou"][0]["f1"] == scores.f1
    assert len(told["iou"]) == len(IOU_THRESHOLDS)
    assert told["panoptic"]["pq"] == scores.panoptic()["pq"]
    assert "partition" not in pool([scores]).to_json()
    assert scores.to_json() == scores.to_json()
