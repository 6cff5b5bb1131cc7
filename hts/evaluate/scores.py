"""Scores of one image: how well predicted objects are the true ones.

Sources: matching and AP as in cellpose and StarDist, AP = TP / (TP + FP + FN) at each IoU (Schmidt et al., MICCAI
2018; the Data Science Bowl 2018 takes its mean over 0.5 to 0.95); panoptic quality after Kirillov et al., CVPR 2019;
split and merged by the majority rule of the Cell Tracking Challenge (Matula et al., PLoS ONE 2015: an object is
detected by the one that covers more than half of it); adapted Rand error (Arganda-Carreras et al., 2015) and variation
of information (Meilă, 2007) as scikit-image defines them.

A ratio with nothing below its line is 1: who claims nothing claims nothing wrong, and where nothing is nothing can be
missed. So empty against empty scores 1, and an empty image against objects has F1, AP and PQ of 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import UsageError
from hts.evaluate.overlap import Overlap

IOU_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def ratio(part: float, whole: float) -> float:
    """``part / whole``; 1 when there is nothing."""
    return part / whole if whole else 1.0


@dataclass(frozen=True)
class Hits:
    """True positives, false positives and false negatives, of objects or of pixels."""

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float:
        """TP / (TP + FP)"""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)"""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); of pixels this is the Dice coefficient."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def jaccard(self) -> float:
        """TP / (TP + FP + FN); of objects this is called AP, of pixels IoU."""
        return ratio(self.tp, self.tp + self.fp + self.fn)

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    def counts(self) -> dict[str, int]:
        """The three counts by name."""
        return {"tp": self.tp, "fp": self.fp, "fn": self.fn}


@dataclass(frozen=True)
class Partition:
    """How alike two images are as partitions of the pixels; of one image only.

    ``rand_error`` leaves out the pixels outside true objects; ``vi_split`` and ``vi_merge`` (bits) are the conditional
    entropies of prediction given truth and of truth given prediction, what is outside being one segment more.
    """

    rand_error: float
    vi_split: float
    vi_merge: float


@dataclass(frozen=True)
class ObjectScores:
    """Scores of one image, or of several with their counts added up (:func:`pool`).

    Parameters
    ----------
    n_truth, n_prediction : objects.
    hits : objects matched one to one, at each of `IOU_THRESHOLDS`.
    matched_iou : sum of the IoU of the pairs matched at 0.5.
    pixels : foreground against foreground.
    touched_truth, touched_prediction : objects that share at least one pixel with an object of the other image.
    split : true objects that hold more than half of each of two or more predicted ones.
    merged : predicted objects that hold more than half of each of two or more true ones.
    missed : true objects of which no predicted one holds more than half, and that hold more than half of none.
    added : predicted objects of which this is true the other way round.
    partition : None for pooled scores.
    """

    n_truth: int
    n_prediction: int
    hits: tuple[Hits, ...]
    matched_iou: float
    pixels: Hits
    touched_truth: int
    touched_prediction: int
    split: int
    merged: int
    missed: int
    added: int
    partition: Partition | None = None

    @property
    def f1(self) -> float:
        """F1 at an IoU of 0.5."""
        return self.hits[0].f1

    @property
    def mean_ap(self) -> float:
        """Mean of AP over all thresholds."""
        return float(np.mean([hits.jaccard for hits in self.hits]))

    def panoptic(self) -> dict[str, float]:
        """Panoptic quality PQ = SQ · RQ at an IoU of 0.5: mean IoU of what matched, times F1.

        Matched is what has an IoU of at least 0.5, as in StarDist; Kirillov et al. ask for more than 0.5.
        """
        matched = self.hits[0].tp
        segmentation = self.matched_iou / matched if matched else float(self.n_truth + self.n_prediction == 0)
        return {"pq": segmentation * self.f1, "sq": segmentation, "rq": self.f1}

    def touching(self) -> dict[str, float]:
        """Scores of objects that count as found when they overlap at all; Dice is the harmonic mean of both."""
        precision = ratio(self.touched_prediction, self.n_prediction)
        recall = ratio(self.touched_truth, self.n_truth)
        dice = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        return {"precision": precision, "recall": recall, "dice": dice}

    def to_json(self) -> dict[str, Any]:
        """All counts and scores, nested by kind."""
        pixels = self.pixels
        found: dict[str, Any] = {
            "objects": {"truth": self.n_truth, "prediction": self.n_prediction},
            "iou": [
                {"threshold": t, **_object_scores(hits)} for t, hits in zip(IOU_THRESHOLDS, self.hits, strict=True)
            ],
            "mean_ap": self.mean_ap,
            "panoptic": self.panoptic(),
            "pixels": pixels.counts()
            | {"iou": pixels.jaccard, "dice": pixels.f1, "precision": pixels.precision, "recall": pixels.recall},
            "touching": {"truth": self.touched_truth, "prediction": self.touched_prediction} | self.touching(),
            "errors": {"split": self.split, "merged": self.merged, "missed": self.missed, "added": self.added},
        }
        if self.partition is not None:
            found["partition"] = dict(vars(self.partition))
        return found

    def ratios(self) -> dict[str, float]:
        """The scores without the counts, flat: one column each, ``f1_0.50``, ``pixels_dice`` …"""
        return {name: value for name, value in self.values().items() if isinstance(value, float)}

    def values(self) -> dict[str, int | float]:
        """Counts and scores, flat: ``truth_objects``, ``tp_0.50``, ``f1_0.50``, ``pq``, ``pixels_dice`` …"""
        nested = self.to_json()
        flat: dict[str, int | float] = {f"{side}_objects": n for side, n in nested["objects"].items()}
        for scores in nested["iou"]:
            at = f"{scores.pop('threshold'):.2f}"
            flat |= {f"{name}_{at}": value for name, value in scores.items()}
        flat |= {"mean_ap": self.mean_ap, **nested["panoptic"], **nested["errors"]}
        for kind in ("pixels", "touching"):
            flat |= {f"{kind}_{name}": value for name, value in nested[kind].items()}
        flat |= nested.get("partition", {})
        return flat


def _object_scores(hits: Hits) -> dict[str, float]:
    return hits.counts() | {
        "precision": hits.precision,
        "recall": hits.recall,
        "f1": hits.f1,
        "ap": hits.jaccard,
    }


def score_objects(truth: NDArray[Any], prediction: NDArray[Any], *, components: bool = False) -> ObjectScores:
    """Score a predicted label image against the true one.

    Parameters
    ----------
    truth, prediction : (Y, X) of one shape and any integer types, 0 outside the objects. Labels need not be
        consecutive; a label in several pieces is one object.
    components : take them for masks of the foreground (also bool): objects are what hangs together, corners included.

    Raises
    ------
    UsageError
        when shapes differ, or an image is not one whole number of at least 0 a pixel.
    """
    if components:
        truth, prediction = connected(truth), connected(prediction)
    return score_overlap(Overlap.of(truth, prediction))


def connected(mask: NDArray[Any]) -> NDArray[Any]:
    """Label image of the connected pieces (8 neighbours) of what is not 0; other than (Y, X) come back as they are."""
    from scipy import ndimage

    if mask.ndim != 2:
        return mask
    labels: NDArray[Any] = ndimage.label(mask != 0, np.ones((3, 3)))[0]
    return labels


def score_overlap(overlap: Overlap) -> ObjectScores:
    """Scores of a table of pairs."""
    n_truth, n_prediction = len(overlap.truth_ids), len(overlap.prediction_ids)
    matches = [overlap.matches(threshold) for threshold in IOU_THRESHOLDS]
    hits = [Hits(len(found), n_prediction - len(found), n_truth - len(found)) for found in matches]
    both_px = int(overlap.shared_px.sum())
    wrong = {name: int(which.sum()) for name, which in mistaken(overlap).items()}
    return ObjectScores(
        n_truth,
        n_prediction,
        tuple(hits),
        float(overlap.iou[matches[0]].sum()),
        Hits(both_px, int(overlap.prediction_px.sum()) - both_px, int(overlap.truth_px.sum()) - both_px),
        len(np.unique(overlap.truth)),
        len(np.unique(overlap.prediction)),
        split=wrong["split"],
        merged=wrong["merged"],
        missed=wrong["missed"],
        added=wrong["added"],
        partition=_partition(overlap),
    )


def mistaken(overlap: Overlap) -> Mapping[str, NDArray[np.bool_]]:
    """Which objects are mistakes: ``split`` and ``missed`` true ones (n,), ``merged`` and ``added`` ones (m,)."""
    # Whole numbers, so that a half is a half.
    truth_inside = 2 * overlap.shared_px > overlap.truth_px[overlap.truth]
    prediction_inside = 2 * overlap.shared_px > overlap.prediction_px[overlap.prediction]
    related = truth_inside | prediction_inside
    n_truth, n_prediction = len(overlap.truth_ids), len(overlap.prediction_ids)
    return {
        "split": np.bincount(overlap.truth[prediction_inside], minlength=n_truth) > 1,
        "merged": np.bincount(overlap.prediction[truth_inside], minlength=n_prediction) > 1,
        "missed": np.bincount(overlap.truth[related], minlength=n_truth) == 0,
        "added": np.bincount(overlap.prediction[related], minlength=n_prediction) == 0,
    }


def _partition(overlap: Overlap) -> Partition:
    truth_alone = overlap.truth_px - _per(overlap.truth, overlap.shared_px, len(overlap.truth_px))
    prediction_alone = overlap.prediction_px - _per(overlap.prediction, overlap.shared_px, len(overlap.prediction_px))
    table = np.concatenate([overlap.shared_px, truth_alone])
    # Pixels inside true objects only: rows are true objects, columns predicted ones and what lies outside those.
    columns = np.append(_per(overlap.prediction, overlap.shared_px, len(overlap.prediction_px)), truth_alone.sum())
    together, in_truth, in_prediction = map(_pixel_pairs, (table, overlap.truth_px, columns))
    rand = ratio(2 * together, in_truth + in_prediction)
    cells = np.concatenate([table, prediction_alone, [overlap.outside_px]])
    truth_outside = prediction_alone.sum() + overlap.outside_px
    prediction_outside = truth_alone.sum() + overlap.outside_px
    joint = _entropy(cells)
    return Partition(
        1.0 - rand,
        max(joint - _entropy(np.append(overlap.truth_px, truth_outside)), 0.0),
        max(joint - _entropy(np.append(overlap.prediction_px, prediction_outside)), 0.0),
    )


def _per(places: NDArray[np.int64], counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.bincount(places, counts, size).astype(np.int64)


def _pixel_pairs(counts: NDArray[np.int64]) -> float:
    """Ordered pairs of different pixels that are in the same segment."""
    sizes = counts.astype(np.float64)
    return float((sizes * (sizes - 1)).sum())


def _entropy(counts: NDArray[Any]) -> float:
    """Bits of a distribution given by its counts; 0 when there are none."""
    present = counts[counts > 0].astype(np.float64)
    shares = present / present.sum()
    return float(-(shares * np.log2(shares)).sum())


def pool(scores: Iterable[ObjectScores]) -> ObjectScores:
    """Scores of the counts of all images together: every object weighs the same, wherever it lies.

    Raises
    ------
    UsageError
        when there are none: nothing would score 1.
    """
    every = list(scores)
    if not every:
        raise UsageError("scores of at least one image", found="none")

    def total(name: str) -> Any:
        return sum(getattr(one, name) for one in every)

    nothing = Hits(0, 0, 0)
    return ObjectScores(
        total("n_truth"),
        total("n_prediction"),
        tuple(sum(column, nothing) for column in zip(*(one.hits for one in every), strict=True)),
        float(total("matched_iou")),
        sum((one.pixels for one in every), nothing),
        *(total(name) for name in ("touched_truth", "touched_prediction", "split", "merged", "missed", "added")),
    )
