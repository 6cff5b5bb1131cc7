"""Which objects of two label images share how many pixels: a sparse table, made from runs of equal pixels.

Every score of this package is read off this table, so that two images are walked once and 100,000 objects cost no
more memory than their pairs.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hts.errors import UsageError

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Overlap:
    """Objects of a truth (n) and a prediction (m), and the k pairs of them that share a pixel.

    Parameters
    ----------
    truth_ids, prediction_ids : (n,), (m,) labels, ascending, without 0.
    truth_px, prediction_px : (n,), (m,) their areas.
    truth, prediction : (k,) places of a pair's objects in the arrays above; pairs are sorted by truth, then prediction.
    shared_px : (k,) pixels that both have, at least 1.
    outside_px : pixels that are in no object of either image.
    """

    truth_ids: NDArray[Any]
    prediction_ids: NDArray[Any]
    truth_px: Ints
    prediction_px: Ints
    truth: Ints
    prediction: Ints
    shared_px: Ints
    outside_px: int

    @classmethod
    def of(cls, truth: NDArray[Any], prediction: NDArray[Any]) -> Overlap:
        """The table of two label images (Y, X) of one shape and any integer types, 0 outside the objects.

        Raises
        ------
        UsageError
            when they are no label images, or of different shapes.
        """
        for side, image in (("truth", truth), ("prediction", prediction)):
            _check(side, image)
        if truth.shape != prediction.shape:
            raise UsageError(
                "truth and prediction of one shape",
                found=f"{_shape(truth)} and {_shape(prediction)} pixels",
                cause="labels of a resized or cropped image, or of another one",
            )
        lengths, truth_runs, prediction_runs = _runs(truth.ravel(), prediction.ravel())
        truth_ids, rows = _numbered("truth", truth_runs)
        prediction_ids, columns = _numbered("prediction", prediction_runs)
        width = len(prediction_ids)
        codes, which = np.unique(rows * width + columns, return_inverse=True)
        shared = _sums(which, lengths, len(codes))
        pair_truth, pair_prediction = np.divmod(codes, width)
        both = (pair_truth > 0) & (pair_prediction > 0)
        return cls(
            truth_ids[1:],
            prediction_ids[1:],
            _sums(rows, lengths, len(truth_ids))[1:],
            _sums(columns, lengths, width)[1:],
            pair_truth[both] - 1,
            pair_prediction[both] - 1,
            shared[both],
            int(shared[codes == 0].sum()),
        )

    @functools.cached_property
    def iou(self) -> NDArray[np.float64]:
        """(k,) intersection over union of each pair."""
        union = self.truth_px[self.truth] + self.prediction_px[self.prediction] - self.shared_px
        return np.asarray(self.shared_px / union, np.float64)

    def matches(self, least_iou: float) -> Ints:
        """Pairs (places in the arrays of pairs) of a largest one-to-one matching with at least this IoU.

        Above 0.5 an object has one such partner at most. At 0.5 exactly it can have two, when it is the sum of both,
        and those have no other; so taking the first of them loses nothing against the optimal (Hungarian) assignment.

        Raises
        ------
        UsageError
            below 0.5, where this is not so.
        """
        if least_iou < 0.5:
            raise UsageError("an IoU of at least 0.5", found=str(least_iou))
        candidates = np.flatnonzero(self.iou >= least_iou)
        for side in (self.truth, self.prediction):
            _, first = np.unique(side[candidates], return_index=True)
            candidates = candidates[np.sort(first)]
        return candidates


def _check(side: str, image: NDArray[Any]) -> None:
    if image.ndim != 2:
        raise UsageError(f"a {side} of one label a pixel, (Y, X)", found=f"the shape {image.shape}")
    if not np.issubdtype(image.dtype, np.integer):
        raise UsageError(
            f"a {side} of whole numbers, one for each object",
            found=f"pixels of type {image.dtype}",
            cause="a mask of the foreground, or a probability" if image.dtype.kind == "b" else "no label image",
            fix="number the objects first; those of a mask are numbered by --components (components=True)",
        )


def _shape(image: NDArray[Any]) -> str:
    return f"{image.shape[0]} × {image.shape[1]}"


def _runs(truth: NDArray[Any], prediction: NDArray[Any]) -> tuple[Ints, NDArray[Any], NDArray[Any]]:
    """Lengths of the runs of pixels that are equal in both images, and their labels."""
    if not truth.size:
        return np.zeros(0, np.int64), truth, prediction
    changes = (truth[1:] != truth[:-1]) | (prediction[1:] != prediction[:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    return np.diff(starts, append=truth.size).astype(np.int64), truth[starts], prediction[starts]


def _numbered(side: str, runs: NDArray[Any]) -> tuple[NDArray[Any], Ints]:
    """Labels with 0 always the first, and the place of each run's label among them."""
    ids, places = np.unique(np.append(runs, np.zeros(1, runs.dtype)), return_inverse=True)
    if ids[0] < 0:
        raise UsageError(f"a {side} of labels from 0", found=str(ids[0]), cause="a wrong type of pixels, or no labels")
    return ids, places[:-1].astype(np.int64)


def _sums(places: Ints, lengths: Ints, size: int) -> Ints:
    """Sum of the lengths at each place. Exact: float64 holds every whole number up to 2^53 pixels."""
    return np.bincount(places, lengths, size).astype(np.int64)
