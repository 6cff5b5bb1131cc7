"""Slow, obvious twins of the stitching kernels: one pixel at a time, with dictionaries."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray


def number_in_raster_order(labels: NDArray[np.int32]) -> tuple[NDArray[np.int32], dict[int, int]]:
    """Labels numbered by their first pixel, and the new number of every old one."""
    numbers: dict[int, int] = {}
    result = np.zeros_like(labels)
    for place, label in np.ndenumerate(labels):
        if label > 0:
            result[place] = numbers.setdefault(int(label), len(numbers) + 1)
    return result, numbers


def object_sums(labels: NDArray[np.int32]) -> dict[int, list[int]]:
    """By label: area, box, Σy, Σx, Σyy, Σxy, Σxx."""
    found = {}
    for label in np.unique(labels[labels > 0]).tolist():
        y, x = (axis.astype(object) for axis in np.nonzero(labels == label))
        box = [min(y), min(x), max(y) + 1, max(x) + 1]
        found[label] = [len(y), *box, sum(y), sum(x), sum(y * y), sum(x * y), sum(x * x)]
    return found


def border_runs(labels: NDArray[np.int32], inner: tuple[int, int, int, int]) -> dict[tuple[int, int], int]:
    """Label by pixel (y, x) of all labelled pixels outside the box."""
    y0, x0, y1, x1 = inner
    outside = np.ones(labels.shape, bool)
    outside[y0:y1, x0:x1] = False
    return {(int(y), int(x)): int(labels[y, x]) for y, x in np.argwhere(outside & (labels > 0))}


def run_overlaps(first: NDArray[np.int32], second: NDArray[np.int32]) -> Counter[tuple[int, int]]:
    """Pixels by pair of labels of two lists of runs."""
    pixels = {(row, x): label for row, begin, end, label in first.tolist() for x in range(begin, end)}
    return Counter(
        (pixels[row, x], label)
        for row, begin, end, label in second.tolist()
        for x in range(begin, end)
        if (row, x) in pixels
    )


def paint_runs(runs: NDArray[np.int32], canvas: NDArray[np.int32]) -> NDArray[np.int32]:
    """A copy of the canvas with the runs on it, later ones over earlier ones."""
    result = canvas.copy()
    for row, begin, end, number in runs.tolist():
        for x in range(begin, end):
            if 0 <= row < canvas.shape[0] and 0 <= x < canvas.shape[1]:
                result[row, x] = number
    return result
