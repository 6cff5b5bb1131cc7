"""Runs of equal labels: sums over objects, the pixels that tiles share, their overlaps, and painting them."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


@njit(cache=True, nogil=True)
def number_in_raster_order(labels: Ints, numbers: Ints) -> int:
    """Renumber `labels` in place by first pixel, 1…n; `numbers` (largest label + 1, zeros) gets old → new. Gives n."""
    rows, columns = labels.shape
    count = 0
    for y in range(rows):
        for x in range(columns):
            label = labels[y, x]
            if label > 0:
                if numbers[label] == 0:
                    count += 1
                    numbers[label] = count
                labels[y, x] = numbers[label]
    return count


@njit(cache=True, nogil=True)
def object_sums(labels: Ints, sums: Longs) -> None:
    """Add to `sums` (objects, 10): area, first row, first column, last row + 1, last column + 1, Σy, Σx, Σyy, Σxy, Σxx.

    Rows and columns of the box must hold (large, large, 0, 0) before. One pass over runs of equal labels.
    """
    rows, columns = labels.shape
    for y in range(rows):
        x = 0
        while x < columns:
            label = labels[y, x]
            begin = x
            x += 1
            while x < columns and labels[y, x] == label:
                x += 1
            if label <= 0:
                continue
            n = x - begin
            along = n * (begin + x - 1) // 2
            before = (begin - 1) * begin * (2 * begin - 1) // 6
            squares = (x - 1) * x * (2 * x - 1) // 6 - before
            row = sums[label - 1]
            row[0] += n
            row[1] = min(row[1], y)
            row[2] = min(row[2], begin)
            row[3] = y + 1
            row[4] = max(row[4], x)
            row[5] += n * y
            row[6] += along
            row[7] += n * y * y
            row[8] += y * along
            row[9] += squares


@njit(cache=True, nogil=True)
def border_runs(labels: Ints, inner: tuple[int, int, int, int], runs: Ints) -> int:
    """Runs (row, begin, end, label) of the pixels outside the box `inner` (y0, x0, y1, x1), in raster order.

    Returns how many there are; only as many as fit are written, so that a first call with an empty `runs` counts.
    A run ends where the box begins.
    """
    rows, columns = labels.shape
    y0, x0, y1, x1 = inner
    count = 0
    for y in range(rows):
        in_box = y0 <= y < y1
        x = 0
        while x < columns:
            if in_box and x == x0 and x1 > x0:
                x = x1
                continue
            label = labels[y, x]
            begin = x
            x += 1
            while x < columns and labels[y, x] == label and not (in_box and x == x0):
                x += 1
            if label > 0:
                if count < runs.shape[0]:
                    runs[count, 0] = y
                    runs[count, 1] = begin
                    runs[count, 2] = x
                    runs[count, 3] = label
                count += 1
    return count


@njit(cache=True, nogil=True)
def run_overlaps(first: Ints, second: Ints, found: Longs) -> int:
    """Overlaps of two lists of runs, each in raster order: (label, label, pixels) into `found`. Returns how many.

    `found` needs as many rows as both lists together. A pair of labels comes once for each overlap of their runs.
    """
    i, j, count = 0, 0, 0
    while i < first.shape[0] and j < second.shape[0]:
        if first[i, 0] != second[j, 0]:
            if first[i, 0] < second[j, 0]:
                i += 1
            else:
                j += 1
            continue
        shared = min(first[i, 2], second[j, 2]) - max(first[i, 1], second[j, 1])
        if shared > 0:
            found[count, 0] = first[i, 3]
            found[count, 1] = second[j, 3]
            found[count, 2] = shared
            count += 1
        if first[i, 2] <= second[j, 2]:
            i += 1
        else:
            j += 1
    return count


@njit(cache=True, nogil=True)
def paint_runs(runs: Ints, canvas: Ints) -> None:
    """Write runs (row, begin, end, number) into `canvas` (Y, X) one after the other; what leaves it is cut off."""
    rows, columns = canvas.shape
    for i in range(runs.shape[0]):
        y = runs[i, 0]
        if 0 <= y < rows:
            for x in range(max(0, runs[i, 1]), min(columns, runs[i, 2])):
                canvas[y, x] = runs[i, 3]
