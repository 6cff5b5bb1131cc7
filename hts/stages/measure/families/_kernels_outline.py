"""What the outline of objects encloses: 2 x 2 neighbourhoods, holes, the size of the convex hull, and radii."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

# A 2 x 2 neighbourhood is a number from 0 to 15: which of its pixels belong to the object.
LOWER_RIGHT, UPPER_RIGHT, LOWER_LEFT, UPPER_LEFT = 1, 2, 4, 8
NEIGHBOURHOODS = 16

# Columns of what hull_sizes and radii find.
CONVEX_AREA, HULL_PERIMETER, MIN_FERET, MAX_FERET = range(4)
MAXIMUM, MEAN, MEDIAN = range(3)


@njit(cache=True, nogil=True)
def _next_row(runs: Any, run: Any, stop: Any) -> Any:
    """The first run below the row of ``run``."""
    row = runs.row[run]
    while run < stop and runs.row[run] == row:
        run += 1
    return run


@njit(cache=True, nogil=True)
def _boundary(runs: Any, place: Any, stop: Any) -> Any:
    """The column at which boundary ``place`` (start, stop, start, … of the runs of a row) is, or one past any."""
    run = place >> 1
    if run >= stop:
        return np.int64(1) << 40
    return np.int64(runs.stop[run] if place & 1 else runs.start[run])


@njit(cache=True, nogil=True)
def _count_between(runs: Any, above: Any, above_stop: Any, here: Any, here_stop: Any, counts: Any) -> None:
    """Count the neighbourhoods of two rows, given by their runs, that hold pixels of both in- and outside."""
    a, h = 2 * above, 2 * here
    before = np.int64(0)
    while True:
        at_a, at_h = _boundary(runs, a, above_stop), _boundary(runs, h, here_stop)
        column = min(at_a, at_h)
        if column == np.int64(1) << 40:
            return
        left = (LOWER_LEFT if h & 1 else 0) + (UPPER_LEFT if a & 1 else 0)
        same = left | (left >> 2)
        counts[same] += column - before - 1 if left else 0
        a += 1 if at_a == column else 0
        h += 1 if at_h == column else 0
        counts[left + (LOWER_RIGHT if h & 1 else 0) + (UPPER_RIGHT if a & 1 else 0)] += 1
        before = column


@njit(cache=True, nogil=True)
def neighbourhoods(first: Any, stop: Any, runs: Any, counts: Any) -> None:
    """Count the 2 x 2 neighbourhoods of each kind, those across the frame of the image included.

    Parameters
    ----------
    counts : (n, 16) int64; starts as zeros. Empty neighbourhoods are not counted.
    """
    for i in range(first, stop):
        end = runs.first[i + 1]
        above = here = runs.first[i]
        while here < end:
            below = _next_row(runs, here, end)
            if above < here and runs.row[above] + 1 < runs.row[here]:
                _count_between(runs, above, here, here, here, counts[i])
                above = here
            _count_between(runs, above, here, here, below, counts[i])
            above, here = here, below
        _count_between(runs, above, end, end, end, counts[i])


@njit(cache=True, nogil=True)
def _root(parent: Any, gap: Any) -> Any:
    while parent[gap] != gap:
        parent[gap] = parent[parent[gap]]
        gap = parent[gap]
    return gap


@njit(cache=True, nogil=True)
def _unite(parent: Any, a: Any, b: Any) -> None:
    """The smaller root stays, so that the outside (0) stays the outside."""
    a, b = _root(parent, a), _root(parent, b)
    parent[max(a, b)] = min(a, b)


@njit(cache=True, nogil=True)
def _open_to(runs: Any, gap: Any, begin: Any, row_first: Any, row_stop: Any, parent: Any) -> None:
    """Unite a gap with the outside if it touches what is left or right of the runs of a neighbouring row."""
    left, right = runs.stop[gap - 1] - 1, runs.start[gap]
    if row_first == row_stop or left < runs.start[row_first] or right >= runs.stop[row_stop - 1]:
        _unite(parent, gap - begin, 0)


@njit(cache=True, nogil=True)
def _join_rows(runs: Any, begin: Any, above: Any, here: Any, below: Any, parent: Any) -> None:
    """Unite the gaps of neighbouring rows (runs ``above … here - 1`` and ``here … below - 1``) that touch.

    A gap is named by the run to its right. Background is connected over corners.
    """
    for gap in range(above + 1, here):
        _open_to(runs, gap, begin, here, below, parent)
    for gap in range(here + 1, below):
        _open_to(runs, gap, begin, above, here, parent)
    upper = above + 1
    for gap in range(here + 1, below):
        left, right = runs.stop[gap - 1] - 1, runs.start[gap]
        while upper < here and runs.start[upper] <= left:
            upper += 1
        other = upper
        while other < here and runs.stop[other - 1] <= right:
            _unite(parent, gap - begin, other - begin)
            other += 1


@njit(cache=True, nogil=True)
def hole_areas(first: Any, stop: Any, runs: Any, areas: Any) -> None:
    """Count the pixels in holes: what is not the object, and not connected to the outside even over corners.

    Parameters
    ----------
    areas : (n,) int64.
    """
    most = 0
    for i in range(first, stop):
        most = max(most, runs.first[i + 1] - runs.first[i])
    parent = np.empty(most, np.int64)
    for i in range(first, stop):
        begin, end = runs.first[i], runs.first[i + 1]
        areas[i] = 0
        for k in range(end - begin):
            parent[k] = k
        above = here = begin
        while here < end:
            below = _next_row(runs, here, end)
            if above < here and runs.row[above] + 1 < runs.row[here]:
                _join_rows(runs, begin, above, here, here, parent)
                above = here
            _join_rows(runs, begin, above, here, below, parent)
            above, here = here, below
        _join_rows(runs, begin, above, end, end, parent)
        for run in range(begin + 1, end):
            if runs.row[run] == runs.row[run - 1] and _root(parent, run - begin) != 0:
                areas[i] += runs.start[run] - runs.stop[run - 1]


@njit(cache=True, nogil=True)
def _diagonal_limits(corners: Any, size: Any, low: Any, high: Any) -> None:
    """Columns of each row within the diagonals through the outermost corners; rows and columns from the box's first."""
    sums_low = differences_low = np.int64(1) << 40
    sums_high = differences_high = -(np.int64(1) << 40)
    for k in range(size):
        row, column = corners[k, 0], corners[k, 1]
        sums_low, sums_high = min(sums_low, row + column), max(sums_high, row + column)
        differences_low, differences_high = (
            min(differences_low, column - row),
            max(differences_high, column - row),
        )
    for y in range(low.size):
        low[y] = max(sums_low - y, differences_low + y)
        high[y] = min(sums_high - y, differences_high + y)


@njit(cache=True, nogil=True)
def _convex_area(corners: Any, size: Any, low: Any, high: Any) -> Any:
    """Pixels whose centre is in or on the hull of the middles of the pixels' edges, in exact integers.

    That hull is the hull of the centres and half a pixel of diamond around it: a side with direction (r, c) moves out
    by max(|r|, |c|) / 2 in units of its normal (-c, r), and between sides there are diagonals.
    """
    _diagonal_limits(corners, size, low, high)
    for k in range(size):
        row, column = corners[k, 0], corners[k, 1]
        following = 0 if k + 1 == size else k + 1
        down, right = corners[following, 0] - row, corners[following, 1] - column
        if down == 0:
            continue
        limit = 2 * (down * column - right * row) + max(abs(down), abs(right))
        for y in range(min(row, row + down), max(row, row + down) + 1):
            if down > 0:
                high[y] = min(high[y], (limit + 2 * right * y) // (2 * down))
            else:
                low[y] = max(low[y], -((limit + 2 * right * y) // (-2 * down)))
    area = 0
    for y in range(low.size):
        area += max(high[y] - low[y] + 1, 0)
    return area


@njit(cache=True, nogil=True)
def _extent(corners: Any, size: Any, found: Any) -> None:
    """Perimeter of the hull, smallest distance of parallel lines around it, largest distance of corners."""
    widest = np.int64(0)
    narrowest: Any = np.inf
    found[HULL_PERIMETER] = 0.0
    for k in range(size):
        following = 0 if k + 1 == size else k + 1
        down, right = corners[following, 0] - corners[k, 0], corners[following, 1] - corners[k, 1]
        length = math.sqrt(np.float64(down * down + right * right))
        found[HULL_PERIMETER] += length
        farthest = np.int64(0)
        for j in range(size):
            row, column = corners[j, 0] - corners[k, 0], corners[j, 1] - corners[k, 1]
            widest = max(widest, row * row + column * column)
            farthest = max(farthest, abs(down * column - right * row))
        if length > 0:
            narrowest = min(narrowest, farthest / length)
    found[MIN_FERET] = narrowest if size > 2 else 0.0
    found[MAX_FERET] = math.sqrt(np.float64(widest))


@njit(cache=True, nogil=True)
def hull_sizes(first: Any, stop: Any, runs: Any, hulls: Any, found: Any) -> None:
    """Measure the convex hulls of objects ``first <= i < stop``.

    Parameters
    ----------
    found : (n, 4) float64, see the columns above; objects without a corner are left alone.
    """
    most = tallest = 0
    for i in range(first, stop):
        if hulls.first[i] < hulls.first[i + 1]:
            most = max(most, hulls.first[i + 1] - hulls.first[i])
            tallest = max(tallest, runs.row[runs.first[i + 1] - 1] + 1 - runs.row[runs.first[i]])
    corners = np.empty((most, 2), np.int64)
    low, high = np.empty(tallest, np.int64), np.empty(tallest, np.int64)
    for i in range(first, stop):
        begin = hulls.first[i]
        size = hulls.first[i + 1] - begin
        if size == 0:
            continue
        top = runs.row[runs.first[i]]
        height = runs.row[runs.first[i + 1] - 1] + 1 - top
        for k in range(size):
            corners[k, 0] = hulls.row[begin + k] - top
            corners[k, 1] = hulls.column[begin + k]
        found[i, CONVEX_AREA] = _convex_area(corners, size, low[:height], high[:height])
        _extent(corners, size, found[i])


@njit(cache=True, nogil=True)
def _middle(counts: Any, pixels: Any) -> Any:
    """The median root of numbers that are counted: the mean of the two middle ones when ``pixels`` is even."""
    squared, below = 0, counts[0]
    while below <= (pixels - 1) // 2:
        squared += 1
        below += counts[squared]
    lower = math.sqrt(np.float64(squared))
    while below <= pixels // 2:
        squared += 1
        below += counts[squared]
    return (lower + math.sqrt(np.float64(squared))) / 2


@njit(cache=True, nogil=True)
def radii(first: Any, stop: Any, runs: Any, squared: Any, found: Any) -> None:
    """Largest, mean and median distance to the edge of objects ``first <= i < stop``.

    Squared distances are counted: there are no more than pixels, as a disc of the largest is inside the object.

    Parameters
    ----------
    squared : (N,) int32 squared distances, object by object.
    found : (n, 3) float64; objects without a pixel are left alone.
    """
    largest = 0
    for k in range(runs.offset[first], runs.offset[stop]):
        largest = max(largest, squared[k])
    counts = np.zeros(largest + 1, np.int64)
    for i in range(first, stop):
        begin, end = runs.offset[i], runs.offset[i + 1]
        if begin == end:
            continue
        highest = 0
        for k in range(begin, end):
            counts[squared[k]] += 1
            highest = max(highest, squared[k])
        total = 0.0
        for k in range(highest + 1):
            if counts[k]:
                total += counts[k] * math.sqrt(np.float64(k))
        found[i, MAXIMUM] = math.sqrt(np.float64(highest))
        found[i, MEAN] = total / (end - begin)
        found[i, MEDIAN] = _middle(counts, end - begin)
        counts[: highest + 1] = 0
