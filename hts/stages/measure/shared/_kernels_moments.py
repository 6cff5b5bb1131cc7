"""One raster pass over a label image and its channels: every sum that shape and intensity features need.

Rows are read as runs of equal labels. A run gives its coordinate sums in closed form and its grey levels in
one loop a channel, so a pixel is visited once whatever the number of features. Sums of integers are exact.

The perimeter is the estimator of Benkrid and Crookes ("Design and FPGA implementation of a perimeter estimator",
The Queen's University of Belfast) over the border pixels of the 4-neighbourhood: a border pixel is classed by how
many of its straight and of its diagonal neighbours are border pixels of the same object. Outside the image is
background. Three rows of border pixels are kept.
"""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Columns of ``Sums.geometry``; the last four count the border pixels of each class.
AREA, Y_MIN, X_MIN, Y_STOP, X_STOP, SUM_Y, SUM_X, SUM_YY, SUM_XX, SUM_XY, BORDER = range(11)
GEOMETRY_COLUMNS = BORDER + 4

# Last axis of ``Sums.intensity``; only images of floats have a SHIFT.
TOTAL, SQUARES, LOWEST, HIGHEST, SHIFT = range(5)

BORDER_LENGTHS_PX = (0.0, 1.0, 2.0**0.5, (1.0 + 2.0**0.5) / 2.0)
"""What a border pixel of each class adds to the perimeter."""

_BORDER_CLASS = np.array(
    [[0, 0, 2, 0, 0], [0, 3, 3, 2, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=np.int64
)  # by straight, then diagonal border neighbours


class Sums(NamedTuple):
    """What a pass fills; row ``i`` of the first two belongs to label ``i``, row 0 (background) is left alone.

    geometry : (n + 1, 14) int64; starts as zeros, Y_MIN and X_MIN as the largest integer.
    intensity : (n + 1, C, 4) int64 or (n + 1, C, 5) float64; starts as zeros, LOWEST and HIGHEST as
        the largest and the smallest grey level.
    border : (3, X + 2) int32 working memory; starts as zeros.
    """

    geometry: NDArray[np.int64]
    intensity: NDArray[Any]
    border: NDArray[np.int32]


@njit(cache=True, nogil=True)
def _mark_border(labels: Any, y: Any, border: Any) -> None:
    """Write row ``y`` into ``border[1:-1]``: the label where a 4-neighbour differs or is outside, else 0."""
    height, width = labels.shape
    row = labels[y]
    if y == 0 or y == height - 1:
        border[1 : width + 1] = row
        return
    above = labels[y - 1]
    below = labels[y + 1]
    for x in range(1, width - 1):
        here = row[x]
        inside = (above[x] == here) & (below[x] == here) & (row[x - 1] == here) & (row[x + 1] == here)
        border[x + 1] = 0 if inside else here
    border[1] = row[0]
    border[width] = row[width - 1]


@njit(cache=True, nogil=True)
def _class_border(border: Any, y: Any, geometry: Any) -> None:
    """Count the border pixels of row ``y`` by class; rows ``y - 1``, ``y`` and ``y + 1`` are in ``border``."""
    above, row, below = border[(y - 1) % 3], border[y % 3], border[(y + 1) % 3]
    for x in range(1, row.size - 1):
        here = row[x]
        if here != 0:
            straight = (
                np.int64(row[x - 1] == here)
                + np.int64(row[x + 1] == here)
                + np.int64(above[x] == here)
                + np.int64(below[x] == here)
            )
            diagonal = (
                np.int64(above[x - 1] == here)
                + np.int64(above[x + 1] == here)
                + np.int64(below[x - 1] == here)
                + np.int64(below[x + 1] == here)
            )
            geometry[here, BORDER + _BORDER_CLASS[straight, diagonal]] += 1


@njit(cache=True, nogil=True)
def _border_step(labels: Any, y: Any, sums: Any) -> None:
    """Mark row ``y`` and class row ``y - 1``, which then has both neighbours; ``y`` may be one past the end."""
    if y < labels.shape[0]:
        _mark_border(labels, y, sums.border[y % 3])
    else:
        sums.border[y % 3] = 0
    if y > 0:
        _class_border(sums.border, y - 1, sums.geometry)


@njit(cache=True, nogil=True)
def _run_stop(row: Any, start: Any) -> Any:
    """One past the last pixel of the run of equal labels that begins at ``start``."""
    label = row[start]
    stop = start + 1
    while stop < row.size and row[stop] == label:
        stop += 1
    return stop


@njit(cache=True, nogil=True)
def _add_run(record: Any, y: Any, start: Any, stop: Any) -> None:
    """Add the pixels ``start <= x < stop`` of row ``y`` to the geometry of their object."""
    length = stop - start
    sum_x = length * (start + stop - 1) // 2
    last, before = stop - 1, start - 1
    sum_xx = (last * stop * (2 * last + 1) - before * start * (2 * before + 1)) // 6
    record[AREA] += length
    record[Y_MIN] = min(record[Y_MIN], y)
    record[X_MIN] = min(record[X_MIN], start)
    record[Y_STOP] = y + 1
    record[X_STOP] = max(record[X_STOP], stop)
    record[SUM_Y] += y * length
    record[SUM_X] += sum_x
    record[SUM_YY] += y * y * length
    record[SUM_XX] += sum_xx
    record[SUM_XY] += y * sum_x


@njit(cache=True, nogil=True)
def _add_integers(values: Any, record: Any) -> None:
    """Add a run of unsigned grey levels; the sum of a run (at most 2**15 pixels) fits 32 bits."""
    total = np.uint32(0)
    squares = np.int64(0)
    lowest = highest = values[0]
    for x in range(values.size):
        value = values[x]
        total = np.uint32(total + value)
        squares += np.int64(np.uint32(value) * np.uint32(value))
        lowest = value if value < lowest else lowest  # min() would widen to 64 bits: 3 times slower
        highest = value if value > highest else highest
    record[TOTAL] += np.int64(total)
    record[SQUARES] += squares
    record[LOWEST] = min(record[LOWEST], np.int64(lowest))
    record[HIGHEST] = max(record[HIGHEST], np.int64(highest))


@njit(cache=True, nogil=True)
def integer_moments(labels: Any, images: Any, sums: Sums) -> None:
    """Fill ``sums`` from unsigned integers of 8 or 16 bits.

    Parameters
    ----------
    labels : (Y, X) int32, 0 is background, no value above n.
    images : (C, Y, X) uint8 or uint16; Y and X at most 2**15, which keeps every sum within 63 bits.
    sums : see :class:`Sums`.
    """
    height = labels.shape[0]
    for y in range(height):
        _border_step(labels, y, sums)
        row = labels[y]
        stop = 0
        while stop < row.size:
            start = stop
            label = row[start]
            stop = _run_stop(row, start)
            if label == 0:
                continue
            _add_run(sums.geometry[label], y, start, stop)
            for channel in range(images.shape[0]):
                _add_integers(images[channel, y, start:stop], sums.intensity[label, channel])
    _border_step(labels, height, sums)


@njit(cache=True, nogil=True)
def _add_floats(values: Any, record: Any) -> None:
    """Add a run of real grey levels, each less the object's SHIFT."""
    shift = record[SHIFT]
    total = squares = 0.0
    lowest = highest = values[0]
    for x in range(values.size):
        value = values[x]
        above_shift = np.float64(value) - shift
        total += above_shift
        squares += above_shift * above_shift
        lowest = value if value < lowest else lowest
        highest = value if value > highest else highest
    record[TOTAL] += total
    record[SQUARES] += squares
    record[LOWEST] = min(record[LOWEST], np.float64(lowest))
    record[HIGHEST] = max(record[HIGHEST], np.float64(highest))


@njit(cache=True, nogil=True)
def float_moments(labels: Any, images: Any, sums: Sums) -> None:
    """Fill ``sums`` from real grey levels: as :func:`integer_moments`, but images are float32.

    Totals and squares are of grey levels less SHIFT, the grey level of the object's first pixel. As SHIFT
    is one of the n values, (SHIFT - mean)**2 is at most n times the variance: nothing more than a factor n
    of the 1e-16 of a double can cancel when the variance is taken, however bright and flat the object.
    """
    height = labels.shape[0]
    for y in range(height):
        _border_step(labels, y, sums)
        row = labels[y]
        stop = 0
        while stop < row.size:
            start = stop
            label = row[start]
            stop = _run_stop(row, start)
            if label == 0:
                continue
            record = sums.intensity[label]
            if sums.geometry[label, AREA] == 0:
                record[:, SHIFT] = images[:, y, start]
            _add_run(sums.geometry[label], y, start, stop)
            for channel in range(images.shape[0]):
                _add_floats(images[channel, y, start:stop], record[channel])
    _border_step(labels, height, sums)
