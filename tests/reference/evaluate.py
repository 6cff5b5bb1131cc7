"""Scores the slow, obvious way: one table of all objects by all objects, and the Hungarian assignment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def shared_pixels(truth: NDArray[Any], prediction: NDArray[Any]) -> dict[tuple[int, int], int]:
    """Pixels of every pair of labels, background included, counted one by one."""
    found: dict[tuple[int, int], int] = {}
    for pair in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        found[pair] = found.get(pair, 0) + 1
    return found


def iou_table(truth: NDArray[Any], prediction: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union of every true object (rows) and every predicted one (columns)."""
    rows, columns = (np.unique(image[image > 0]) for image in (truth, prediction))
    table = np.zeros((len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            inside, other = truth == row, prediction == column
            table[i, j] = (inside & other).sum() / (inside | other).sum()
    return table


def n_matches(table: NDArray[np.float64], least_iou: float) -> int:
    """Pairs of the largest one-to-one assignment with at least this IoU."""
    good = table >= least_iou
    return int(good[linear_sum_assignment(~good)].sum())


def mistakes(truth: NDArray[Any], prediction: NDArray[Any]) -> dict[str, int]:
    """Split, merged, missed and added objects, counted object by object."""
    rows, columns = ([image == label for label in np.unique(image[image > 0])] for image in (truth, prediction))

    def holds(outer: NDArray[np.bool_], inner: NDArray[np.bool_]) -> bool:
        return bool(2 * (outer & inner).sum() > inner.sum())

    def related(one: NDArray[np.bool_], others: list[NDArray[np.bool_]]) -> bool:
        return any(holds(one, other) or holds(other, one) for other in others)

    return {
        "split": sum(sum(holds(row, column) for column in columns) > 1 for row in rows),
        "merged": sum(sum(holds(column, row) for row in rows) > 1 for column in columns),
        "missed": sum(not related(row, columns) for row in rows),
        "added": sum(not related(column, rows) for column in columns),
    }
